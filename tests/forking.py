"""Stands in for a GPU that is lent: forks this process for a slice of work and pickles through pipes, as `spaces` does.

Nothing that crosses may be a tensor or a module: a tensor on a GPU, or one that wants a gradient, would not survive the way.
"""

import io
import os
import pickle
import threading
from typing import Any

import torch

from core.errors import LabError
from core.models.language_model import LanguageModel


class Plain(pickle.Pickler):
    def persistent_id(self, thing: Any) -> None:
        assert not isinstance(thing, torch.Tensor | torch.nn.Module | torch.Generator), f"a {type(thing).__name__} may not cross"


def plain_bytes(thing: Any) -> bytes:
    buffer = io.BytesIO()
    Plain(buffer).dump(thing)
    return buffer.getvalue()


class Forked:
    """`LanguageModel.device_process` with a new process for every slice. sizes: bytes that went there and came back."""

    device = "a forked process"

    def __init__(self, lm: LanguageModel):
        self._lm = lm
        self.done: list[Any] = []
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, work: Any) -> Any:
        sent = plain_bytes(work)
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            # In a thread of its own: what the forking thread knew of OpenMP's threads is no longer true.
            answer = threading.Thread(target=self._answer, args=(sent, writing))
            answer.start()
            answer.join()
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            came = pipe.read()
        os.waitpid(pid, 0)
        self.done.append(work)
        self.sizes.append((len(sent), len(came)))
        found = pickle.loads(came)
        if isinstance(found, Exception):
            raise found
        return found

    def _answer(self, sent: bytes, writing: int) -> None:
        try:
            found = pickle.loads(sent).do(self._lm)
            data = plain_bytes(found)
        except LabError as error:
            data = pickle.dumps(error)
        except BaseException as error:
            data = pickle.dumps(AssertionError(repr(error)))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(data)
