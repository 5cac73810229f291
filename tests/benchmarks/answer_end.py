"""What an answer should end with in training: nothing, the model's end token, or a new line and that token: trains each, and measures.

    python tests/benchmarks/answer_end.py [--tasks past-tense,plural] [--steps 60] [--seed 0] [--out results.jsonl]

A line of JSON for each run: the shares of rows that are right, and right and then stop, on validation rows (on which the default is
chosen) and on held-out rows (to report); and of `STOPPING` held-out rows the share whose greedy answer ends within `MOST` tokens.
Runs that the file already holds are left out. `--table` prints the file as a table.
"""

import argparse
import csv
import json
import random
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core import Recipe, load_model, load_task
from core.models.language_model import LanguageModel
from core.recipe import SETTINGS
from core.runs.run import Trained, repeat
from core.scoring.contender import Contender
from core.scoring.score import score
from core.tasks.built_in import slugs
from core.tasks.task import Task

STOPPING, MOST = 16, 32
COLOURS = ["red", "blue", "green", "black", "white", "brown", "grey", "pink", "yellow", "orange", "purple", "golden"]
THINGS = ["dog", "cat", "house", "car", "tree", "boat", "book", "chair", "table", "lamp", "door", "cup", "horse", "train", "coat", "shoe"]


def own_tasks(folder: Path) -> list[Task]:
    """Two tasks that are not among the built-in ones: one with short answers, one with a sentence."""
    pairs = list(product(COLOURS, THINGS))
    random.Random(0).shuffle(pairs)
    made = {
        "swap": [(f"{colour}, {thing}", f"{thing}, {colour}") for colour, thing in pairs[:160]],
        "sentence": [(f"{colour}, {thing}", f"I have a {thing} that is {colour}.") for colour, thing in pairs[:160]],
    }
    for name, rows in made.items():
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("input", "output"), *rows])
    return [replace(load_task(str(folder / f"{name}.csv")), slug=name) for name in made]


def stops(lm: LanguageModel, contender: Contender, text: str) -> bool:
    """Whether a greedy answer ends, by a stop token or a new line, within `MOST` tokens."""
    from core.scoring.answering import _ready

    cache, rest = _ready(lm, contender, text, MOST)
    said = list(lm.generate(cache, rest, MOST))
    return len(said) < MOST or "\n" in lm.tokenizer.decode(said).lstrip()


def measure(lm: LanguageModel, task: Task, recipe: Recipe) -> dict[str, float]:
    """Train and score one run."""
    learned = next(event.contender for event in repeat(lm, task, recipe, "learned") if isinstance(event, Trained))
    held_out = score(lm, learned, task.held_out, task.labels)
    validation = score(lm, learned.for_validation(), task.validation, task.labels)
    rows = [example.input for example in task.held_out][:STOPPING]
    return {
        "validation": validation.accuracy,
        "validation_exact": validation.exact or 0.0,
        "right": held_out.accuracy,
        "exact": held_out.exact or 0.0,
        "stops": sum(stops(lm.for_scoring, learned, text) for text in rows) / len(rows),
        "seconds": learned.seconds,
    }


def table(path: Path) -> str:
    """The file's runs, one row for each task and seed, and their means."""
    ends = SETTINGS["end"].choices
    found: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    for line in path.read_text("utf-8").splitlines():
        run = json.loads(line)
        found.setdefault((run["task"], run["seed"]), {})[run["end"]] = run
    measured = ("validation", "validation_exact", "right", "exact", "stops")
    lines = ["| task | " + " | ".join(f"{name.replace('_', ' ')}: {' / '.join(ends)}" for name in measured) + " |"]
    lines.append("|---" * (len(measured) + 1) + "|")
    whole = {key: runs for key, runs in found.items() if set(runs) == set(ends)}

    def cells(runs: list[dict[str, dict[str, float]]]) -> str:
        means = [[sum(run[end][name] for run in runs) / len(runs) for end in ends] for name in measured]
        return " | ".join(" / ".join(f"{100 * share:.0f}" for share in row) for row in means)

    lines += [f"| {task} | {cells([runs])} |" for (task, _), runs in whole.items()]
    return "\n".join([*lines, *([f"| **mean of {len(whole)}** | {cells(list(whole.values()))} |"] if whole else [])])


def main() -> None:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tasks", default="")
    made.add_argument("--ends", default=",".join(SETTINGS["end"].choices))
    made.add_argument("--steps", type=int, default=60)
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--dtype", default="float32")
    made.add_argument("--out", type=Path, default=Path("answer_end.jsonl"))
    made.add_argument("--table", action="store_true")
    options = made.parse_args()
    if options.table:
        print(table(options.out))
        return
    known = [json.loads(line) for line in options.out.read_text("utf-8").splitlines()] if options.out.is_file() else []
    done = {(run["task"], run["end"], run["seed"]) for run in known}
    lm = load_model(dtype=options.dtype)
    with tempfile.TemporaryDirectory() as folder:
        tasks = [load_task(slug) for slug in slugs()] + own_tasks(Path(folder))
        named = options.tasks.split(",") if options.tasks else [task.slug for task in tasks if not task.labels]
        tasks = [task for task in tasks if task.slug in named]
        for task in tasks:
            for end in options.ends.split(","):
                if (task.slug, end, options.seed) in done:
                    continue
                recipe = Recipe.from_settings({**task.recipe, "task": task.slug, "steps": options.steps, "seed": options.seed, "end": end})
                run = {"task": task.slug, "end": end, "seed": options.seed, **measure(lm, task, recipe)}
                with options.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(run) + "\n")
                print(run, flush=True)


if __name__ == "__main__":
    main()
