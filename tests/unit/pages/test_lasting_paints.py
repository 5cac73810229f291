"""Paints that come while a job is running are repeated once it is over."""

import asyncio
import threading

from tiny_models import answer_task

from app.sessions import jobs
from app.sessions.jobs import lasting
from app.sessions.session import Session


def test_what_was_painted_amid_a_job_is_painted_again_after_it(lab):
    session, leave = Session(task=answer_task()), threading.Event()

    def job(lm, ticket):
        leave.wait(60)
        yield None

    session.side_job = lab.submit(session, job)

    async def paints():
        found = []
        async for busy in lasting(lambda session: {"busy": session.busy})(session):
            found.append(busy["busy"])
            leave.set()
        return found

    assert asyncio.run(paints()) == [True, False]
    assert asyncio.run(paints()) == [False], "without a job, once"


def test_a_job_waits_for_the_one_before_it_and_is_refused_where_that_takes_long(lab, monkeypatch):
    session, leave = Session(task=answer_task()), threading.Event()

    def first(lm, ticket):
        leave.wait(60)
        yield None

    def second(lm, ticket):
        yield None

    async def news(session):
        return [(item.status, item.problem) async for item in jobs.side_job(lab, session, second, lambda event: event)]

    async def in_turn():
        waiting = asyncio.ensure_future(news(session))
        await asyncio.sleep(0)
        leave.set()
        return await waiting

    session.side_job = lab.submit(session, first)
    monkeypatch.setattr(jobs, "PATIENCE", 0.0)
    refused = asyncio.run(news(session))
    assert [status for status, _ in refused] == ["refused"] and "wait for it" in refused[0][1]
    monkeypatch.setattr(jobs, "PATIENCE", 60.0)
    assert asyncio.run(in_turn())[-1] == ("done", "")
