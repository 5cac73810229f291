"""Contenders as a table: a bar with an interval each, and its costs."""

from collections.abc import Collection, Sequence

from app.view.colours import colours
from app.view.glossary import explained
from app.view.html import EMPTY, Html, dim, row, share_cells, table, tag, td, th
from app.view.text import percent
from core.scoring.score import Score

COLUMNS = (  # the last three are costs
    ("exact", "right, and then the model stops: it ends the text or begins a new line"),
    ("loss", "mean loss, nats per answer"),
    ("tokens", "positions before the input"),
    ("parameters", "trained parameters"),
    ("examples", "examples that it was trained on, or shows"),
    ("seconds", "seconds of training"),
)


def bars(scores: Collection[Score], caption: str, written: Sequence[str], full: bool = False) -> Html:
    """Contenders as a table with a bar and an interval each (of a group: its range). full: best first, with costs."""
    if not scores:
        return EMPTY
    ink = colours(scores, written)
    most = max(score.n for score in scores)
    shown = COLUMNS if any(score.exact is not None for score in scores) else COLUMNS[1:]  # of labels there is no exact
    columns = shown if full else shown[:-3]
    ordered = sorted(scores, key=lambda score: -score.accuracy) if full else scores
    heads = [
        th(explained("contender"), scope="col"),
        "right answers",
        th("% ", dim("95 % interval"), scope="col", class_="num"),
        *(th(name, scope="col", class_="num cost", title=title) for name, title in columns),
    ]
    return table(heads, [_bar(score, ink[score.name], most, [name for name, _ in columns]) for score in ordered], caption, class_="bars")


def _bar(score: Score, ink: str, most: int, columns: Sequence[str]) -> Html:
    first = score.first_choice
    hint = f"the right answer is the first choice of all tokens: {percent(first)}" if first is not None else None
    fewer = (" ", dim(f"of {score.n}")) if score.n != most else ()
    members = ", ".join(score.members) or None
    growing = None if score.final else dim(" …")
    costs = {
        "exact": "–" if score.exact is None else percent(score.exact),
        "loss": "–" if score.loss is None else f"{score.loss:.2f}",
        "tokens": score.positions if score.kind != "majority" else "–",
        "parameters": f"{score.parameters:,}" if score.parameters else "–",
        "examples": score.examples or "–",
        "seconds": f"{score.seconds:.0f}" if score.seconds else "–",
    }
    cells = [
        th(tag("i", class_="dot"), score.name, growing, title=members),
        *share_cells(score.accuracy, score.interval, *fewer, title=hint),
        *(td(costs[name], class_="num cost") for name in columns),
    ]
    strong = " strong" if score.learned else ""
    return row(cells, class_=f"contender{strong}", style=f"--c:{ink}")
