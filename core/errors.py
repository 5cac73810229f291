"""The one exception that is meant for people, and what helps to write its messages."""

import textwrap
from pathlib import Path


class LabError(Exception):
    """Something a person can put right. Its message is one sentence: what is wrong, and what to do.

    The command line prints it and exits with 2; the page shows it and changes nothing.
    """


def shown(text: object, limit: int = 60) -> str:
    """`text` made fit to stand inside a message: one line, quoted, not longer than `limit` characters.

    >>> shown("a\\nb")
    "'a\\\\nb'"
    """
    quoted = repr(str(text))
    return quoted if len(quoted) <= limit else quoted[: limit - 2] + "…'"


def reason(error: BaseException, limit: int = 160) -> str:
    """An error's first line, or its type where it says nothing, cut between words, to stand in brackets.

    >>> reason(ValueError("too long. \\nmore"))
    'too long'
    """
    first = (str(error).strip().splitlines() or [""])[0]
    return textwrap.shorten(first or type(error).__name__, limit, placeholder=" …").rstrip(".")


def as_path(name: str | Path) -> Path:
    """`name` as a path that can be asked whether it exists. LabError where it can't: too long, not allowed, not a name.

    >>> as_path("x" * 5000)
    Traceback (most recent call last):
    core.errors.LabError: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…' can't be opened: check the path.
    """
    path = Path(name)
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        raise LabError(f"{shown(name)} can't be opened: check the path.") from error
    return path
