"""The one exception that is meant for people."""


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
