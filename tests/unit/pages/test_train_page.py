"""The Train page follows the run that is shown: what it paints, when the run pauses, and what a run that never began leaves."""

import asyncio

import gradio as gr
import pytest
from tiny_models import answer_task

from app.components.widgets import begin_with
from app.pages.train import SETTLE, TrainPage
from app.sessions.session import Session
from core.errors import LabError
from core.recipe import Recipe


@pytest.fixture(scope="module")
def page(lab):
    with gr.Blocks():
        return TrainPage(lab, None)


def started(lab, steps, **settings):
    session = Session(task=answer_task())
    run = lab.start(session, Recipe(**(dict(task="tiny", steps=steps, batch_size=4, virtual_tokens=3) | settings)))
    return session, run


def test_a_run_is_painted_to_its_end_and_only_what_changed_is_sent(lab, page):
    session, run = started(lab, 5)

    async def follow():
        return [changes async for changes in page.follow(session)]

    first, *_, last = asyncio.run(follow())
    assert run.record.finished and first.keys() <= set(page.outputs)
    assert last.keys() == set(page.outputs), "the last state is painted in full"
    assert last[page.train]["interactive"] and not last[page.pause]["interactive"]


def test_a_page_that_goes_away_pauses_its_run(lab, page):
    session, run = started(lab, 9000)

    async def leave():
        stream = page.follow(session)
        async for _ in stream:
            if run.record.step >= 2:
                break
        await stream.aclose()

    asyncio.run(leave())
    assert run.status == "paused"
    lab.engine.cancel(run.ticket)


def test_a_newer_stream_ends_the_older_one_and_the_run_continues(lab, page):
    session, run = started(lab, 9000)

    async def follow_twice():
        first, second = page.follow(session), page.follow(session)
        await anext(first)
        _, left = await asyncio.gather(anext(second), _rest(first))
        assert len(left) <= 1 and run.status not in ("paused", "cancelled")
        lab.engine.cancel(run.ticket)
        return [changes async for changes in second][-1]

    assert asyncio.run(follow_twice())[page.train]["interactive"]


def test_a_newer_stream_paints_only_once_the_older_one_has_sent_its_last(lab, page):
    session, run = started(lab, 9000)

    async def follow_twice():
        older, newer = page.follow(session), page.follow(session)
        await anext(older)
        lab.engine.pause(run.ticket)
        last = asyncio.create_task(_last(newer))
        await asyncio.sleep(SETTLE)
        assert not last.done(), "the older stream's item may still be on its way"
        assert [changes async for changes in older] == []
        return await last

    try:
        assert "Paused at step" in asyncio.run(follow_twice())[page.progress]
    finally:
        lab.engine.cancel(run.ticket)


def test_a_run_that_never_began_gives_way_to_the_one_before_it(lab, page, monkeypatch):
    session, before = started(lab, 2)
    asyncio.run(_finish(page, session))

    def fail(*_):
        raise LabError("There is not enough memory.")

    monkeypatch.setattr("app.sessions.lab.training_job", fail)
    lab.start(session, before.recipe)
    last = asyncio.run(_finish(page, session))
    assert session.shown is before and session.runs == [before] and "not enough memory" in last[page.message]


async def _finish(page, session):
    return await _last(page.follow(session))


async def _rest(stream):
    return [changes async for changes in stream]


async def _last(stream):
    return (await _rest(stream))[-1]


def test_a_page_is_built_with_changes_in_place():
    with gr.Blocks():
        box, slider = gr.Textbox(), gr.Slider(0, 10)
    begin_with({box: "text", slider: gr.update(maximum=20, value=7)})
    assert (box.value, slider.maximum, slider.value) == ("text", 20, 7)
