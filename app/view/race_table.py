"""The results of a race as a table."""

from collections.abc import Mapping, Sequence

from app.view.colours import inks
from app.view.html import EMPTY, Html, dim, row, share_cells, table, tag, td, th, wide
from app.view.text import percent
from core.runs.race import Lap, Placed


def race_table(names: Mapping[str, str], laps: Sequence[Lap], placed: Mapping[str, Placed]) -> Html:
    """The result of every entry: on its training rows, and on held-out rows."""
    if not placed:
        return EMPTY
    misused = any(one.misused for one in placed.values())
    colour, rows = inks(names), []
    for name, one in placed.items():
        losses = [lap.loss for lap in laps if lap.name == name][-5:]
        cells = [
            th(tag("i", class_="dot"), names[name]),
            *share_cells(one.held_out.accuracy, one.held_out.interval),
            percent(one.seen.accuracy),
            f"{sum(losses) / len(losses):.2f}" if losses else "–",
            td(f"{one.parameters:,}", class_="num cost"),
            *([percent(one.misused.accuracy) if one.misused else "–"] if misused else []),
        ]
        rows.append(row(cells, numbers=range(3, 7), class_="contender", style=f"--c:{colour[name]}"))
    more = [
        ("on its training rows", "num", "right answers on its own training rows"),
        ("training loss", "num", "mean of the last five steps, nats per token"),
        ("parameters", "num cost", "trained parameters"),
        *([("right, then misused", "num", "trained correctly, then used with this mistake")] if misused else []),
    ]
    heads = ["entry", "held-out rows right", th("% ", dim("95 % interval"), scope="col", class_="num")]
    heads += [th(word, scope="col", class_=kind, title=hint) for word, kind, hint in more]
    caption = f"Right answers on {next(iter(placed.values())).held_out.n} held-out rows, scored once"
    return wide(table(heads, rows, caption, class_="bars csv"))
