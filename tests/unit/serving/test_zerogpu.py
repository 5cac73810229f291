"""Slices through the real `spaces` package where there is no GPU to lend: it calls a decorated function as it is."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from gradio.context import LocalContext
from lender import ON, Lender
from tiny_models import answer_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.runs.run import Finished, run
from core.runs.scorebook import Scorebook
from core.scoring.contender import bare
from core.training.training import StepEvent

pytest.importorskip("spaces", reason="the spaces package is not installed (requirements-dev.txt)")

from app.serving import zerogpu

ROOT = Path(__file__).resolve().parents[3]
RECIPE = Recipe(steps=12, batch_size=4, virtual_tokens=3)


@contextlib.contextmanager
def visit(event):
    """As in a handler of Gradio's: a request, and the event's id."""
    request, before = LocalContext.request.set(SimpleNamespace(headers={})), LocalContext.event_id.set(event)
    try:
        yield
    finally:
        LocalContext.request.reset(request)
        LocalContext.event_id.reset(before)


@pytest.fixture
def asked(monkeypatch):
    """The slices that a GPU was asked for."""
    works, do = [], zerogpu.in_worker

    def counted(work):
        works.append(work)
        return do(work)

    monkeypatch.setattr(zerogpu, "in_worker", counted)
    return works


def lent():
    """A model whose slices go to the `spaces` package."""
    lm = make("llama")
    zerogpu.lend(lm)
    return lm


def vectors(lm):
    return [event.vectors for event in run(lm, answer_task(), RECIPE) if isinstance(event, StepEvent)]


def test_a_visitors_slices_go_to_the_decorated_function_and_give_the_same_vectors(asked):
    lm = lent()
    with visit("one"):
        found = vectors(lm)
    assert len(asked) > 2 and lm.device_name == "zerogpu"
    assert all(np.array_equal(a, b) for a, b in zip(found, vectors(make("llama")), strict=True))


def test_what_nobody_asked_for_is_done_here(asked):
    assert len(vectors(lent())) == 12
    assert not asked


def test_without_a_gpu_a_run_goes_on_here_to_its_end_and_says_so_once_for_each_press(monkeypatch):
    tries = []

    def refuse(work):
        tries.append(work)
        raise gr.Error("<b>Your time is used up.</b>")

    monkeypatch.setattr(zerogpu, "in_worker", refuse)
    lm = lent()
    with pytest.warns(UserWarning, match="No GPU available") as said, visit("two"):
        events = list(run(lm, answer_task(), RECIPE))
    assert isinstance(events[-1], Finished) and events[-1].state.step == 12
    assert len(tries) == 1
    told = [str(warning.message) for warning in said]
    assert len(told) == 1 and "&lt;b&gt;" in told[0] and "<b>" not in told[0]
    with visit("three"), pytest.warns(UserWarning):
        vectors(lm)
    assert len(tries) == 2


def test_a_sentence_for_people_comes_back_from_the_worker_and_is_no_reason_to_try_here(asked):
    lm = lent()
    task = answer_task(template="{input} " + "and on " * 200)
    with visit("four"), pytest.raises(LabError, match="positions"):
        list(Scorebook().score(lm, bare(task), task.held_out, None))
    assert len(asked) == 1


IN_A_FORK = """
from types import SimpleNamespace
from gradio.context import LocalContext
from starlette.datastructures import Headers
from app.serving import zerogpu
import numpy as np
from tiny_models import answer_task, make
from core.recipe import Recipe
from core.runs.run import run
from core.training.training import StepEvent

def vectors(lm):
    return [e.vectors for e in run(lm, answer_task(), Recipe(steps=12, batch_size=4, virtual_tokens=3)) if isinstance(e, StepEvent)]

torch.set_num_threads(1)
lent = make("llama")
zerogpu.lend(lent)
LocalContext.request.set(SimpleNamespace(headers=Headers({"x-ip-token": "a.e30.c"})))
found = vectors(lent)
assert zerogpu._there is None, "no worker was forked"
assert all(np.array_equal(a, b) for a, b in zip(found, vectors(make("llama")), strict=True)), "other vectors"
print("the same vectors")
"""


def test_the_real_package_forks_pickles_and_uses_the_worker_again(tmp_path):
    lender = Lender(spent="")
    (tmp_path / "cgroup").write_text("0::/a-space\n", "utf-8")
    environment = {
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "SPACES_ZERO_GPU": "true",
        "SPACES_ZERO_DEVICE_API_URL": lender.address,
        "ZEROGPU_PROC_SELF_CGROUP_PATH": str(tmp_path / "cgroup"),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run([sys.executable, "-c", ON + IN_A_FORK], env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.stdout.endswith("the same vectors\n"), done.stderr
    asked = lender.asked("/schedule")
    assert len(asked) >= 3, done.stderr
    assert {call["token"] for call in asked} == {"a.e30.c"}
    assert all(0 < int(call["durationSeconds"]) <= 60 for call in asked)
    assert len(lender.asked("/allow")) == 1  # the one worker that was forked
    assert [call["fail"] for call in lender.asked("/release")] == ["false"] * len(asked)
