"""What several commands share: options, the model, the task with its rows, a table of scores."""

import argparse
import csv
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from core.errors import LabError, as_path, shown
from core.scoring.score import Score

TASKS = "a built-in task; a CSV, TSV or JSON Lines file; a task file (JSON); or hub:owner/name[:config]"
PROMPTS = "a folder or zip saved here or by PEFT, or a Hub id (owner/name)"


@dataclass(frozen=True)
class Outcome:
    """A command that ended otherwise than planned, with what it has all the same."""

    result: dict[str, Any]
    text: str
    code: int


def command(commands: Any, name: str, help: str, examples: str, json: bool = True) -> argparse.ArgumentParser:
    """A command's parser; its --help ends with examples."""
    made: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=f"{help[0].upper()}{help[1:]}.",
        epilog=f"examples:\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if json:
        made.add_argument("--json", action="store_true", help="print JSON on standard output")
    return made


def add_model(made: argparse.ArgumentParser, dtype: str = "auto") -> None:
    """--model, --device and --dtype."""
    made.add_argument("--model", default="", help="a Hub id or a local folder (default: SmolLM2-135M-Instruct)")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    made.add_argument("--dtype", default=dtype, help=f"auto, fast, float32, bfloat16 or float16 (default {dtype})")


def add_rows(made: argparse.ArgumentParser) -> None:
    """How rows of one's own are to be read."""
    rows = made.add_argument_group("rows of your own", "for tables and datasets; what is left out is guessed from the column names")
    rows.add_argument("--columns", metavar="INPUT,OUTPUT", help="the columns that hold what goes in and what should come out")
    rows.add_argument("--kind", help="answers (free text) or labels (one of a few words)")
    rows.add_argument("--words", metavar="LABEL=WORD,…", help='words for labels, as in "0=negative,1=positive"')
    rows.add_argument("--split-column", metavar="NAME", help="the column that says train, validation or test")


def tell(*lines: str) -> None:
    """Notes, on standard error: standard output is for what was asked."""
    for line in lines:
        print(line, file=sys.stderr)


def bar(**more: Any) -> Any:
    """A progress bar on standard error, where somebody may look at it."""
    return tqdm(file=sys.stderr, disable=None, **more)


def load(options: argparse.Namespace) -> Any:
    """The model that the options name."""
    import transformers

    from core.models.language_model import load_model

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tell("loading the model …")
    return load_model(options.model, options.device, options.dtype)


def load_task(options: argparse.Namespace) -> Any:
    """The task that `--task` names, with the rows of `--test`, read as the other options say."""
    from core.tasks.from_table import Columns, fill_columns, task_from_table, with_test
    from core.tasks.load import load_task as load_local
    from core.tasks.table import read_bytes

    words = read_words(options.words)
    columns = None
    if options.columns is not None or options.kind is not None or options.split_column is not None:
        names = _cells("--columns", options.columns) if options.columns is not None else ["", ""]
        if len(names) != 2 or (options.columns is not None and not all(names)):
            raise LabError(f"--columns is {shown(options.columns)}: name two columns, as in --columns question,answer.")
        if options.kind not in (None, "answers", "labels"):
            raise LabError(f"--kind is {shown(options.kind)}: choose answers or labels.")
        if options.split_column == "":
            raise LabError("--split-column is empty: name a column, or leave it out.")
        columns = Columns(names[0], names[1], options.kind or "", options.split_column or "")
    if not options.task.startswith("hub:"):
        return load_local(options.task, options.test, columns, words)
    from core.tasks.hub_rows import load_hub_table

    tell("reading the dataset …")
    table = load_hub_table(options.task.removeprefix("hub:"), token=None)
    filled = fill_columns(table, columns)
    task = task_from_table(table, filled, words=words)
    if options.test is None:
        return task
    return with_test(task, read_bytes(as_path(options.test)), Path(options.test).name, not filled.split, columns, words)


def read_words(text: str | None) -> dict[str, str]:
    """Labels and their words from `label=word,label=word` (quotes as in CSV where one holds a comma). LabError for other text.

    >>> read_words('0=negative,"1, or more=positive"')
    {'0': 'negative', '1, or more': 'positive'}
    """
    words: dict[str, str] = {}
    for cell in _cells("--words", text) or [""] if text is not None else []:
        label, sign, word = cell.rpartition("=")
        if not sign or not label.strip() or label.strip() in words:
            raise LabError(f"--words is {shown(text)}: name each label once, as in --words 0=negative,1=positive.")
        words[label.strip()] = word.strip()
    return words


def _cells(flag: str, text: str) -> list[str]:
    try:
        rows = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise LabError(f"{flag} is {shown(text)}: check its quotes.") from error
    return [cell.strip() for cell in rows[0]] if len(rows) == 1 else []


def contender_row(score: Score) -> dict[str, Any]:
    """A score as the command line prints it."""
    return {
        "name": score.name,
        "kind": score.kind,
        "accuracy": score.accuracy,
        "interval": list(score.interval),
        "loss": number_or_none(score.loss),
        "n": score.n,
        "token_loss": number_or_none(score.token_loss),
        "first_choice": score.first_choice,
        "exact": score.exact,
        "agreement": score.agreement,
        "positions": score.positions,
        "parameters": score.parameters,
        "examples": score.examples,
    }


def number_or_none(value: float | None) -> float | None:
    """A number that JSON has: no NaN."""
    return value if value is not None and math.isfinite(value) else None


def table(scores: Iterable[Score]) -> str:
    """Contenders as plain text."""
    from core.runs.result import Scores

    return repr(Scores({score.name: score for score in scores}))


def tell_skipped(skipped: dict[str, str]) -> None:
    """Which handcrafted prompts could not be scored."""
    tell(*(f"note: the handcrafted prompt {name!r} was not scored: {reason}" for name, reason in skipped.items()))


def tell_warnings(name: str, warnings: Sequence[str]) -> None:
    """What there is to know of a prompt that came from a file."""
    tell(*(f"note: {name}: {warning}" for warning in warnings))
