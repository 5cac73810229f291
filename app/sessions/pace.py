"""How quickly a run trains, and so how long it will take."""

import time

from core.runs.record import RunRecord


class Pace:
    """The pace of one run since it began or was last paused."""

    def __init__(self) -> None:
        self._since: tuple[float, int] | None = None  # a time, and the step of then

    def left(self, record: RunRecord, paused: bool) -> float | None:
        """Seconds to the last step, or None before the run has a pace. paused: the pace is measured anew from here."""
        if record.step and (self._since is None or paused):
            self._since = (time.monotonic(), record.step)
        if self._since is None or record.step <= self._since[1]:
            return None
        then, step = self._since
        return (time.monotonic() - then) / (record.step - step) * (record.recipe["steps"] - record.step)
