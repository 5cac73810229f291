"""What several commands share: the model, saved prompts, notes on standard error, a table of scores."""

import argparse
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import LabError, as_path
from core.models.weights import ADAPTER_CONFIG
from core.recipe import Recipe
from core.runs.adapter_config import read_config
from core.runs.adapter_files import LARGEST_JSON, in_folder, prompt_folder
from core.runs.prompt_names import on_hub

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel
    from core.runs.saved_adapter import Learned
    from core.scoring.score import Score

PROMPTS = "a folder or zip saved here or by PEFT, or a Hub id (owner/name; one of several in it: hub:owner/name/folder)"


@dataclass(frozen=True)
class Outcome:
    """What a command found. result: for --json; text: for people; code: the exit code. one_line: the JSON is the last of several lines."""

    result: dict[str, Any]
    text: str
    code: int = 0
    one_line: bool = False


def add_model(made: argparse.ArgumentParser, dtype: str = "auto") -> None:
    """--model, --device and --dtype."""
    made.add_argument("--model", default="", help="a Hub id or a local folder (default: SmolLM2-135M-Instruct)")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    choices = Recipe.__dataclass_fields__["dtype"].metadata["choices"]
    made.add_argument("--dtype", default=dtype, choices=choices, help=f"number format of the weights (default {dtype})")


def add_engine(options: Any) -> None:
    """--engine, --address and --workers: where training and scoring are done."""
    options.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="where training and scoring are done (default local; ray: a cluster)"
    )
    options.add_argument("--address", default="", help="of a Ray cluster, such as ray://head:10001 or auto (default: one on this machine)")
    options.add_argument("--workers", type=int, default=0, help="models on the cluster (default: one for each GPU, or each machine)")


def check_engine(options: argparse.Namespace, models: int = 1) -> None:
    """LabError for options of the cluster that can't be used together."""
    if options.engine == "local" and (options.address or options.workers):
        raise LabError("--address and --workers are for a cluster: add --engine ray, or leave them out.")
    if options.workers < 0:
        raise LabError(f"--workers is {options.workers}: give a whole number from 1, or leave it out.")
    if options.engine == "ray" and models > 1:
        raise LabError("--engine ray serves one model: give --model once.")


def tell(*lines: str) -> None:
    """Notes on standard error: standard output is for the result."""
    for line in lines:
        print(line, file=sys.stderr)


def bar(**more: Any) -> Any:
    """A progress bar on standard error, if that is a terminal."""
    from tqdm import tqdm

    return tqdm(file=sys.stderr, disable=None, **more)


def load(options: argparse.Namespace) -> "LanguageModel":
    """The model that the options name."""
    from core.models import weights

    weights.check_path(options.model or weights.DEFAULT_MODEL)
    tell("loading the model …")
    lm = load_quietly(options.model, options.device, options.dtype)
    tell(*(f"note: {note}" for note in lm.notes))
    return lm


def load_quietly(name: str, device: str, dtype: str) -> "LanguageModel":
    """`core.load_model` without the warnings and progress bars of transformers."""
    import transformers

    from core.models.language_model import load_model

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return load_model(name, device, dtype)


def check_prompt(name: str) -> None:
    """LabError, before the model is loaded, for a name that means nothing and for a folder without an adapter that can be loaded."""
    if on_hub(name) is None and as_path(name).is_dir():
        folder = prompt_folder(as_path(name))
        read_config(in_folder(folder, {ADAPTER_CONFIG: LARGEST_JSON}).get(ADAPTER_CONFIG), folder.name)


def tell_warnings(name: str, learned: "Learned") -> None:
    """What is not known or doubtful of a prompt that came from a file."""
    tell(*(f"note: {name}: {warning}" for warning in learned.warnings))


def contender_row(score: "Score") -> dict[str, Any]:
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


def table(scores: "Iterable[Score]") -> str:
    """Contenders as plain text."""
    from core.runs.trained_run import Scores

    return repr(Scores({score.name: score for score in scores}))


def tell_skipped(skipped: dict[str, str]) -> None:
    """Which handcrafted prompts could not be scored."""
    tell(*(f"note: the handcrafted prompt {name!r} was not scored: {reason}" for name, reason in skipped.items()))
