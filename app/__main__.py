"""The program: `python -m app` opens the page, `python -m app COMMAND` runs a command."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from app.commands import COMMANDS, serve
from core.errors import LabError

USAGE = """python -m app [options of the page]
       python -m app COMMAND [options of the command]"""

EPILOG = """examples:
  python -m app                                                 open the page at http://127.0.0.1:7860
  python -m app --port 7861 --model Qwen/Qwen2.5-0.5B           another port, another model
  python -m app models                                          which models are on this machine
  python -m app tasks                                           what there is to learn
  python -m app read rows.csv                                   how a file of your own is read
  python -m app train --task past-tense --out my-prompt         train ten vectors, score them, save them
  python -m app sweep --question virtual-tokens --task plural   how many virtual tokens? measured, with three seeds each
  python -m app evaluate --task past-tense --prompt "The past tense of {input} is" --learned my-prompt
  python -m app nearest my-prompt                               which words its vectors are near
  python -m app report my-prompt                                all of it as one HTML file
  python -m app push my-prompt me/my-prompt --private           onto the Hugging Face Hub

`python -m app COMMAND --help` shows a command's options, with examples. Results go to standard output (--json for scripts),
progress and notes to standard error.

exit codes:
  0    done
  1    an unexpected error (a traceback)
  2    something to put right: one sentence on standard error says what, and nothing was changed
  3    train: the loss ran away; the last good vectors were kept, scored and saved
  130  Ctrl-C; what `train` had learned by then was kept, scored and saved
"""


def parser() -> argparse.ArgumentParser:
    """The options of the page, and all commands with theirs."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="python -m app",
        usage=USAGE,
        description="Train, score and read soft prompts and K/V prefixes on a frozen language model: on a page, or by a command.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    serve.add(top.add_argument_group("options of the page"))
    commands = top.add_subparsers(dest="command", title="commands", metavar="COMMAND", prog="python -m app")
    for name, module in COMMANDS.items():
        about = f"{module.HELP[0].upper()}{module.HELP[1:]}."
        examples = f"examples:\n{module.EXAMPLES}"
        made = commands.add_parser(name, help=module.HELP, description=about, epilog=examples, formatter_class=raw)
        made.add_argument("--json", action="store_true", help="print JSON on standard output")
        module.add(made)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the page or run a command. Returns the exit code: see EPILOG."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    top = parser()
    options = top.parse_args(given)
    if options.command and options.command != given[0]:
        top.error(f"options of {options.command} follow it: {given[0]} is an option of the page")
    try:
        if not options.command:
            serve.run(options)
            return 0
        outcome = COMMANDS[options.command].run(options)
        indent = None if outcome.one_line else 2
        print(json.dumps(outcome.result, indent=indent, ensure_ascii=False, allow_nan=False) if options.json else outcome.text, flush=True)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return outcome.code


if __name__ == "__main__":
    sys.exit(main())
