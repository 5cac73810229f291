"""python -m app models: the models on this machine, and what each costs."""

import argparse
from pathlib import Path

from app.commands.options import Outcome
from core.display import in_words, text_table
from core.models.installed import in_folder, installed

HELP = "list the models on this machine"
EXAMPLES = """  python -m app models
  python -m app models my-model another/folder
  python -m app models --json"""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("folders", nargs="*", metavar="FOLDER", help="folders with models, in place of those that are installed")


def run(options: argparse.Namespace) -> Outcome:
    found = [in_folder(Path(name).expanduser(), name) for name in options.folders] or list(installed())
    rows = [
        {
            "name": one.name,
            "where": one.where,
            "architecture": one.architecture,
            "parameters": one.parameters or None,
            "disk": one.disk,
            "memory": one.memory or None,
        }
        for one in found
    ]
    if not found:
        text = "No model is installed: name a Hub id or a folder with --model."
    else:
        heads = ("model", "from", "architecture", "parameters", "on disk", "memory in float32")
        cells = [
            (one.name, one.where, one.architecture, _count(one.parameters), in_words(one.disk), in_words(one.memory) if one.memory else "?")
            for one in found
        ]
        text = text_table(heads, cells)
    return Outcome({"models": rows}, text)


def _count(number: int) -> str:
    return f"{number / 1e6:,.0f} M" if number >= 1e6 else f"{number:,}" if number else "?"
