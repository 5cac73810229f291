"""Recorded runs: which there are, and what each held. A page shows one before its model is loaded."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import LabError, shown
from core.files import ASSETS
from core.recipe import Recipe

if TYPE_CHECKING:
    from core.runs.record import RunRecord

FOLDER = ASSETS / "recordings"
RECIPES = FOLDER / "recipes.json"


@dataclass(frozen=True)
class RecordedRun:
    """A run that was recorded beforehand; `recorded` reads its `RunRecord`. told: what it shows (tests compare it with the scores)."""

    slug: str
    title: str
    told: str
    recipe: Recipe

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.slug}.json"


@cache
def listed() -> tuple[RecordedRun, ...]:
    """All recordings that `make recordings` makes, in the order in which the page offers them."""
    read = json.loads(RECIPES.read_text("utf-8"))
    return tuple(RecordedRun(one["slug"], one["title"], one["told"], Recipe.from_dict(one["recipe"])) for one in read)


@cache
def recordings() -> tuple[RecordedRun, ...]:
    """Those that have been made."""
    return tuple(one for one in listed() if one.path.is_file())


@cache
def recorded(slug: str) -> "RunRecord":
    """What the recording `slug` holds, read from its file the first time only. LabError for one that isn't there."""
    found = next((one for one in recordings() if one.slug == slug), None)
    if found is None:
        raise LabError(f"There is no recording {shown(slug)}: choose one of {', '.join(one.slug for one in recordings())}.")
    from core.runs.record_json import record_from_json  # here: it needs torch, and a list of recordings does not

    return record_from_json(found.path.read_bytes())
