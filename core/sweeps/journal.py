"""A folder that keeps the finished runs of one sweep, a line of JSON each, so that it can be gone on with after any interruption."""

import os
from pathlib import Path

from core.errors import LabError, reason, shown
from core.files import append_line
from core.sweeps.journal_folder import NAME, check_folder
from core.sweeps.result import Head, RunResult, from_json, to_json

TOLD = {
    "task": "task",
    "rows": "rows of the task",
    "weights": "model",
    "base": "recipe",
    "vary": "grid",
    "only": "grid",
    "seeds": "number of seeds",
    "device": "device",
    "dtype": "number format",
}  # what two sweeps may differ in, in the order in which it is told


class Journal:
    """The first line says what the sweep is of, each further one is a finished run. `done` has these by `Plan.key`.

    Raises LabError for a folder that holds another sweep, or a damaged one. A last line that was torn by a kill is dropped: its run
    is done again.
    """

    def __init__(self, folder: str | Path, head: Head):
        check_folder(folder)
        self.path = Path(folder) / NAME
        self.done: dict[str, RunResult] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            data = self.path.read_bytes() if self.path.exists() else b""
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:
                os.truncate(self.path, len(whole))
            lines = whole.splitlines()
            if lines:
                self._check(from_json(Head, lines[0], f"the journal of a sweep in {shown(folder)}"), head, folder)
                for number, line in enumerate(lines[1:], 2):
                    made = from_json(RunResult, line, f"a finished run in line {number} of {shown(self.path)}")
                    self.done[made.key] = made
            else:
                append_line(self.path, to_json(head))
        except OSError as error:
            raise LabError(f"{shown(folder)} can't be written to ({reason(error)}): name another folder.") from error

    @staticmethod
    def _check(known: Head, head: Head, folder: str | Path) -> None:
        for name, words in TOLD.items():
            if getattr(known, name) != getattr(head, name):
                raise LabError(f"{shown(folder)} holds a sweep with another {words}: name another folder, or repeat that sweep's settings.")

    def add(self, result: RunResult) -> None:
        """Keep a finished run: it is on the disk when this returns. LabError where the disk refuses it."""
        try:
            append_line(self.path, result.to_json())
        except OSError as error:
            raise LabError(f"A finished run can't be written to {shown(self.path)} ({reason(error)}): make room, then go on.") from error
        self.done[result.key] = result


def known_runs(folder: str | Path, head: Head) -> dict[str, RunResult]:
    """The finished runs in `folder`, by `Plan.key`; none where it is not there yet. LabError as for a `Journal`."""
    return Journal(folder, head).done if (Path(folder) / NAME).is_file() else {}
