"""python -m app text-search: a text that does what a saved prompt does, by gradient."""

import argparse
from pathlib import Path
from typing import Any

from app.commands.options import PROMPTS, Outcome, add_model, bar, check_prompt, load, tell_warnings
from app.commands.rows import TASKS, add_rows, load_task
from core.probes.text_bounds import check_numbers

HELP = "search for a text that does what a saved prompt does"
EXAMPLES = """  python -m app text-search my-prompt --task past-tense --rounds 40 --json
  python -m app text-search my-prompt.zip --task reviews.tsv --candidates 32 --rows 24

docs/text-search.md says what is searched and how it is scored."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("prompt", metavar="PROMPT", help=PROMPTS)
    made.add_argument("--task", required=True, help=TASKS)
    made.add_argument("--rounds", type=int, default=40, metavar="N", help="rounds of each of the two searches (default 40)")
    made.add_argument("--candidates", type=int, default=16, metavar="N", help="texts that are tried in a round, at most (default 16)")
    made.add_argument("--rows", type=int, default=8, metavar="N", help="training rows on which they are tried (default 8)")
    made.add_argument("--seed", type=int, default=0, help="draws the rows, the random start and the order of the candidates (default 0)")
    made.add_argument("--template", default="", help="for a prompt without a recipe.json: the text around {input}")
    made.set_defaults(test=None)
    add_rows(made)
    add_model(made)


def run(options: argparse.Namespace) -> Outcome:
    check_numbers(rounds=options.rounds, candidates=options.candidates, rows=options.rows, seed=options.seed)
    task = load_task(options)
    check_prompt(options.prompt)
    lm = load(options)
    from core.events import Progress
    from core.probes.text_rounds import Round
    from core.probes.text_search import Found, in_words, text_search
    from core.runs.hub_prompts import load as load_prompt
    from core.runs.scorebook import Scorebook
    from core.scoring.fit_rows import fitted

    task = fitted(lm, task, options.long_rows)
    learned = load_prompt(options.prompt, lm, options.template)
    tell_warnings(options.prompt, learned)
    numbers = (options.rounds, options.candidates, options.rows, options.seed)
    rounds: list[Round] = []
    found: Found | None = None
    with bar(desc="text search", unit="round") as done:
        for event in text_search(lm, task, learned.contender(Path(options.prompt).name), Scorebook(), *numbers):
            if isinstance(event, Progress):
                done.reset(event.total)
            elif isinstance(event, Round):
                rounds.append(event)
                done.set_description(f"KL {event.kl:.2f}")
                done.update()
            elif isinstance(event, Found):
                found = event
                done.update()
    assert found is not None  # the search ends with it
    result: dict[str, Any] = {"prompt": options.prompt, "task": task.name, "candidates": options.candidates, "seed": options.seed}
    paths = {start: [round(one.kl, 4) for one in rounds if one.start == start] for start in dict.fromkeys(one.start for one in rounds)}
    result |= found.to_dict() | {"kl_by_round": paths, "words": in_words(found)}
    texts = [f"{one.score.name}: {one.text!r}" for one in found.verdicts if one.text and one.role != "handcrafted"]
    return Outcome(result, "\n".join([*texts, "", in_words(found)]))
