"""python -m app bench: time a training step against PEFT's."""

import argparse

from app.commands.options import Outcome, add_model, load, tell
from core.errors import LabError

HELP = "time a training step against PEFT's"
EXAMPLES = """  python -m app bench
  python -m app bench --rounds 21 --device cuda --json

Needs PEFT (pip install peft)."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    add_model(made, dtype="float32")


def run(options: argparse.Namespace) -> Outcome:
    if not 5 <= options.rounds <= 1000:
        raise LabError(f"--rounds is {options.rounds}: choose a whole number from 5 to 1000.")
    lm = load(options)
    from core.bench import bench

    tell("timing …")
    result = bench(lm, options.rounds)
    lines = [f"{result['device']}, {result['dtype']}, {result['threads']} threads; seconds of a step, medians of {options.rounds}"]
    for case in result["cases"]:
        lines.append(
            f"{case['method']:6}  batch {case['batch']}, input {case['input_tokens']}, virtual {case['virtual_tokens']}:  "
            f"PEFT {case['peft_seconds']:.3f}  here {case['seconds']:.3f}  ratio {case['ratio']:.2f}  "
            f"(loss differs by {case['loss_difference']:.1e}, gradient by {case['gradient_relative_error']:.1e})"
        )
    return Outcome(result, "\n".join(lines))
