"""What the model says of a prompt while it learns to imitate a known instruction, trained with and without frames.

    python tests/benchmarks/self_description.py --truths spanish doctor email --dtype fast

A Markdown table for each truth: at some steps, what the model continues in the frame "means" with the vectors in it and with their states
of the middle layer written into that layer; and after each the share of wrong candidates that rank below the truth by likelihood there
(less that with the start moved at random, as on the scoreboard). Rows for the controls follow: the start moved at random (another draw),
and the instruction's own tokens.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from core import load_model
from core.inspection.control import moved_at_random
from core.training.training import Training
from core.truths.frames import described, frames_of, likelihoods, patched
from core.truths.ranking import place_of
from core.truths.readings import PATCHED
from core.truths.result import SETTINGS
from core.truths.scoreboard import ANSWER_TOKENS, CONTROL, STEPS, USUAL, recipe_of
from core.truths.states import own_states
from core.truths.truths import built_in_truths

TOKENS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--truths", nargs="+", default=["spanish", "doctor", "email"])
    parser.add_argument("--at", nargs="+", type=int, default=[5, 10, 15, 20, STEPS], help="the steps that are asked about")
    parser.add_argument("--dtype", default="fast")
    options = parser.parse_args()
    lm, truths = load_model(dtype=options.dtype), built_in_truths()
    for name in options.truths:
        truth = truths.named(name)
        print(f"\n**{truth.text}**\n\n| prompt | vectors in the frame | ranked above | patched in the middle layer | ranked above |")
        print("|---|---|---|---|---|", flush=True)
        for frames in ("none", "random"):
            start, by_step = trained(lm, truths, truth, frames, options.at)
            last = by_step[max(by_step)]
            candidates = truths.candidates(truth)
            usual = asked(lm, moved_at_random(start, last, USUAL), candidates)
            rows = {f"{'in frames' if frames == 'random' else 'plain'}, step {step}": vectors for step, vectors in by_step.items()}
            rows["its start, moved at random"] = moved_at_random(start, last, CONTROL)
            if frames == "random":
                rows["the text itself"] = lm.for_scoring.embed_ids(lm.tokenise(truth.text))
            for label, vectors in rows.items():
                cells = [label]
                for (said, found), (_, off) in zip(asked(lm, vectors, candidates), usual, strict=True):
                    shown = " ".join(said.replace("|", "\\|").replace("`", "'").split())
                    cells += [f"`{shown}`", f"{100 * place_of((found - off).tolist(), 0).beaten:.0f} %"]
                print(f"| {' | '.join(cells)} |", flush=True)


def trained(lm, truths, truth, frames, steps):
    """The start, and the vectors after each of `steps`."""
    recipe = recipe_of(truths, truth, SETTINGS[0], max(steps)).but(frames=frames)
    training = Training(lm, truths.task(truth), recipe)
    training.teacher.most = min(training.teacher.most, ANSWER_TOKENS)
    state = training.start()
    start = torch.from_numpy(training.show(state).snapshot())
    events, _ = training.advance(state, max(steps))
    return start, {event.step: torch.from_numpy(event.vectors) for event in events if event.step in steps}


def asked(lm, vectors, candidates):
    """What is said, and how likely each candidate is, with the vectors in the frame and with their states in the middle layer."""
    lm, found = lm.for_scoring, []
    vectors, frame = vectors.to(lm.device), frames_of(lm)[PATCHED]
    for layer in (0, lm.layers // 2):
        with patched(lm, frame, own_states(lm, vectors, layer), layer) as past:
            found.append((described(lm, frame, past, TOKENS), likelihoods(lm, frame, past, candidates)))
    return found


if __name__ == "__main__":
    main()
