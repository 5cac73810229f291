"""How a file was read: the sentence, its first rows, and the notes."""

from typing import Any

from app.view.html import Html, join, note, table, tag, td, tokens
from app.view.text import cut
from core.errors import LabError
from core.models.language_model import LanguageModel
from core.scoring.rows import encode
from core.tasks.columns import Columns, decide, pieces
from core.tasks.table import Table
from core.tasks.task import Task

SHOWN_ROWS = 5
SHOWN_COLUMNS = 8
PREVIEWED = 5

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


def sentence(brought: Table, columns: Columns) -> Html:
    """How a table is read, before it is made a task: with the labels that its cells have."""
    labels = tuple(dict.fromkeys(filter(None, brought.column(columns.output)))) if columns.kind == "labels" else None
    words = columns.words
    return said(brought, columns, tuple(dict.fromkeys(words.get(label, label) for label in labels)) if labels else None)


def decided(brought: Table, chosen: Columns | None = None) -> tuple[Columns, Html]:
    """How a table is read, as far as `chosen` leaves it open, and that in a sentence. LabError where it can't be."""
    found = decide(brought, chosen)
    return found, sentence(brought, found)


def preview(lm: LanguageModel, task: Task) -> Html:
    """The tokens of the first rows: what the model gets, and what it must produce. LabError for a row that can't be used."""

    def shown(ids: Any) -> Html:
        return tokens(lm.texts(ids))

    encoded = encode(lm, task.template, task.train[:PREVIEWED], task.labels)
    rows = []
    for one in encoded:
        wanted = sorted(one.candidates or [one.answer], key=lambda ids: ids != one.answer)[:8]
        rows.append(
            [td(shown(one.prompt[-120:])), join(tag("div", shown(ids), class_="right" if ids == one.answer else "dim") for ids in wanted)]
        )
    longest = max(len(one.prompt) + max([len(one.answer), *map(len, one.candidates)]) for one in encoded)
    heads = ["the model gets", "and chooses among" if task.labels else "and must produce"]
    caption = f"The first {len(rows)} training rows as tokens (␣: a space, ⏎: a line break); up to {longest} tokens each"
    return summary(task) + table(heads, rows, caption, class_="said")


def read_words(text: Any) -> dict[str, str]:
    """`label = word` lines as a table. LabError, naming the line, for one that is not like that.

    The first " = " parts them: a label may hold a "=", and so may its word.
    """
    words = {}
    for number, line in enumerate(str(text or "").splitlines(), start=1):
        if not line.strip():
            continue
        label, sign, word = line.partition(" = ") if " = " in line else line.rpartition("=")
        if not sign or not label.strip() or not word.strip():
            raise LabError(f"Line {number} of the label words is not in the form label = word: write one label per line.")
        words[label.strip()] = word.strip()
    return words
