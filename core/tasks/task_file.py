"""Task files: the JSON that holds all of a task, written by `task_to_json` or by a person."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from core.errors import LabError, shown
from core.recipe import SETTINGS, Recipe, check_template
from core.tasks.profile import MOST_LABELS
from core.tasks.split import VALIDATION_MOST, VALIDATION_SHARE, keep_together, split_off, unseen
from core.tasks.table import LARGEST_TASK, MOST_ROWS, check_size, check_text
from core.tasks.task import Example, Handcrafted, Task, repeats, stem_of
from core.tasks.template import LONGEST_TEXT

MOST_PROMPTS = 20
TAKEN = ("learned", "no prompt", "always ", "mine ", "run ", "loaded ", "control", "snapped", "the start")  # of a contender
MOST_NOTES = 100
LONGEST_PROMPT = 40_000  # characters of a handcrafted prompt, with its worked examples
LONGEST_NAME = 200
FIELDS = {
    *("slug", "name", "kind", "template", "labels", "teaches", "recipe", "handcrafted", "train", "validation", "held_out", "notes"),
}


def task_to_json(task: Task) -> str:
    """The task as the text of a JSON file, a row on each line: `task_from_json` makes an equal task of it."""
    data: dict[str, Any] = {
        "slug": task.slug,
        "name": task.name,
        "kind": "labels" if task.labels else "answers",
        "template": task.template,
        "labels": list(task.labels) if task.labels else None,
        "teaches": task.teaches,
        "recipe": task.recipe,
        "handcrafted": [asdict(prompt) for prompt in task.handcrafted],
        **{side: [[example.input, example.output] for example in getattr(task, side)] for side in ("train", "validation", "held_out")},
        "notes": list(task.notes),
    }
    lines = []
    for name, value in data.items():
        if isinstance(value, list) and name != "labels":
            items = ",\n".join(f"    {_dumped(item)}" for item in value)
            lines.append(f'  "{name}": [\n{items}\n  ]' if items else f'  "{name}": []')
        else:
            lines.append(f'  "{name}": {_dumped(value)}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def task_data(data: bytes, name: str) -> dict[str, Any] | None:
    """The JSON object that a task file holds, or None where `data` is something else: the reader of tables says what."""
    try:
        text = data.decode("utf-8-sig")
        found = json.loads(text) if text.lstrip().startswith("{") else None
    except (ValueError, RecursionError):  # another encoding, JSON Lines or no JSON
        return None
    if not isinstance(found, dict) or "train" not in found or _is_table(found):
        return None
    check_size(data, name, LARGEST_TASK)
    return found


def _is_table(found: Mapping[str, Any]) -> bool:
    """Whether this is a table with its parts in one file: its rows are objects, or it has test rows and no held_out ones."""
    rows = found["train"]
    return (isinstance(rows, list) and len(rows) > 0 and all(isinstance(row, dict) for row in rows)) or (
        "held_out" not in found and any(part in found for part in ("test", "val", "dev", "valid"))
    )


def task_of(data: Mapping[str, Any], name: str, distinct: bool = False) -> Task:
    """The task of a JSON object as `task_to_json` writes it. Only `train` and `held_out` must be there.

    Everything in it is checked: a LabError names the file `name` and what is wrong. Rows whose input is in an earlier
    part are left out, with a note. Without `validation`, some rows of `train` become validation rows.
    distinct: no two rows nearly repeat each other, so they need not be compared.
    """
    file = shown(name)
    unknown = next((key for key in data if key not in FIELDS), None)
    if unknown is not None:
        raise LabError(f"{file} has the unknown field {shown(unknown)}: a task has {', '.join(sorted(FIELDS))}.")
    sides = {side: _rows(data.get(side) or [], side, file) for side in ("train", "validation", "held_out")}
    for side in ("train", "held_out"):
        if not sides[side]:
            raise LabError(f"{file} has no rows in {side}: give it a list of [input, output] pairs.")
    for rows, what in (([*sides["train"], *sides["validation"]], "train and validation"), (sides["held_out"], "held_out")):
        if len(rows) > MOST_ROWS:
            raise LabError(f"{file} has {len(rows):,} rows in {what}, more than {MOST_ROWS:,}: keep some of them.")
    labels = _labels(data, sides, file)
    if len({example.output for side in sides.values() for example in side}) == 1:
        raise LabError(f"Every row of {file} has the same output: there is nothing to learn; add rows with others.")
    template = _text(data, "template", "{input}\nLabel:" if labels else "{input}", LONGEST_TEXT, file)
    _check_prompt(template, f"The template of {file}")
    task = _without_repeats(sides, labels, data.get("validation") is not None, distinct, file)
    return replace(
        task,
        slug=_text(data, "slug", stem_of(name), LONGEST_NAME, file),
        name=_text(data, "name", stem_of(name), LONGEST_NAME, file),
        template=template,
        handcrafted=_handcrafted(data.get("handcrafted") or [], file),
        teaches=_text(data, "teaches", "", LONGEST_TEXT, file),
        recipe=_recipe(data.get("recipe") or {}, file),
        notes=(*_notes(data.get("notes") or [], file), *task.notes),
    )


def _rows(value: Any, side: str, file: str) -> list[Example]:
    if not isinstance(value, list):
        raise LabError(f"{side} in {file} is no list: give it a list of [input, output] pairs.")
    rows = []
    for number, row in enumerate(value, start=1):
        where = f"Row {number} of {side} in {file}"
        if not isinstance(row, list) or len(row) != 2 or not all(isinstance(cell, str) for cell in row):
            raise LabError(f'{where} is no pair of texts: write it like ["France", "Paris"].')
        for cell, column in zip(row, ("input", "output"), strict=True):
            check_text(cell, where)
            if not cell.strip():
                raise LabError(f"{where} has no {column}: fill it in, or delete the row.")
        rows.append(Example(row[0].strip(), row[1].strip()))
    return rows


def _labels(data: Mapping[str, Any], sides: Mapping[str, Sequence[Example]], file: str) -> tuple[str, ...] | None:
    labels, kind = data.get("labels"), data.get("kind")
    if kind is not None and kind not in ("labels", "answers"):
        raise LabError(f"kind in {file} is {shown(kind)}: write labels or answers.")
    if kind == "labels" and not labels:
        labels = sorted({example.output for example in (*sides["train"], *sides["validation"])})
    if labels is None or labels == []:
        return None
    if kind == "answers":
        raise LabError(f"{file} has the kind answers and a list of labels: delete one of them.")
    if not isinstance(labels, list) or not all(isinstance(label, str) and label and label == label.strip() for label in labels):
        raise LabError(f"labels in {file} is no list of words: give every label once, without spaces around it.")
    if len(set(labels)) != len(labels) or not 2 <= len(labels) <= MOST_LABELS:
        raise LabError(f"{file} has {len(labels)} labels: give from 2 to {MOST_LABELS} different ones.")
    for label in labels:
        check_text(label, f"labels in {file}")
    for side, rows in sides.items():
        for number, example in enumerate(rows, start=1):
            if example.output not in labels:
                raise LabError(
                    f"Row {number} of {side} in {file} has the output {shown(example.output)}, which is none of its labels: "
                    f"add it to them, or correct the row."
                )
    return tuple(labels)


def _without_repeats(
    sides: Mapping[str, Sequence[Example]], labels: tuple[str, ...] | None, has_validation: bool, distinct: bool, file: str
) -> Task:
    first, validation, held_out = (_different(sides[side]) for side in ("train", "validation", "held_out"))
    left = sum(map(len, sides.values())) - len(first) - len(validation) - len(held_out)
    notes = [f"{left:,} rows that repeat an earlier input were dropped."] if left else []
    steer, found = unseen(validation, first, {}, "validation")
    report, more = unseen(held_out, (*first, *steer), {})
    if not report:
        raise LabError(f"Every row of held_out in {file} is among the training rows: nothing is left to test on.")
    learn: tuple[Example, ...] = tuple(first)
    if not has_validation:
        groups = {} if distinct else keep_together(learn, labels is not None)[0]
        learn, steer = split_off(learn, VALIDATION_SHARE, labels is not None, VALIDATION_MOST, groups)
    return Task("", "", "", learn, steer, report, labels, notes=(*notes, *found, *more))


def _different(rows: Sequence[Example]) -> list[Example]:
    again = repeats(("", row) for row in rows)
    return [row for row, repeated in zip(rows, again, strict=True) if not repeated]


def _text(data: Mapping[str, Any], field: str, default: str, longest: int, file: str) -> str:
    value = data.get(field)
    if value is None:
        return default
    if not isinstance(value, str) or len(value) > longest or (not value.strip() and default):
        raise LabError(f"{field} in {file} is {shown(value)}: give a text of up to {longest:,} characters.")
    check_text(value, f"{field} in {file}")
    return value


def _check_prompt(template: str, what: str) -> None:
    try:
        check_template(template)
    except LabError as error:
        raise LabError(f"{what} can't be used: {error}") from error


def _handcrafted(value: Any, file: str) -> tuple[Handcrafted, ...]:
    if not isinstance(value, list) or len(value) > MOST_PROMPTS:
        raise LabError(f"handcrafted in {file} is no list of up to {MOST_PROMPTS} prompts: give each a name and a template.")
    prompts: list[Handcrafted] = []
    for number, item in enumerate(value, start=1):
        where = f"Prompt {number} in {file}"
        if not isinstance(item, dict) or set(item) != {"name", "template"}:
            raise LabError(f"{where} has other fields than a name and a template: give it these two.")
        prompt = Handcrafted(_text(item, "name", "-", LONGEST_NAME, where), _text(item, "template", "-", LONGEST_PROMPT, where))
        _check_prompt(prompt.template, where)
        if prompt.name.casefold().startswith(TAKEN):
            raise LabError(f"{where} has a name that others have here ({shown(prompt.name)}): rename it.")
        if any(prompt.name == earlier.name for earlier in prompts):
            raise LabError(f"{where} has the name of an earlier one ({shown(prompt.name)}): rename it.")
        prompts.append(prompt)
    return tuple(prompts)


def _recipe(value: Any, file: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise LabError(f"recipe in {file} is no table of settings: write settings and values, or leave it out.")
    try:
        for name, setting in value.items():
            if name not in SETTINGS or SETTINGS[name].place in ("task", "server", "run"):
                raise LabError(f"it can't hold {shown(name)}.")
            SETTINGS[name].check(setting)
        Recipe.from_settings(value)
    except LabError as error:
        raise LabError(f"The recipe in {file} can't be used: {error}") from error
    return dict(value)


def _notes(value: Any, file: str) -> tuple[str, ...]:
    if (
        not isinstance(value, list)
        or len(value) > MOST_NOTES
        or not all(isinstance(note, str) and len(note) <= LONGEST_TEXT for note in value)
    ):
        raise LabError(f"notes in {file} is no list of up to {MOST_NOTES} texts: correct it, or leave it out.")
    for note in value:
        check_text(note, f"notes in {file}")
    return tuple(value)
