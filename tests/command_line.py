"""Commands called as people call them."""

import json

from app.__main__ import main

SHORT = ("--steps", "3", "--virtual-tokens", "4", "--batch-size", "4")


def call(capsys, *arguments) -> dict:
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)  # JSON and nothing else on standard output


def error(capsys, *arguments) -> str:
    """The sentence that a command ends with, after exit code 2."""
    assert main([*map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if line and not line.startswith("loading")]
    assert out == "" and len(lines) == 1 and lines[0].startswith("error: ") and lines[0].endswith(".")
    return lines[0]
