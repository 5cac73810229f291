"""Values to try as people type them, on the page and on the command line."""

import csv
from typing import Any

from core.errors import LabError, shown
from core.sweeps.grid import ALL_ROWS, variable

USUAL = {
    "virtual_tokens": "1, 5, 20",
    "learning_rate": "0.003, 0.01, 0.03, 0.1",
    "rows": f"8, 32, {ALL_ROWS}",
    "steps": "20, 60, 120",
    "batch_size": "4, 16",
}


def usual_values(name: str) -> str:
    """Values of a setting to begin with: all its choices, or a few numbers around the default."""
    setting = variable(name)
    if name in USUAL:
        return USUAL[name]
    if setting.choices:
        return ", ".join(setting.choices)
    default = setting.default if setting.default is not None else next(iter(setting.own_defaults.values()), "")
    return str(default)


def read_values(name: str, text: str) -> tuple[Any, ...]:
    """The values that `text` lists, with commas between them; one with a comma in it stands in quotes. LabError for an empty list.

    >>> read_values("virtual_tokens", "1, 5, 20"), read_values("rows", "8, all")
    ((1, 5, 20), (8, 'all'))
    """
    setting = variable(name)
    cells = [cell for line in csv.reader(str(text or "").splitlines(), skipinitialspace=True) for cell in line]
    words = [cell.strip() if setting.kind is not str or setting.choices else cell for cell in cells]
    found = tuple(setting.read(word) for word in words if word)
    if not found:
        raise LabError(f"There are no values for {shown(setting.label)[1:-1]}: write some with commas between them, such as 1, 5, 20.")
    return found
