"""A file that keeps finished prompts, a line of JSON each, so that a scoreboard can be continued after any interruption."""

import os
from pathlib import Path

from core.errors import LabError, as_path, reason, shown
from core.files import append_line
from core.sweeps.result import from_json, to_json
from core.truths.result import Head, PromptRead


class Journal:
    """The first line says what the scoreboard is of, each further one is a prompt that was read. `done` has these by key.

    LabError for a file of another scoreboard, or of something else. A last line that was torn by a kill is dropped.
    """

    def __init__(self, path: str | Path, head: Head):
        self.path = as_path(path)
        self.done: dict[str, PromptRead] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data and whole:
                os.truncate(self.path, len(whole))
            first, *others = (whole or data).splitlines() or [b""]
            if first:
                if from_json(Head, first, f"a journal of the scoreboard in {shown(path)}") != head:
                    raise LabError(f"{shown(path)} is of another model, other truths or other settings: name another file.")
            else:
                append_line(self.path, to_json(head))
            for line in others:
                made = from_json(PromptRead, line, f"a prompt of the scoreboard in {shown(path)}")
                self.done[made.key] = made
        except OSError as error:
            raise LabError(f"{shown(path)} can't be written to ({reason(error)}): name another file.") from error

    def add(self, made: PromptRead) -> None:
        """Keep a prompt: it is on the disk when this returns. LabError where the disk refuses it."""
        try:
            append_line(self.path, to_json(made))
        except OSError as error:
            raise LabError(f"A prompt can't be written to {shown(self.path)} ({reason(error)}): make room, then continue.") from error
        self.done[made.key] = made
