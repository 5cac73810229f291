"""Contenders as a table: a bar with an interval each, and its costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.view.colours import colours
from app.view.glossary import explained
from app.view.html import EMPTY, Html, dim, row, share_cells, table, tag, td, th
from app.view.text import percent
from core.methods import METHODS

COLUMNS = (  # the last three are costs
    ("loss", "mean loss, nats per answer"),
    ("tokens", "positions before the input"),
    ("parameters", "trained parameters"),
    ("examples", "examples that it was trained on, or shows"),
    ("seconds", "seconds of training"),
)


def bars(rows: Sequence[Mapping[str, Any]], caption: str, written: Sequence[str], full: bool = False) -> Html:
    """Contenders as a table with a bar and an interval each (of a group: its range). full: best first, with costs."""
    if not rows:
        return EMPTY
    ink = colours(rows, written)
    most = max(one["n"] for one in rows)
    columns = COLUMNS if full else COLUMNS[:2]
    ordered = sorted(rows, key=lambda one: -one["accuracy"]) if full else rows
    heads = [
        th(explained("contender"), scope="col"),
        "right answers",
        th("% ", dim("95 % interval"), scope="col", class_="num"),
        *(th(name, scope="col", class_="num cost", title=title) for name, title in columns),
    ]
    return table(heads, [_bar(one, ink[one["name"]], most, len(columns)) for one in ordered], caption, class_="bars")


def _bar(one: Mapping[str, Any], ink: str, most: int, columns: int) -> Html:
    first = one.get("first_choice")
    hint = f"the right answer is the first choice of all tokens: {percent(first)}" if first is not None else None
    fewer = (" ", dim(f"of {one['n']}")) if one["n"] != most else ()
    members = ", ".join(one["members"]) if "members" in one else None
    growing = None if one.get("final", True) else dim(" …")
    costs = [
        "–" if one["loss"] is None else f"{one['loss']:.2f}",
        one["positions"] if one["kind"] != "majority" else "–",
        f"{one['parameters']:,}" if one["parameters"] else "–",
        one.get("examples") or "–",
        f"{one['seconds']:.0f}" if one.get("seconds") else "–",
    ]
    cells = [
        th(tag("i", class_="dot"), one["name"], growing, title=members),
        *share_cells(one["accuracy"], one["interval"], *fewer, title=hint),
        *(td(cost, class_="num cost") for cost in costs[:columns]),
    ]
    strong = " strong" if one["kind"] in METHODS else ""
    return row(cells, class_=f"contender{strong}", style=f"--c:{ink}")
