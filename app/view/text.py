"""Text and numbers in the form in which people read them. Plain text: what becomes HTML is escaped by app.view.html."""

import datetime
from collections.abc import Sequence

TURNS = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def in_order(text: object) -> str:
    """Text with the signs spelled out that would turn the reading direction of what follows it, our own numbers too.

    >>> in_order("\\u202eabc")
    '\\\\u202eabc'
    """
    return str(text).translate(TURNS)


def token(text: str) -> str:
    """A token legibly: a leading space is dropped if words follow, other white space and broken characters get a sign.

    >>> token(" the"), token("\\n"), token(" "), token("a b")
    ('the', '⏎', '␣', 'a b')
    """
    words = text[1:] if text.startswith(" ") and text.strip() else text
    blank = not words.strip()
    return "".join(_sign(sign, blank) for sign in words) or "∅"


def whole_token(text: str) -> str:
    """A token with every sign of it, its leading space too: for where the exact tokens matter.

    >>> whole_token(" the"), whole_token("a\\n")
    ('␣the', 'a⏎')
    """
    return "".join(_sign(sign, True) for sign in text) or "∅"


def visible(text: str) -> str:
    """Text on one line, with a sign for every line break, tab and unprintable character in it."""
    return "".join(_sign(sign, False) for sign in text)


def _sign(sign: str, blank: bool) -> str:
    if sign == " " and not blank:
        return sign
    if sign in MARKS:
        return MARKS[sign]
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


def cut(text: str, most: int) -> str:
    """`text` on one line, at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def short_name(model: str) -> str:
    """A model's name without its owner or folder."""
    return model.rsplit("/", 1)[-1]


def day(date: str) -> str:
    """An ISO date in words; any other text unchanged.

    >>> day("2026-11-24"), day("then")
    ('24 Nov 2026', 'then')
    """
    try:
        found = datetime.date.fromisoformat(date)
    except ValueError:
        return date
    return f"{found.day} {found:%b %Y}"


def percent(share: float) -> str:
    """A share in percent.

    >>> percent(0.724)
    '72 %'
    """
    return f"{100 * share:.0f} %"


def span(ends: Sequence[float]) -> str:
    """An interval of shares in percent.

    >>> span((0.2, 0.31))
    '20–31'
    """
    low, high = ends
    return f"{100 * low:.0f}–{100 * high:.0f}"


def in_list(names: Sequence[str]) -> str:
    """Names with commas, and "and" before the last.

    >>> in_list(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), *names[-1:]])
