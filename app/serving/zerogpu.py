"""On a Space with ZeroGPU: slices of training and scoring run in a worker that `spaces` forks and lends a GPU to.

How `spaces` works, and what follows from it:

* It takes CUDA's place in this process before torch is used, so this file is imported first. Its stand-in for CUDA works in the
  main thread alone, and ours is another one: here the model stays on the CPU, and a worker moves its own copy to its GPU.
* A decorated function asks for a GPU in the name of the visitor whose request is in Gradio's context variables. A thread of
  ours has none, so the engine runs a job's pieces in the context of the request that started it.
* It forks this process, or uses the worker of a moment ago again, and sends arguments and results through pipes by pickling. So
  both are plain data (core/training/slices.py), and the function finds the model in a global variable, which the fork has, too.
* A fork can't take turns: the GPU is asked for slice by slice, each for the seconds that it is expected to take.

Work without a GPU (the visitor's quota is used up, none is free, a worker died) runs here, on the CPU; so does work that no visitor
asked for. Inspect's readings of vectors, attention and answers always run here and cost no visitor's quota.
"""

import logging
from collections import deque
from typing import Any

import gradio as gr
import spaces
from gradio.context import LocalContext

from app.view.html import Html
from core.errors import LabError
from core.models.devices import pick_device
from core.models.language_model import LanguageModel

log = logging.getLogger("soft_prompt_lab")

MOST_KNOWN = 500  # events that got no GPU

_here: LanguageModel | None = None  # on the CPU; workers are forked from the process that has it
_there: LanguageModel | None = None  # in a worker: on its GPU


def lend(lm: LanguageModel) -> None:
    """From now on slices of `lm`, which is on the CPU, are done by workers with a GPU."""
    global _here, _there
    _here, _there = lm, None
    lm.device_process = ZeroGPU(lm)


@spaces.GPU(duration=lambda work: work.seconds)
def in_worker(work: Any) -> Any:
    """What `work.do` returns on the GPU's copy of the model, or the LabError that it raises."""
    global _there
    if _there is None:
        assert _here is not None
        _there = LanguageModel(_here.for_scoring.model, _here.tokenizer, _here.name).to(pick_device(), _here.dtype)
    try:
        return work.do(_there)
    except LabError as error:  # raised, only its type would come back
        return error


class ZeroGPU:
    """Does slices of work on a GPU that is lent to the visitor who wants them, else here."""

    device = "zerogpu"

    def __init__(self, lm: LanguageModel):
        self._lm = lm
        self._without: deque[str] = deque(maxlen=MOST_KNOWN)

    def __call__(self, work: Any) -> Any:
        event = LocalContext.event_id.get(None)
        if LocalContext.request.get(None) is None or event in self._without:
            return work.do(self._lm)
        try:
            found = in_worker(work)
        except Exception as error:  # of the quota, the queue, the fork or the worker
            if event:
                self._without.append(event)
            log.warning("no GPU", extra={"facts": {"error": type(error).__name__}})
            why = f" ({Html.escape(error.message)})" if isinstance(error, gr.Error) else ""
            gr.Warning(f"No GPU available{why}: this continues on the server's processor, more slowly.")
            return work.do(self._lm)
        if isinstance(found, LabError):
            raise found
        return found
