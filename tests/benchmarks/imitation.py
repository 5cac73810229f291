"""The control of imitation: how like a task's worked examples a prompt is that was trained on the rows' answers, not on a teacher.

    python tests/benchmarks/imitation.py --task past-tense --dtype fast

One line of JSON per handcrafted prompt with examples: the likeness on the held-out rows, as `python -m app train --loss imitate --json`
gives it, and on how many rows both are right.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core import Recipe, Training, load_model, load_task, score
from core.runs.contest import common_rows
from core.runs.imitation import measure
from core.runs.scorebook import Scorebook
from core.scoring.contender import bare, written
from core.scoring.derived_contenders import started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="past-tense")
    parser.add_argument("--dtype", default="fast")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    lm, task = load_model(dtype=options.dtype), load_task(options.task)
    training = Training(lm, task, Recipe(task=options.task, steps=options.steps))
    state = training.start()
    first = training.show(state).snapshot()
    _, state = training.advance(state, options.steps)
    training.show(state, best=True)
    learned = training.contender()
    for prompt in task.handcrafted:
        teacher = written(task, prompt)
        if not teacher.examples:
            continue
        rows = common_rows(task.held_out, [learned, teacher])
        pieces = measure(lm, task, teacher, [learned, started(lm, learned, first), bare(task)], rows, Scorebook())
        found = yield_all(pieces)
        own, theirs = (score(lm, one, rows, task.labels).results for one in (learned, teacher))
        both = sum(a.correct and b.correct for a, b in zip(own, theirs, strict=True))
        print(json.dumps({"teacher": prompt.name, "both_right": both, "n": len(rows), "learned": asdict(found.learned)}), flush=True)


def yield_all(pieces):
    """What a generator returns at its end."""
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            return end.value


if __name__ == "__main__":
    main()
