"""Try it: recorded answers before there is a model, real ones after, muted vectors and strength, and the newest question wins."""

import asyncio

import gradio as gr
import numpy as np
import pytest
from timed_engine import until
from tiny_models import answer_task

from app.pages.train import TrainPage
from app.sessions import trying
from app.sessions.session import Session
from app.sessions.session_run import recorded_run
from core.recipe import Recipe
from core.scoring.trying import altered, right_answer


@pytest.fixture(scope="module")
def page(lab):
    with gr.Blocks():
        return TrainPage(lab, recorded_run())


@pytest.fixture(scope="module")
def trained(lab):
    session = Session(task=answer_task())
    run = lab.start(session, Recipe(task="tiny", steps=3, batch_size=4, virtual_tokens=3))
    until(lambda: run.record.finished and not run.busy)
    return session, run


def ask(lab, session, run):
    async def every():
        return [problem async for problem in trying.answer(lab, session, run)]

    assert not any(asyncio.run(every()))
    return trying.answers(session, run)


def test_a_recording_answers_its_own_rows_before_anything_is_asked(page):
    session, run = Session(), recorded_run()
    painted = page.try_it.paint(session, run)
    row = run.record.held_out["learned"].results[0]
    assert session.trial.text == row.input == run.task.held_out[0].input
    assert row.said in painted[page.try_it.answers] and row.said in painted[page.try_it.picture]
    session.trial.text = "no row of it"
    assert all(tried is None for tried in trying.answers(session, run).values())
    drawn = {trying.draw(session, run) for _ in run.task.held_out}
    assert drawn == {row.input for row in run.task.held_out}, "each once before any comes again"


def test_all_prompts_answer_and_what_is_known_is_not_asked_again(lab, trained):
    session, run = trained
    answers = ask(lab, session, run)
    assert set(answers) >= {"none", "learned"} and all(tried and len(tried.likeliest) == 3 for tried in answers.values())
    assert right_answer(run.task, session.trial.text) == run.task.held_out[0].output
    before = session.trial.ticket
    ask(lab, session, run)
    assert session.trial.ticket is before


def test_muting_and_strength_change_the_prompt_and_the_answer(lab, trained):
    session, run = trained
    plain = ask(lab, session, run)["learned"]
    whole = trying.learned_at(session, run)
    session.trial.muted, session.trial.strength = frozenset({1}), 0.5
    changed = trying.learned_at(session, run)
    assert np.allclose(changed.prefix.snapshot(), np.delete(whole.prefix.snapshot(), 1, 0) * 0.5)
    other = ask(lab, session, run)["learned"]
    assert other.likeliest != plain.likeliest
    assert altered(whole, range(3)).prefix.virtual_tokens == 0
    session.trial.muted = frozenset({0, 1, 2})
    assert ask(lab, session, run)["learned"], "without all vectors it is no prompt, which answers too"
    session.trial.muted, session.trial.strength = frozenset(), 1.0


def test_the_newest_question_wins(lab, trained):
    session, run = trained

    async def two():
        first = trying.answer(lab, session, run, wait=0.05)
        waiting = asyncio.ensure_future(anext(first, "nothing"))
        await asyncio.sleep(0)
        session.trial.text = "newer"
        async for _ in trying.answer(lab, session, run):
            pass
        return await waiting

    assert asyncio.run(two()) == "nothing"
    assert session.trial.known[trying.key_of(session, run, "learned")]


def test_another_task_brings_its_own_example_and_another_run_all_its_vectors(trained):
    session, run = trained
    session.trial.text, session.trial.muted = "typed", frozenset({0})
    trying.trial_of(session, recorded_run())
    assert session.trial.text == recorded_run().task.held_out[0].input and not session.trial.muted
    trying.trial_of(session, run)
    assert session.trial.text == run.task.held_out[0].input
