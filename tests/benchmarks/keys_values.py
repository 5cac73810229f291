"""Keys or values: a trained K/V prefix mixed with another one, prefixes of which one part alone is trained, and the untrained control.

    python tests/benchmarks/keys_values.py --task past-tense --other start --other seed --other plural
    python tests/benchmarks/keys_values.py --task past-tense --parts
    python tests/benchmarks/keys_values.py --task past-tense --method prompt --untrained

One line of JSON per mix on validation rows (`right` with its 95 % interval), or per run on held-out rows.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from core import Recipe, load_model, load_task, score
from core.probes.keys_values import Mixed, mix
from core.probes.vectors import put_in
from core.runs.run import Trained, repeat
from core.runs.scorebook import Scorebook
from core.runs.untrained_control import on_random_weights
from core.training.start import create


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="past-tense")
    parser.add_argument("--other", action="append", default=[], help="start, seed, or another task; several times")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--untrained", action="store_true")
    parser.add_argument("--method", default="prefix")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", default="fast")
    options = parser.parse_args()
    lm, task = load_model(dtype=options.dtype), load_task(options.task)
    recipe = Recipe(task=options.task, method=options.method, steps=options.steps, seed=options.seed)
    for part in ("both", "keys", "values") if options.parts else ():
        tell_score(part, score(lm, trained(lm, task, recipe.but(train=part)), task.held_out, task.labels))
    if options.untrained:
        tell_score("trained weights", score(lm, trained(lm, task, recipe), task.held_out, task.labels))
        *_, last = on_random_weights(lm, task, recipe, "random weights")
        tell_score("random weights", last.score)
    learned = trained(lm, task, recipe) if options.other else None
    for name in options.other:
        home = task if name in ("start", "seed") else load_task(name)
        if name == "start":
            other = put_in(lm, learned, "start", create(lm, task, recipe).snapshot())
        else:
            other = trained(lm, home, recipe.but(task=home.slug, seed=options.seed + (name == "seed")))
        for event in mix(lm, (task, home), learned, other, Scorebook()):
            if isinstance(event, Mixed):
                rows = home.slug if event.of_other else task.slug
                told = {"other": name, "rows": rows, "n": event.scores[0].n, "keys": event.keys, "values": event.values}
                print(json.dumps(told | right(event)), flush=True)


def trained(lm, task, recipe):
    """What a run ends with."""
    return next(event.contender for event in repeat(lm, task, recipe, "learned") if isinstance(event, Trained))


def tell_score(name, found):
    print(json.dumps({"run": name, "n": found.n, "parameters": found.parameters} | right(found)), flush=True)


def right(found):
    return {"right": round(found.accuracy, 3), "interval": [round(end, 3) for end in found.interval], "loss": round(found.loss, 3)}


if __name__ == "__main__":
    main()
