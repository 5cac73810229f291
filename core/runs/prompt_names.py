"""Names of learned prompts: a folder or zip here, or a repository of the Hub."""

import re

from core.errors import LabError, as_path, shown

NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)


def repository(name: str) -> str | None:
    """The repository of the Hub that `name` means (owner/name, or hub:owner/name); None where it is a file or folder here.

    Raises LabError for any other name.
    """
    if as_path(name).exists():
        return None
    repo = name.removeprefix("hub:")
    if not NAME.fullmatch(repo):
        raise LabError(
            f"There is no learned prompt at {shown(name)}: name a folder or zip saved here or by PEFT, or a Hub id (owner/name)."
        )
    return repo
