"""The recorded scoreboard: assets/scoreboard.json, which the command in docs/scoreboard.md writes."""

from functools import cache

from core.files import ASSETS
from core.sweeps.result import from_json
from core.truths.result import Board

FILE = ASSETS / "scoreboard.json"
COMMAND = "python -m app scoreboard --dtype fast --prompts 1 --out assets/scoreboard.json"


@cache
def recorded() -> Board | None:
    """The recorded result, or None where there is no such file."""
    return from_json(Board, FILE.read_bytes(), "a recorded scoreboard") if FILE.is_file() else None
