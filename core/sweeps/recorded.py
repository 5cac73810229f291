"""Recorded answers to the questions, shown before anything is run: assets/experiments/SLUG.json, made by `python -m app sweep --record`."""

import json
from dataclasses import dataclass
from functools import cache

from core.files import ASSETS
from core.sweeps.outcome import SweepResult

FOLDER = ASSETS / "experiments"


@dataclass(frozen=True)
class RecordedSweep:
    """A sweep that was run before. made: date, version, machine and command."""

    result: SweepResult
    made: dict[str, str]

    def to_json(self) -> str:
        """The text of its file."""
        return json.dumps({"made": self.made, "result": json.loads(self.result.to_json())}, separators=(",", ":")) + "\n"


@cache
def recorded(slug: str) -> RecordedSweep | None:
    """The recorded answer to a question, or None where there is none."""
    path = FOLDER / f"{slug}.json"
    if not path.is_file():
        return None
    data = json.loads(path.read_text("utf-8"))
    return RecordedSweep(SweepResult.from_json(json.dumps(data["result"])), data["made"])
