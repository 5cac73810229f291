"""Handles of runs that programs train: a run can only be found by its handle, which is a secret."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.serving.session_restore import KEPT_SECONDS
from app.sessions.lab import Lab
from app.sessions.session import MOST_RUNS
from app.sessions.session_run import SessionRun
from core import LabError

MOST_KEPT = 60  # runs of all programs
UNKNOWN = "There is no run under this handle: /train gives one, and keeps the run for half an hour after it was last asked for."


@dataclass
class _Kept:
    run: SessionRun
    caller: str
    used: float


class Handles:
    """Runs by handle. Called from the server's event loop only, so it needs no lock."""

    def __init__(self, lab: Lab, clock: Callable[[], float] = time.monotonic):
        self._lab, self._clock = lab, clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()  # the one that was asked for last stands last

    def add(self, run: SessionRun, caller: str) -> str:
        """A new handle for a run of this caller."""
        handle = secrets.token_urlsafe(24)
        self._kept[handle] = _Kept(run, caller, self._clock())
        self._sweep()
        return handle

    def get(self, handle: Any) -> _Kept:
        """The run of a handle. LabError where there is none."""
        self._sweep()
        kept = self._kept.get(handle) if isinstance(handle, str) else None
        if kept is None:
            raise LabError(UNKNOWN)
        kept.used = self._clock()
        self._kept.move_to_end(str(handle))
        return kept

    def done(self, handle: Any) -> _Kept:
        """As `get`, for a finished run. LabError while it is training, and if it never began."""
        kept = self.get(handle)
        if kept.run.busy:
            raise LabError("This run is still training: wait until it ends.")
        if not kept.run.record.readings:
            raise LabError("This run never began, so there is nothing to look at: train another.")
        return kept

    def _sweep(self) -> None:
        idle = [(handle, kept) for handle, kept in self._kept.items() if not kept.run.busy]
        gone = {handle for handle, kept in idle if self._clock() - kept.used > KEPT_SECONDS}
        for caller in {kept.caller for _, kept in idle}:
            own = [handle for handle, kept in idle if kept.caller == caller and handle not in gone]
            gone |= set(own[: max(0, len(own) - MOST_RUNS)])
        left = [handle for handle, _ in idle if handle not in gone]
        gone |= set(left[: max(0, len(self._kept) - len(gone) - MOST_KEPT)])
        for handle in gone:
            del self._kept[handle]
