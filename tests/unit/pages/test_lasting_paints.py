"""Paints that come while a job is running are repeated once it is over."""

import asyncio
import threading

from tiny_models import answer_task

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
