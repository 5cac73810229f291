"""The comparison of methods on the page: measured by the engine, one at a time, stopped and continued."""

import asyncio

import pytest
from tiny_models import answer_task

from app.sessions.experiments import start_spectrum
from app.sessions.following import following
from app.sessions.session import Session
from core import LabError, Recipe
from core.finetuning.catalogue import ADAPTATIONS

RECIPE = Recipe(steps=1, batch_size=4, virtual_tokens=2, warmup=1)


async def end(ticket, until=lambda: False):
    with following(ticket) as news:
        async for _ in news:
            if until():
                return


def test_it_is_measured_stopped_and_continued_without_measuring_again(lab):
    session = Session(task=answer_task())
    first = start_spectrum(lab, session, RECIPE)
    asyncio.run(end(first.ticket, lambda: first.result is not None))
    lab.engine.cancel(first.ticket)
    asyncio.run(end(first.ticket))
    assert first.words(0).startswith("Stopped") and first.result.methods[0].name == "none"
    known = first.result.methods
    second = start_spectrum(lab, session, RECIPE)
    assert session.experiments.spectrum is second and second.result.methods == known
    asyncio.run(end(second.ticket))
    assert second.ticket.status == "done" and second.words(0) == "All methods are measured."
    assert second.done == second.total and second.result.methods[: len(known)] == known
    assert {one.name for one in second.result.methods} | set(second.result.refused) == set(ADAPTATIONS)


def test_two_sessions_do_not_measure_at_once(lab):
    one, other = Session(task=answer_task()), Session(task=answer_task())
    first = start_spectrum(lab, one, RECIPE)
    with pytest.raises(LabError, match="Another session is measuring"):
        start_spectrum(lab, other, RECIPE)
    lab.engine.cancel(first.ticket)
    asyncio.run(end(first.ticket))
    second = start_spectrum(lab, other, RECIPE)
    lab.engine.cancel(second.ticket)  # no job is left running where the tests end
    asyncio.run(end(second.ticket))
    assert second.ticket.status == "cancelled"
