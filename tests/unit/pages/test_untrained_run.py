"""A run repeated on random weights, from Compare: its score takes part, its prompt does not, since it means nothing to the model here."""

import asyncio

from timed_engine import until
from tiny_models import answer_task

from app.sessions.contest import entrants, known_scores
from app.sessions.contest_jobs import Repeat, train_more
from app.sessions.session import Session
from core.recipe import Recipe


def test_a_run_on_random_weights_enters_with_its_score_alone(lab):
    session = Session(task=answer_task())
    run = lab.start(session, Recipe(task="tiny", steps=2, batch_size=4, virtual_tokens=3))
    until(lambda: run.ticket.over)
    name = f"control: {run.name} on random weights"
    wanted = [Repeat(run.task, run.recipe, name, "", random_weights=True)]

    async def follow():
        return [news async for news in train_more(lab, session, run, wanted)]

    news = asyncio.run(follow())
    assert not any(one.problem for one in news) and "scoring" in [one.progress for one in news]
    assert known_scores(session)[name].learned and name not in [one.name for one in entrants(session)]
