"""Tables for a prompt (plain text) and for a notebook (HTML with every text escaped)."""

import html
from collections.abc import Mapping, Sequence


def text_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in plain text, its columns as wide as their widest cell."""
    lines = [tuple(heads), *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table for a notebook; every cell is text."""
    head = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td style='text-align:left'>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def described(title: str, facts: Mapping[str, object]) -> str:
    """An object as a small table for a notebook."""
    return f"<p><b>{html.escape(title)}</b></p>{html_table(('', ''), [(name, str(value)) for name, value in facts.items()])}"


def in_words(size: int) -> str:
    """A number of bytes for people.

    >>> in_words(5_240_000_000), in_words(37_000_000), in_words(900)
    ('5.2 GB', '37 MB', '1 kB')
    """
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def time_in_words(seconds: float) -> str:
    """A time for people.

    >>> time_in_words(7.4), time_in_words(200.0), time_in_words(9000.0)
    ('7 s', '3 min', '2.5 h')
    """
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
