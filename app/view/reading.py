"""How a file was read: the sentence, its first rows, and the notes."""

from app.view.html import Html, join, note, table, tag, td
from app.view.text import cut
from core.tasks.columns import Columns, pieces
from core.tasks.table import Table
from core.tasks.task import Task

SHOWN_ROWS = 5
SHOWN_COLUMNS = 8

WELCOME = Html(
    "<h2>Train on rows of your own</h2><p>Two columns are enough: what goes in, and what should come out. Paste them, or drop a file: a "
    "spreadsheet, CSV, JSON, a Markdown table, or lines like <b>France -> Paris</b>. 50 rows work; 200 work better. How the file was read is "
    "shown here at once, and each part of it can be changed. Some rows are held out, chosen by their content, and rows that repeat each other "
    "stay on one side. This server keeps the rows while this page is open.</p>"
)


def said(brought: Table, columns: Columns, labels: tuple[str, ...] | None) -> Html:
    """What was decided, in one sentence, the names of columns set off."""
    return tag("p", join(tag("em", cut(text, 60)) if name else text for text, name in pieces(brought, columns, labels)), class_="reading")


def first_rows(brought: Table, columns: Columns | None) -> Html:
    """The first rows: the columns that go in, the one that comes out, then others."""
    used = [*columns.inputs, columns.output] if columns else []
    names = [*used, *(name for name in brought.columns if name not in used)][:SHOWN_COLUMNS]
    places = [brought.columns.index(name) for name in names]
    roles = {**dict.fromkeys(columns.inputs, " (in)"), columns.output: " (out)"} if columns else {}
    rows = [
        [td(cut(cells[place], 80), class_="" if name in used else "dim") for name, place in zip(names, places, strict=True)]
        for cells in brought.rows[:SHOWN_ROWS]
    ]
    more = len(brought.columns) - len(names)
    caption = f"The first of {len(brought.rows):,} rows" + (f"; {more} more columns" if more else "")
    return tag("div", table([cut(name, 40) + roles.get(name, "") for name in names], rows, caption, class_="said"), class_="wide")


def summary(task: Task) -> Html:
    """How a task's rows are parted, and what was left out."""
    kind = f"{len(task.labels)} labels: {', '.join(task.labels)}" if task.labels else "free answers"
    counts = f"{len(task.train):,} rows to train on, {len(task.validation):,} for validation, {len(task.held_out):,} held out; {kind}."
    return join([tag("h2", task.name), tag("p", cut(counts, 600)), *(note(cut(one, 1000)) for one in task.notes)])
