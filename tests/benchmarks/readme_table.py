"""README's table of accuracies, with the share that is exact: right, and then the model stops.

    python tests/benchmarks/readme_table.py --dtype fast [--tasks past-tense,plural] [--out table.jsonl]

Each task is trained with the default recipe, then scored with its handcrafted prompts on the held-out rows. A line of the table is
printed as soon as it is known. Exact has no meaning for labels, which are chosen among a few words.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core import Recipe, load_model, load_task, train
from core.scoring.score import Score

TASKS = (
    *("past-tense", "plural", "capitalise", "first-of-five", "dates", "number-words", "person-json", "negate", "opposites", "capitals"),
    *("news", "question-type", "sentiment", "swapped-sentiment", "shuffled-news", "french"),
)
COLUMNS = ("no prompt", "best without examples", "best with 4 examples", "ten learned vectors")


def cell(score: Score | None) -> str:
    """Right with its interval, and exact."""
    if score is None:
        return "–"
    low, high = (round(100 * end) for end in score.interval)
    exact = "" if score.exact is None else f", exact {score.exact:.0%}"
    return f"{score.accuracy:.0%} ({low}-{high}){exact}"


def columns(scores: list[Score]) -> list[Score | None]:
    """The scores of `COLUMNS`. The best prompts are chosen after seeing the scores, which flatters them."""
    written = [score for score in scores if score.kind == "handcrafted"]

    def best(of: list[Score]) -> Score | None:
        return max(of, key=lambda score: score.accuracy, default=None)

    return [
        best([score for score in scores if score.kind == "none"]),
        best([score for score in written if not score.examples]),
        best([score for score in written if score.examples]),
        best([score for score in scores if score.kind == "prompt"]),
    ]


def main() -> None:
    """Train and print."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--tasks", default=",".join(TASKS))
    made.add_argument("--dtype", default="float32")
    made.add_argument("--out", default="", help="append the scores as lines of JSON")
    options = made.parse_args()
    lm = load_model(dtype=options.dtype)
    print("| task (held-out rows) |", " | ".join(COLUMNS), "|\n|" + "---|" * (1 + len(COLUMNS)))
    for slug in options.tasks.split(","):
        task = load_task(slug)
        scores = list(train(lm, task, Recipe.from_settings({**task.recipe, "task": slug}), progress=False).record.held_out.values())
        rows = max(score.n for score in scores)
        print(f"| `{slug}` ({rows}) |", " | ".join(map(cell, columns(scores))), "|", flush=True)
        if options.out:
            with Path(options.out).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"task": slug, "scores": [score.to_dict() for score in scores]}) + "\n")


if __name__ == "__main__":
    main()
