"""python -m app scoreboard: prompts that imitate known instructions, and which readings find out which one."""

import argparse
from dataclasses import replace
from typing import Any

from app.commands.options import Outcome, add_model, bar, load, tell
from core.errors import LabError, as_path, shown
from core.recipe import SETTINGS

HELP = "imitate known instructions, then rank them by every reading: which readings can be believed?"
EXAMPLES = """  python -m app scoreboard --out scoreboard.json        # repeat it to continue after an interruption
  python -m app scoreboard --truths french capitals --prompts 1 --json
  python -m app scoreboard --file my-truths.json --work out/mine.jsonl

Finished prompts are kept in out/scoreboard.jsonl. docs/scoreboard.md says what is measured and how."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("--truths", nargs="+", default=[], metavar="NAME", help="which truths are imitated (default: all)")
    made.add_argument("--file", metavar="FILE", help="truths of your own, in the form of assets/truths.json")
    made.add_argument("--prompts", type=int, default=3, metavar="N", help="prompts for each truth: lengths, starts and seeds (default 3)")
    made.add_argument("--steps", type=SETTINGS["steps"].read, default=25, metavar="N", help="training steps of each (default 25)")
    frames = SETTINGS["frames"]
    made.add_argument("--frames", choices=frames.choices, default=frames.default, help=f"{frames.help} (default {frames.default})")
    made.add_argument("--work", default="out/scoreboard.jsonl", metavar="FILE", help="where finished prompts are kept")
    made.add_argument("--out", metavar="FILE", help="write the result here, too, as JSON, after each prompt")
    add_model(made, dtype="float32")


def run(options: argparse.Namespace) -> Outcome:
    from core.truths.result import SETTINGS as PROMPTS
    from core.truths.truths import FILE, load_truths

    truths = load_truths(as_path(options.file) if options.file else FILE)
    for name in options.truths:
        truths.named(name)
    SETTINGS["steps"].check(options.steps)
    if not 1 <= options.prompts <= len(PROMPTS):
        raise LabError(f"--prompts is {options.prompts}: choose a whole number from 1 to {len(PROMPTS)}.")
    if options.out and (as_path(options.out).is_dir() or not as_path(options.out).absolute().parent.is_dir()):
        raise LabError(f"--out is {shown(options.out)}: name a file in a folder that exists.")
    lm = load(options)
    from app.view.scoreboard import scoreboard_text
    from core.events import Progress
    from core.sweeps.result import to_json
    from core.truths.journal import Journal
    from core.truths.result import PromptRead, lines
    from core.truths.scoreboard import PromptDone, Stepped, board_of, head_of, scoreboard

    prompts = [replace(one, frames=options.frames) for one in PROMPTS[: options.prompts]]
    journal = Journal(options.work, head_of(lm, truths, options.steps))
    done: list[PromptRead] = []
    with bar(desc="scoreboard", unit="prompt") as shown_bar:
        for event in scoreboard(lm, truths, options.truths, prompts, options.steps, dict(journal.done)):
            if isinstance(event, Progress):
                shown_bar.total = event.total
                shown_bar.refresh()
            elif isinstance(event, Stepped):
                shown_bar.set_postfix_str(f"{event.truth}, step {event.number}, loss {event.loss:.2f}")
            elif isinstance(event, PromptDone):
                done.append(event.read)
                if not event.known:
                    journal.add(event.read)
                if options.out:
                    as_path(options.out).write_text(to_json(board_of(lm, truths, done, options.steps)) + "\n", "utf-8")
                shown_bar.update()
    board = board_of(lm, truths, done, options.steps)
    if options.out:
        tell(f"written to {options.out}")
    return Outcome(_json(board, lines(board)), scoreboard_text(board))


def _json(board: Any, found: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return {"board": asdict(board), "readings": [asdict(one) for one in found]}
