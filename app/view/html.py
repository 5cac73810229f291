"""HTML in which text is escaped: a plain string that is put into `Html` is text, and only `Html` is markup."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from app.view.text import in_order, percent, span, whole_token


class Html(Markup):
    """Trusted HTML. `format`, `join` and `+` escape plain strings, and spell out signs that turn the reading direction.

    >>> Html("<b>{}</b>").format("a < b")
    Html('<b>a &lt; b</b>')
    """

    @classmethod
    def escape(cls, s: Any, /) -> "Html":
        """`s` as HTML: trusted HTML as it is, anything else as text."""
        return cls(Markup.escape(s if hasattr(s, "__html__") else in_order(s)))


class Cell(Html):
    """A finished cell of a table, `<td>` or `<th>`."""


EMPTY = Html("")


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element. Children that are None are left out, as are attributes that are None or False; True and False of `aria_` are written.

    >>> tag("button", "a < b", class_="cell", data_token=3, aria_pressed=False, title=None)
    Html('<button class="cell" data-token="3" aria-pressed="false">a &lt; b</button>')
    """
    written = EMPTY
    for key, value in attributes.items():
        key = key.rstrip("_").replace("_", "-")
        if isinstance(value, bool) and key.startswith("aria-"):
            value = str(value).lower()
        if value is not None and value is not False:
            written += Html(' {}="{}"').format(key, value)
    return Html("<{}{}>{}</{}>").format(name, written, join(children), name)


def join(pieces: Iterable[object], between: str = "") -> Html:
    """Pieces of HTML and text in a row; those that are None are left out.

    >>> join(["a < b", tag("b", "c")], ", ")
    Html('a &lt; b, <b>c</b>')
    """
    return Html.escape(between).join(Html.escape(piece) for piece in pieces if piece is not None)


def note(*children: object, **attributes: object) -> Html:
    """A remark in small print."""
    return tag("p", *children, class_="note", **attributes)


def dim(*children: object) -> Html:
    """Secondary words, in grey."""
    return tag("span", *children, class_="dim")


def bold(text: object) -> Html:
    """A word in bold."""
    return tag("b", text)


def lines(*pieces: object) -> Html:
    """Pieces one below the other."""
    return join((piece for piece in pieces if piece), Html("<br>"))


def alert(text: str) -> Html:
    """A sentence about something to put right, or nothing."""
    return tag("p", text, class_="message", role="alert") if text else EMPTY


def details(summary: str, *children: object, **attributes: object) -> Html:
    """Something that is read after a click."""
    return tag("details", tag("summary", summary), *children, **attributes)


def tokens(texts: Sequence[str]) -> Html:
    """Tokens side by side, each with every sign of it."""
    return join((tag("span", whole_token(text), class_="tok") for text in texts), " ")


# --- tables -----------------------------------------------------------------------------------------------------------


def td(*children: object, **attributes: object) -> Cell:
    return Cell(tag("td", *children, **attributes))


def th(*children: object, scope: str = "row", **attributes: object) -> Cell:
    return Cell(tag("th", *children, scope=scope, **attributes))


def row(cells: Sequence[object], numbers: Collection[int] = (), **attributes: object) -> Html:
    """A row, whose first cell is its heading. numbers: the columns of numbers. A `Cell` stays as it is."""
    made = (
        cell if isinstance(cell, Cell) else td(cell, class_="num" if place in numbers else None) if place else th(cell)
        for place, cell in enumerate(cells)
    )
    return tag("tr", *made, **attributes)


def table(
    heads: Sequence[object],
    rows: Iterable[Html | Sequence[object]],
    caption: object = "",
    numbers: Collection[int] = (),
    class_: str = "said csv",
) -> Html:
    """A table. rows: each as its cells, or made by `row`. numbers: the columns of numbers. class_: "csv" brings a button to save it."""
    above = (
        head if isinstance(head, Cell) else th(head, scope="col", class_="num" if i in numbers else None) for i, head in enumerate(heads)
    )
    body = (one if isinstance(one, Html) else row(one, numbers) for one in rows)
    return tag(
        "table",
        tag("caption", caption) if caption else None,
        tag("thead", tag("tr", *above)) if heads else None,
        tag("tbody", *body),
        class_=class_,
    )


def wide(made: Html) -> Html:
    """A table that scrolls sideways where it is wider than the page."""
    return tag("div", made, class_="wide")


def button(*children: object, **attributes: object) -> Html:
    return tag("button", *children, type="button", **attributes)


def vector_button(vector: int, *children: object, class_: str = "number", **attributes: object) -> Html:
    """A button that marks a vector everywhere. children: in place of its number."""
    return button(*(children or [vector + 1]), class_=class_, data_token=vector, **attributes)


def share_bar(share: float, ends: Sequence[float]) -> Html:
    """A share as a bar, with its interval."""
    low, high = (100 * end for end in ends)
    place = f"left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"
    return tag("div", tag("b", style=f"width:{100 * share:.1f}%"), tag("u", style=place), class_="bar")


def share_cells(share: float, ends: Sequence[float], *more: object, **attributes: object) -> tuple[Cell, Cell]:
    """Two cells: a share as a bar and as a number, with its interval. more: goes between the number and the interval."""
    number = td(tag("strong", percent(share)), *more, " ", dim(span(ends)), class_="num", **attributes)
    return td(share_bar(share, ends), class_="barcell"), number
