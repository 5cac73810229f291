"""python -m app nearest: the vocabulary tokens nearest to a saved soft prompt's vectors."""

import argparse

from app.commands.options import PROMPTS, Outcome, add_model, check_prompt, load, tell_warnings
from core.errors import LabError

HELP = "list the vocabulary tokens nearest to a saved soft prompt's vectors"
EXAMPLES = """  python -m app nearest my-prompt
  python -m app nearest my-prompt.zip --k 10 --json
  python -m app nearest owner/their-prompt

Nearest tokens mostly show where training started. `python -m app report` shows them next to the control."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("prompt", metavar="PROMPT", help=PROMPTS)
    made.add_argument("--k", type=int, default=5, help="tokens to list for each vector (default 5)")
    add_model(made)


def run(options: argparse.Namespace) -> Outcome:
    if not 1 <= options.k <= 1000:
        raise LabError(f"--k is {options.k}: choose a whole number from 1 to 1000.")
    check_prompt(options.prompt)
    lm = load(options)
    from core.inspection.nearest import nearest
    from core.runs.hub_prompts import load as load_prompt

    learned = load_prompt(options.prompt, lm)
    if not learned.prefix.method.in_embedding_space:
        raise LabError("A K/V prefix has no place in the vocabulary: nearest tokens exist for soft prompts only.")
    tell_warnings(options.prompt, learned)
    found = nearest(learned.prefix.array().detach(), lm.vocabulary, options.k)
    tokens, lines = [], []
    for position, (ids, cosines, distances) in enumerate(zip(found.ids.tolist(), found.cosine.tolist(), found.l2.tolist(), strict=True)):
        row = [
            {"token": lm.token_text(token), "id": token, "cosine": cosine, "l2": l2}
            for token, cosine, l2 in zip(ids, cosines, distances, strict=True)
        ]
        tokens.append({"position": position, "nearest": row})
        lines.append(f"{position:3d}  " + "  ".join(f"{entry['token']!r} {entry['cosine']:.2f}" for entry in row))
    caveat = "Nearest tokens mostly show where training started: `python -m app report` shows them next to the control."
    return Outcome({"tokens": tokens}, "\n".join([*lines, caveat]))
