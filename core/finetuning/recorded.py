"""The recorded comparison of methods: assets/spectrum.json, which the command in docs/spectrum.md writes."""

from functools import cache

from core.files import ASSETS
from core.finetuning.result import SpectrumResult

FILE = ASSETS / "spectrum.json"
COMMAND = "python -m app spectrum --task past-tense --template $'Word: {input}\\nAnswer:' --seeds 3 --steps 40 --out assets/spectrum.json"


@cache
def recorded() -> SpectrumResult | None:
    """The recorded result, or None where there is no such file."""
    return SpectrumResult.from_json(FILE.read_bytes()) if FILE.is_file() else None
