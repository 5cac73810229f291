"""python -m core record: train a task's default recipe and write what the page shows of it, as a recording."""

import argparse
from collections import deque
from pathlib import Path
from typing import Any

from ..recipe import Recipe
from .options import add_model, command, load

EXAMPLES = "  python -m core record past-tense assets/recordings/past-tense.json --dtype float32"


def add(commands: Any) -> None:
    made = command(commands, "record", "train a task's default recipe and write what the page shows of it, as JSON", EXAMPLES)
    made.add_argument("task", help="a built-in task")
    made.add_argument("out", metavar="FILE.json")
    add_model(made)


def run(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    import datetime

    from ..reading import Vocabulary
    from ..record import new_record, training_job
    from ..run import Scorebook, lines
    from ..task import load_task

    task = load_task(options.task)
    recipe = Recipe.from_dict({**task.recipe, "task": task.slug})
    lm = load(options)
    record = new_record(task, recipe)
    book = Scorebook()
    deque(lines(lm, task, book), maxlen=0)  # as on the page, where they are scored while nobody trains
    deque(training_job(lm, task, recipe, Vocabulary(lm), book, record, lambda: False), maxlen=0)
    today = datetime.date.today().isoformat()
    record.recorded = f"{today}, {lm.name.rsplit('/', 1)[-1]}, {lm.device.type}, {lm.dtype_name}"
    Path(options.out).write_text(record.to_json(), "utf-8")
    size = Path(options.out).stat().st_size
    return {"out": options.out, "bytes": size}, f"{options.out}: {size / 1000:.0f} kB"
