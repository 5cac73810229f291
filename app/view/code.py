"""The code that makes a run again: as Python, and as a command line. Pure functions from a task and a recipe to text."""

import re
import shlex
from collections.abc import Mapping
from typing import Any

from app.view.html import Html, button, join, note, tag
from app.view.links import ON_PAGE
from core import Recipe
from core.models.devices import pick_device
from core.models.weights import DEFAULT_MODEL
from core.runs.record import RunRecord
from core.tasks.built_in import slugs
from core.tasks.task import Task

FOLDER = "my-prompt"
START = "start-prompt"  # the folder of the saved prompt that a run starts from


def file_name(task: Task) -> str:
    """The file name under which a user's own task is downloaded; the code loads it from there."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", task.name).strip("-.")[:60] or "task") + ".task.json"


def named(task: Task) -> str:
    """The task's name for `load_task` and `--task`."""
    return task.slug if task.slug in slugs() else file_name(task)


def python(task: Task, recipe: Recipe, device: str = "") -> str:
    """A script that trains `recipe` and scores it on the held-out rows. device: "" to leave it to `load_model`."""
    values = {"task": recipe.task, **_differing(recipe, {}), **({"init_from": START} if recipe.init_from else {})}
    loading = "from core.runs.hub_prompts import load\n" if recipe.init_from else ""
    begun = f", load({START!r}, lm).begun" if recipe.init_from else ""
    given = ", ".join(f"{name}={value!r}" for name, value in values.items())
    model = ", ".join(f"{name}={value!r}" for name, value in _model(recipe, device).items())
    if recipe.keep == "best":
        return f"""from core import Recipe, load_model, load_task, train
{loading}
lm = load_model({model})
task = load_task({named(task)!r})
recipe = Recipe({given})
run = train(lm, task, recipe{begun.replace(", ", ", begun=", 1)})
print(run.record.kept, run.record.held_out["learned"].accuracy)
"""
    return f"""from core import Recipe, Training, load_model, load_task, score
{loading}
lm = load_model({model})
task = load_task({named(task)!r})
recipe = Recipe({given})
training = Training(lm, task, recipe{begun})
state = training.start()
while state.step < recipe.steps and not state.stopped:
    events, state = training.advance(state)
    print(events[-1].step, events[-1].loss)
training.show(state, best=True)
print(score(lm, training.contender(), task.held_out, task.labels).accuracy)
"""


def command(task: Task, recipe: Recipe, device: str = "") -> str:
    """The command line that does the same, and saves what was learned. Settings that the task itself brings are not repeated."""
    values = _differing(recipe, task.recipe)
    words = ["python", "-m", "app", "train", "--task", _quoted(named(task))]
    for name, value in {**values, **({"init_from": START} if recipe.init_from else {}), **_model(recipe, device)}.items():
        words += _option("--" + ("model" if name == "name" else name.replace("_", "-")), value)
    return " ".join([*words, "--out", FOLDER])


def _differing(recipe: Recipe, brought: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose values differ from those in `brought`, or else from the defaults."""
    usual = {name: brought.get(name, setting.default_for(recipe.method)) for name, setting in ON_PAGE.items()}
    return {name: getattr(recipe, name) for name in usual if getattr(recipe, name) != usual[name]}


def _model(recipe: Recipe, device: str) -> dict[str, str]:
    found = {"name": recipe.model, "device": device, "dtype": recipe.dtype}
    return {name: value for name, value in found.items() if value not in ("", "auto", DEFAULT_MODEL)}


def _option(flag: str, value: Any) -> list[str]:
    text = _quoted(str(value))
    return [f"{flag}={text}"] if str(value).startswith("-") else [flag, text]


def _quoted(text: str) -> str:
    """`text` for a shell. Invisible characters are escaped, in a way that bash and zsh read.

    >>> print(_quoted("it's"), _quoted("a\\u202eb"))
    'it'"'"'s' $'a\\u202eb'
    """
    if text.replace("\n", "").replace("\t", "").isprintable():
        return shlex.quote(text)
    return "$'" + "".join(_spelled(sign) for sign in text) + "'"


def _spelled(sign: str) -> str:
    if sign in "\\'":
        return "\\" + sign
    if sign.isprintable():
        return sign
    return f"\\u{ord(sign):04x}" if ord(sign) < 2**16 else f"\\U{ord(sign):08x}"


def view(task: Task, recipe: Recipe, record: RunRecord) -> Html:
    """Python and the command line for a run, with buttons to copy them, or a sentence where there is no such code."""
    if record.loaded:
        return note("This prompt came from a file, so no code makes it again; its recipe.json says what is known about it.")
    device = str(record.base.get("device", ""))
    other = device if device and device != pick_device().type else ""
    notes: list[str] = ["In this project’s folder, with the packages of requirements.txt, on a machine and with weights like those here."]
    if named(task) != task.slug:
        notes.append(Html("The rows are in <code>{}</code>, which the button below gives.").format(file_name(task)))
    if recipe.init_from:
        notes.append(Html("Save the prompt that it started from ({}) as <code>{}</code> first.").format(recipe.init_from, START))
    if record.stopped.startswith("stopped by hand"):
        notes.append(f"This run was {record.stopped}; the code continues to step {recipe.steps}.")
    blocks = [_block("Python", python(task, recipe, other)), _block("Command line", command(task, recipe, other))]
    return join([note(join(notes, " ")), *blocks])


def _block(title: str, text: str) -> Html:
    head = tag("div", tag("b", title), button("Copy", class_="copy"), class_="code-title")
    return tag("div", head, tag("pre", text, tabindex=0, aria_label=title), class_="code")
