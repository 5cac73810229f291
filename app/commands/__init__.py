"""The commands of `python -m app`, a file each: `add` gives a command its options, `run` does it.

`run` returns what `--json` prints, and the text that is printed otherwise; an `Outcome` where the exit code is not 0.
"""

from app.commands import bench, evaluate, nearest, push, record, report, tasks, train

COMMANDS = {
    "tasks": tasks,
    "train": train,
    "evaluate": evaluate,
    "nearest": nearest,
    "report": report,
    "push": push,
    "bench": bench,
    "record": record,
}
