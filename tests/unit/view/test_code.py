"""The code that the page gives makes the very run again: it is run here, both ways."""

import contextlib
import io
import json
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from made_up import trained_record
from tiny_models import answer_task, label_task

from app.__main__ import main
from app.sessions.session_run import SessionRun
from app.view import code
from core import Recipe, load_model
from core.runs.record import new_record
from core.runs.saved_adapter import load
from core.tasks.load import task_from_json
from core.tasks.task import Task
from core.tasks.task_file import task_to_json


def made(folder: str, task: Task, **settings: object) -> SessionRun:
    """A run as the page makes it, to its end."""
    recipe = Recipe.from_dict({**task.recipe, **settings, "task": task.slug, "model": folder, "dtype": "float32"})
    return SessionRun("run 1", trained_record(load_model(folder, dtype="float32"), task, recipe), task, recipe)


def own(task: Task, tmp_path: Path) -> Task:
    """`task` as an uploaded file, which lies where the code looks for it."""
    task = task_from_json(task_to_json(task).encode(), "brought")
    (tmp_path / code.file_name(task)).write_text(task_to_json(task), "utf-8")
    return task


CASES = [
    (answer_task(), {"virtual_tokens": 3, "steps": 4, "seed": 5}),
    (answer_task(recipe={"steps": 9, "learning_rate": 0.5}), {"method": "prefix", "virtual_tokens": 2, "steps": 60, "learning_rate": 0.01}),
    (
        label_task(name='pets & "co" $HOME <b>', recipe={"steps": 3, "batch_size": 4}),
        {"init": "text", "init_text": 'it\'s -- $HOME `x` "y"', "template": "{input}\n\\Label:", "virtual_tokens": 2},
    ),
]


@pytest.mark.parametrize("task, settings", CASES, ids=["plain", "a prefix against the task's recipe", "odd texts"])
def test_both_make_the_same_run_again(tiny_folder, tmp_path, monkeypatch, task, settings):
    settings = {"steps": 6, **settings} if settings.get("steps") == 60 else settings
    run = made(tiny_folder, own(task, tmp_path), **settings)
    monkeypatch.chdir(tmp_path)
    said, space = io.StringIO(), {}
    with contextlib.redirect_stdout(said):
        exec(code.python(run.task, run.recipe), space)
    *steps, accuracy = said.getvalue().splitlines()
    assert [float(line.split()[1]) for line in steps] == run.record.losses
    assert np.array_equal(space["training"].prefix.snapshot(), run.record.final_vectors())
    learned = next(score for score in run.record.scores if score.learned)
    assert float(accuracy) == learned.accuracy

    line = code.command(run.task, run.recipe)
    python, *words = shlex.split(line)
    assert (python, words[:2]) == ("python", ["-m", "app"])
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main([*words[2:], "--json"]) == 0
    assert np.array_equal(load(code.FOLDER, load_model(tiny_folder)).prefix.snapshot(), run.record.final_vectors())
    again = next(row for row in json.loads(printed.getvalue())["contenders"] if row["name"] == "learned")
    assert (again["accuracy"], again["loss"]) == (learned.accuracy, learned.loss)


def test_only_what_differs_is_said():
    task, recipe = answer_task(slug="news"), Recipe(task="news", model="HuggingFaceTB/SmolLM2-135M-Instruct")
    assert code.command(task, recipe) == "python -m app train --task news --out my-prompt"
    assert "lm = load_model()\n" in code.python(task, recipe)
    assert "Recipe(task='news')" in code.python(task, recipe)
    assert "--device cpu --dtype fast" in code.command(task, recipe.but(dtype="fast"), "cpu")


@given(some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40))
def test_any_text_is_quoted(text):
    option = code._option("--template", text)
    if text.replace("\n", "").replace("\t", "").isprintable():
        [word, *rest] = shlex.split(" ".join(option)) if len(option) > 1 else [*shlex.split(option[0])[0].split("=", 1)]
        assert (word, rest) == ("--template", [text])
    assert not set("\u202e\u2066\x07") & set(" ".join(option))


def test_a_shell_reads_signs_that_are_spelled_out():
    text = "a\u202eb'c\\d\n\x07é\U000e0041"
    line = f"printf %s {code._quoted(text)}"
    said = subprocess.run(["bash", "-c", line], capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True).stdout
    assert said.decode() == text


def test_the_view_escapes_and_tells(tmp_path):
    task = own(label_task(name="<b>pets</b>"), tmp_path)
    recipe = Recipe(task=task.slug, template="<script>{input}</script>")
    run = SessionRun("run 1", new_record(task, recipe), task, recipe)
    shown = code.view(run.task, run.recipe, run.record)
    assert "<script>" not in shown
    assert "<b>pets" not in shown
    assert "b-pets-b.task.json" in shown
    run.record.stopped = "stopped by hand after step 3"
    assert "continues to step 60" in code.view(run.task, run.recipe, run.record)
