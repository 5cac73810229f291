"""python -m app tasks: list the built-in tasks."""

import argparse

from app.commands.options import Outcome
from core.tasks.built_in import slugs
from core.tasks.load import load_task

HELP = "list the built-in tasks"
EXAMPLES = """  python -m app tasks
  python -m app tasks --json"""


def add(made: argparse.ArgumentParser) -> None:
    """It has no options of its own."""


def run(options: argparse.Namespace) -> Outcome:
    tasks = [load_task(slug) for slug in slugs()]
    rows = [
        {
            "slug": t.slug,
            "name": t.name,
            "labels": t.labels,
            "train": len(t.train),
            "validation": len(t.validation),
            "held_out": len(t.held_out),
        }
        for t in tasks
    ]
    width = max(len(task.slug) for task in tasks)
    return Outcome({"tasks": rows}, "\n".join(f"{task.slug:{width}}  {task.teaches}" for task in tasks))
