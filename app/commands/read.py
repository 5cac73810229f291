"""python -m app read: how a file is read as a task, without a model."""

import argparse

from app.commands.options import Outcome
from app.commands.rows import TASKS, add_rows, load_reading

HELP = "show how a file of rows is read: columns, labels, parts"
EXAMPLES = """  python -m app read reviews.csv
  python -m app read survey.xlsx --sheet 2024 --columns comment,rating --words "1,2=bad,3=okay,4,5=good"
  python -m app read pairs.tsv --json"""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("task", metavar="FILE", help=TASKS)
    made.add_argument("--template", default="", help="the text around {input}, or with a {column} for each column that goes in")
    add_rows(made)


def run(options: argparse.Namespace) -> Outcome:
    options.test = None
    made = load_reading(options)
    result = made.to_dict()
    rows = result["rows"]
    lines = [
        made.sentence,
        f"template: {result['template']!r}",
        *([f"labels: {', '.join(result['labels'])}"] if result["labels"] else []),
        f"rows: {rows['train']} to train on, {rows['validation']} for validation, {rows['held_out']} held out",
        f"encoding: {result['encoding']}",
        *(f"note: {note}" for note in result["notes"]),
        "",
        *(f"{example.input!r} -> {example.output!r}" for example in made.task.train[:5]),
    ]
    return Outcome(result, "\n".join(lines))
