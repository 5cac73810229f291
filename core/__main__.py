"""The command line, thin over core: python -m core train | evaluate | nearest | bench | tasks."""

import argparse
import csv
import json
import math
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from .errors import LabError, as_path, shown
from .recipe import Recipe, check

TASKS = "a built-in task; a CSV, TSV or JSON Lines file; a task file (JSON); or hub:owner/name[:config]"
EPILOG = """examples:
  python -m core train --task past-tense --out my-prompt
  python -m core train --task reviews.tsv --columns review,stars --kind labels --words "1=bad,5=good"
  python -m core evaluate --task past-tense --prompt "The past tense of {input} is" --learned my-prompt
  python -m core nearest my-prompt
"""


def parser() -> argparse.ArgumentParser:
    """All commands. The options of `train` are read from the recipe's fields."""
    top = argparse.ArgumentParser(
        prog="python -m core",
        description="Train, score and read soft prompts and K/V prefixes on a frozen language model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    train = commands.add_parser("train", help="train a prompt and score it beside handcrafted ones")
    for spec in fields(Recipe):
        if spec.name not in ("model", "dtype"):
            _add_setting(train, spec)
    train.add_argument("--test", metavar="FILE", help="a table of rows to hold out, in place of those that the task holds out")
    train.add_argument("--out", metavar="DIR", help="save the prompt here, as a PEFT adapter with our recipe.json")
    evaluate = commands.add_parser("evaluate", help="score handcrafted and saved prompts on a task's held-out rows")
    evaluate.add_argument("--task", required=True, help=TASKS)
    evaluate.add_argument("--test", metavar="FILE", help="a table of rows to score on, in place of the task's held-out ones")
    evaluate.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT", help="a handcrafted prompt with {input} (may be repeated)"
    )
    evaluate.add_argument("--learned", action="append", default=[], metavar="DIR", help="a saved prompt (may be repeated)")
    evaluate.add_argument("--template", default="", help="for saved prompts without a recipe.json: the text around {input}")
    nearest = commands.add_parser("nearest", help="the vocabulary tokens nearest to a saved soft prompt's vectors")
    nearest.add_argument("dir", metavar="DIR")
    nearest.add_argument("--k", type=int, default=5, help="tokens to list for each vector (default 5)")
    bench = commands.add_parser("bench", help="time a training step against PEFT's")
    bench.add_argument("--rounds", type=int, default=7, help="timed rounds (default 7)")
    record = commands.add_parser("record", help="make the recorded runs that the page shows, from assets/recordings/recipes.json")
    record.add_argument("slug", nargs="*", help="the recordings to make (default: all)")
    record.add_argument("--out", metavar="DIR", help="where to write them (default: assets/recordings)")
    tasks = commands.add_parser("tasks", help="list the built-in tasks")
    for command in (train, evaluate):
        rows = command.add_argument_group("rows of your own", "for tables and datasets; what is left out is guessed from the column names")
        rows.add_argument("--columns", metavar="INPUT,OUTPUT", help="the columns that hold what goes in and what should come out")
        rows.add_argument("--kind", help="answers (free text) or labels (one of a few words)")
        rows.add_argument("--words", metavar="LABEL=WORD,…", help='words for labels, as in "0=negative,1=positive"')
        rows.add_argument("--split-column", metavar="NAME", help="the column that says train, validation or test")
    for command in (train, evaluate, nearest, bench, record):
        command.add_argument("--model", default="", help="a Hub id or a local folder (default: SmolLM2-135M-Instruct)")
        command.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
        command.add_argument("--dtype", default="float32" if command is bench else "auto", help="auto, fast, float32, bfloat16 or float16")
    for command in (train, evaluate, nearest, bench, record, tasks):
        command.add_argument("--json", action="store_true", help="print JSON on standard output")
    return top


def _add_setting(command: argparse.ArgumentParser, spec: Any) -> None:
    flag = "--" + spec.name.replace("_", "-")
    by_method = spec.metadata.get("by_method")
    kind = float if by_method else type(spec.default)
    default = ", ".join(f"{value} for {method}" for method, value in by_method.items()) if by_method else str(spec.default)
    default = f" (default {default})" if default else ""
    extra: dict[str, Any] = {"choices": spec.metadata["choices"]} if "choices" in spec.metadata else {"type": _number(kind)}
    required = spec.name == "task"
    command.add_argument(
        *((flag, "--lr") if spec.name == "learning_rate" else (flag,)),
        dest=spec.name,
        default=None,
        required=required,
        help=TASKS if required else spec.metadata["help"].replace("%", "%%") + default,
        metavar=None if "choices" in spec.metadata else kind.__name__.upper(),
        **extra,
    )


def _number(kind: type) -> Any:
    def read(text: str) -> Any:
        try:
            return kind(text)
        except ValueError:
            return text  # the recipe's own check names the field, the value and the bounds

    return read


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Returns the exit code: 0 done, 2 something to put right (one sentence on standard error), 130 Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        result, text = COMMANDS[options.command](options)
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 0
    print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) if options.json else text)
    return 0


def _load(options: argparse.Namespace) -> Any:
    import transformers

    from .model import load_model

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print("loading the model …", file=sys.stderr)
    return load_model(options.model, options.device, options.dtype)


def _load_task(options: argparse.Namespace) -> Any:
    """The task that `--task` names, with the rows of `--test`, read as the other options say."""
    from .table import read_bytes
    from .task import Columns, fill_columns, load_task, task_from_table, with_test

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
        return load_task(options.task, options.test, columns, words)
    from .hub import load_hub_table

    print("reading the dataset …", file=sys.stderr)
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


def contender_row(score: Any) -> dict[str, Any]:
    """A score as the command line prints it."""
    return {
        "name": score.name,
        "kind": score.kind,
        "accuracy": score.accuracy,
        "interval": list(score.interval),
        "loss": _number_or_none(score.loss),
        "n": score.n,
        "token_loss": _number_or_none(score.token_loss),
        "first_choice": score.first_choice,
        "exact": score.exact,
        "agreement": score.agreement,
        "positions": score.positions,
        "parameters": score.parameters,
        "examples": score.examples,
    }


def _number_or_none(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None  # JSON has no NaN


def _table(scores: Sequence[Any]) -> str:
    width = max(len(score.name) for score in scores)
    lines = [f"{'contender':{width}}  {'kind':11}  accuracy  95 % interval   loss   n  tokens in front"]
    for score in scores:
        low, high = score.interval
        loss = "     -" if score.loss is None else f"{score.loss:6.3f}"
        lines.append(
            f"{score.name:{width}}  {score.kind:11}  {score.accuracy:7.1%}  {low:6.1%}-{high:6.1%}  {loss} {score.n:4d}  {score.positions}"
        )
    return "\n".join(lines)


def _train(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    given = {spec.name: getattr(options, spec.name, None) for spec in fields(Recipe)}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        check(name, value)
    task = _load_task(options)  # before the model: a bad file is told at once
    recipe = Recipe.from_dict({**task.recipe, **given})
    lm = _load(options)
    from tqdm import tqdm

    from . import storage
    from .run import Finished, Scored, Skipped, run
    from .training import StepEvent, Training

    if options.out:
        storage.check_savable(lm, recipe.placement)
        storage.check_target(options.out)
    for note in task.notes:
        print(f"note: {note}", file=sys.stderr)
    training = Training(lm, task, recipe)
    stop = threading.Event()

    def interrupt(*_: object) -> None:
        """The first Ctrl-C ends training and keeps what was learned; the second one leaves."""
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, interrupt)
    scores: dict[str, Any] = {}
    skipped: dict[str, str] = {}
    finished = None
    with tqdm(total=recipe.steps, desc="training", unit="step", file=sys.stderr, disable=None) as bar:
        events = run(lm, task, recipe, training=training, stopping=stop.is_set)
        for event in events:
            if isinstance(event, StepEvent):
                bar.update(event.step - bar.n)
                bar.set_postfix(loss=f"{event.loss:.3f}")
            elif isinstance(event, Scored) and event.part == "held_out" and event.final:
                bar.set_description(f"scored {event.score.name}")
                scores[event.score.name] = event.score
            elif isinstance(event, Skipped):
                skipped[event.name] = event.reason
            elif isinstance(event, Finished):
                finished = event
    assert finished is not None
    _tell_skipped(skipped)
    if finished.stopped:
        print(f"note: {finished.stopped}", file=sys.stderr)
    result = {
        "recipe": recipe.to_dict(),
        "parameters": training.prefix.parameter_count(),
        "seconds": finished.seconds,
        "steps": finished.state.step,
        "stopped": finished.stopped,
        "contenders": [contender_row(score) for score in scores.values()],
        "out": options.out,
    }
    if options.out:
        record = storage.record_of(
            lm, task, recipe, training.template, seconds=finished.seconds, steps=finished.state.step, scores=result["contenders"]
        )
        storage.save(options.out, storage.to_files(lm, training.prefix, record))
    text = _table(list(scores.values())) + f"\n\n{result['parameters']:,} parameters, {finished.seconds:.1f} s of training"
    return result, text + (f", saved in {options.out}" if options.out else "")


def _evaluate(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from .recipe import check_template
    from .run import Scorebook, Scored, Skipped, common_rows, contest, rivals
    from .scoring import majority, written
    from .task import Handcrafted

    for prompt in options.prompt:
        check_template(prompt)
    task = _load_task(options)
    lm = _load(options)
    from . import storage

    contenders = rivals(task)
    contenders += [written(task, Handcrafted(prompt, prompt)) for prompt in options.prompt]
    for folder in options.learned:
        learned = storage.load(folder, lm, options.template)
        for warning in learned.warnings:
            print(f"note: {folder}: {warning}", file=sys.stderr)
        contenders.append(learned.contender(Path(folder).name))
    rows = common_rows(task.held_out, contenders)
    if not rows:
        raise LabError("Every held-out row was seen in training or stands in a prompt: give other rows with --test.")
    if len(rows) < len(task.held_out):
        print(f"note: {len(task.held_out) - len(rows)} rows that a contender was made with are left out for all.", file=sys.stderr)
    events = list(contest(lm, task, contenders, rows, Scorebook(), "held_out"))
    _tell_skipped({event.name: event.reason for event in events if isinstance(event, Skipped)})
    scores = [event.score for event in events if isinstance(event, Scored) and event.final]
    scores.append(majority(task, rows))
    return {"contenders": [contender_row(score) for score in scores]}, _table(scores)


def _tell_skipped(skipped: dict[str, str]) -> None:
    for name, reason in skipped.items():
        print(f"note: the handcrafted prompt {name!r} was not scored: {reason}", file=sys.stderr)


def _nearest(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if not 1 <= options.k <= 1000:
        raise LabError(f"--k is {options.k}: choose a whole number from 1 to 1000.")
    lm = _load(options)
    from . import storage
    from .inspection.nearest import nearest
    from .prefix import SoftPrompt

    learned = storage.load(options.dir, lm)
    if not isinstance(learned.prefix, SoftPrompt):
        raise LabError("A K/V prefix has no place in the vocabulary: nearest tokens exist for soft prompts only.")
    found = nearest(learned.prefix.vectors.detach(), lm.vocabulary, options.k)
    tokens, lines = [], []
    for position, (ids, cosines, distances) in enumerate(zip(found.ids.tolist(), found.cosine.tolist(), found.l2.tolist(), strict=True)):
        row = [
            {"token": lm.token_text(token), "id": token, "cosine": cosine, "l2": l2}
            for token, cosine, l2 in zip(ids, cosines, distances, strict=True)
        ]
        tokens.append({"position": position, "nearest": row})
        lines.append(f"{position:3d}  " + "  ".join(f"{entry['token']!r} {entry['cosine']:.2f}" for entry in row))
    caveat = "Nearest tokens mostly tell where a prompt started: compare `python -m core evaluate`, and the page's control."
    return {"tokens": tokens}, "\n".join([*lines, caveat])


def _bench(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if not 5 <= options.rounds <= 1000:
        raise LabError(f"--rounds is {options.rounds}: choose a whole number from 5 to 1000.")
    from .bench import bench

    result = bench(_load(options), options.rounds)
    lines = [f"{result['device']}, {result['dtype']}, {result['threads']} threads; seconds of a step, medians of {options.rounds}"]
    for case in result["cases"]:
        lines.append(
            f"{case['method']:6}  batch {case['batch']}, input {case['input_tokens']}, virtual {case['virtual_tokens']}:  "
            f"PEFT {case['peft_seconds']:.3f}  here {case['seconds']:.3f}  ratio {case['ratio']:.2f}  "
            f"(loss differs by {case['loss_difference']:.1e}, gradient by {case['gradient_relative_error']:.1e})"
        )
    return result, "\n".join(lines)


def _record(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from .recordings import FOLDER, listed, make

    recipes = {one.slug: one.recipe for one in listed()}
    unknown = [slug for slug in options.slug if slug not in recipes]
    if unknown:
        raise LabError(f"There is no recording {shown(unknown[0])}: choose from {', '.join(recipes)}.")
    lm = _load(options)
    folder = Path(options.out) if options.out else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for slug in options.slug or recipes:
        text = make(lm, recipes[slug]).to_json()
        (folder / f"{slug}.json").write_text(text, "utf-8")
        sizes[slug] = len(text.encode())
        print(f"{slug}: {sizes[slug] / 1000:.0f} kB", file=sys.stderr)
    return {"out": str(folder), "bytes": sizes}, f"{len(sizes)} recordings in {folder}"


def _tasks(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from .task import load_task, slugs

    tasks = [load_task(slug) for slug in slugs()]
    rows = [
        {
            "slug": t.slug,
            "name": t.name,
            "labels": t.labels,
            "train": len(t.train),
            "validation": len(t.validation),
            "held_out": len(t.held_out),
        }
        for t in tasks
    ]
    return {"tasks": rows}, "\n".join(f"{task.slug:12} {task.teaches}" for task in tasks)


COMMANDS = {"train": _train, "evaluate": _evaluate, "nearest": _nearest, "bench": _bench, "record": _record, "tasks": _tasks}

if __name__ == "__main__":
    sys.exit(main())
