"""The command line, thin over core: python -m app tasks | train | evaluate | nearest | report | push | bench."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from app.commands import COMMANDS
from app.commands.options import Outcome
from core.errors import LabError

EPILOG = """examples:
  python -m app tasks                                           what there is to learn
  python -m app train --task past-tense --out my-prompt         train ten vectors, score them, save them
  python -m app evaluate --task past-tense --prompt "The past tense of {input} is" --learned my-prompt
  python -m app nearest my-prompt                               which words its vectors are near
  python -m app report my-prompt                                all of it as one HTML file
  python -m app push my-prompt me/my-prompt --private           onto the Hugging Face Hub

`python -m app COMMAND --help` shows a command's options, with examples. Results go to standard output (--json for scripts),
progress and notes to standard error.

exit codes:
  0    done
  1    something that nobody foresaw (a traceback)
  2    something to put right: one sentence on standard error says what, and nothing was changed
  3    train: the loss ran away; the last good vectors were kept, scored and saved
  130  Ctrl-C; what `train` had learned by then was kept, scored and saved
"""


def parser() -> argparse.ArgumentParser:
    """All commands. The options of `train` are read from the recipe's fields."""
    top = argparse.ArgumentParser(
        prog="python -m app",
        description="Train, score and read soft prompts and K/V prefixes on a frozen language model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for module in COMMANDS.values():
        module.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: see EPILOG."""
    options = parser().parse_args(arguments)
    try:
        done = COMMANDS[options.command].run(options)
        outcome = done if isinstance(done, Outcome) else Outcome(done[0], done[1], 0)
        print(json.dumps(outcome.result, indent=2, ensure_ascii=False, allow_nan=False) if options.json else outcome.text, flush=True)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
