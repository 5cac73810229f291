"""The commands of `python -m app`, a file each.

HELP says what a command does and EXAMPLES how, `add` gives it its options, and `run` does it. Libraries that take long to import
(torch, transformers, scipy, gradio, plotly) are imported in `run`, after the options have been checked.
"""

from app.commands import (
    atlas,
    bench,
    evaluate,
    models,
    nearest,
    push,
    read,
    record,
    report,
    scoreboard,
    spectrum,
    sweep,
    tasks,
    text_search,
    train,
)

COMMANDS = {
    "models": models,
    "tasks": tasks,
    "read": read,
    "train": train,
    "sweep": sweep,
    "evaluate": evaluate,
    "spectrum": spectrum,
    "scoreboard": scoreboard,
    "nearest": nearest,
    "text-search": text_search,
    "report": report,
    "push": push,
    "bench": bench,
    "record": record,
    "atlas": atlas,
}
