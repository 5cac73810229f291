"""Where the project's own files are, and a line that stays in a file."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "assets"


def append_line(path: Path, line: str) -> None:
    """Add a line to a file: it is on the disk when this returns. OSError where the disk refuses it."""
    with path.open("ab") as file:
        file.write(f"{line}\n".encode())
        file.flush()
        os.fsync(file.fileno())
