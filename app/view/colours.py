"""Colours. A contender keeps its colour on every page and plot."""

from collections.abc import Collection, Iterable, Sequence
from itertools import cycle

from core.scoring.score import Score

# Okabe and Ito's colours, which colour-blind people can tell apart.
LEARNED = "#0072B2"
CONTROL = "#8A63A6"
PLAIN = "#767676"
HANDCRAFTED = ("#D55E00", "#009E73", "#B8860B", "#CC79A7", "#56A0D3", "#8B5A2B", "#5F8C2A", "#A0522D")
INKS = (LEARNED, *HANDCRAFTED)
SPECIAL = {"control": CONTROL, "snapped": "#4C9BC8", "the start": PLAIN}  # by how their names begin


def colours(scores: Collection[Score], written: Sequence[str]) -> dict[str, str]:
    """Name -> colour, by kind; handcrafted ones by their place in `written` (the task's own order), so always the same."""
    order = list(dict.fromkeys([*written, *(score.name for score in scores if score.kind == "handcrafted")]))
    found = {}
    for score in scores:
        if score.kind == "handcrafted":
            found[score.name] = HANDCRAFTED[order.index(score.name) % len(HANDCRAFTED)]
        else:
            special = next((ink for start, ink in SPECIAL.items() if score.name.startswith(start)), LEARNED)
            found[score.name] = special if score.learned else PLAIN
    return found


def inks(names: Iterable[str]) -> dict[str, str]:
    """Name -> colour, by place: the others are compared with the first."""
    return dict(zip(names, cycle(INKS), strict=False))
