"""An idle queue of Gradio's sleeps, and wakes when an event arrives."""

import asyncio
import logging
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Queue

from app.serving import queue_loop
from app.serving.queue_loop import wait_for_events


@pytest.fixture
def queue(monkeypatch):
    """The queue of a page with one event, which does nothing else but wait for events for an hour."""
    monkeypatch.setattr(queue_loop, "LONGEST", 3600.0)
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Button().click(lambda: None)
    made = page.queue(default_concurrency_limit=None)._queue
    made.active_jobs = [None] * 4
    wait_for_events(made)
    return made


async def push(queue):
    body = PredictBodyInternal(data=[], fn_index=0, session_hash="somebody")
    return await queue.push(body, SimpleNamespace(), None)


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


def test_an_idle_queue_is_not_looked_at_until_an_event_comes_and_then_at_once(queue, monkeypatch):
    looks, begun = [], asyncio.Event()
    count = Queue.__len__

    def counted(self):
        looks.append(1)
        return count(self)

    async def process(*_):
        begun.set()

    monkeypatch.setattr(Queue, "__len__", counted)
    monkeypatch.setattr(queue, "process_events", process)

    async def story():
        loop = asyncio.create_task(queue.start_processing())
        await settle()
        before = len(looks)
        await asyncio.sleep(0.05)  # a queue that polls looks some forty times
        assert len(looks) == before
        for _ in range(2):  # it sleeps again after an event
            assert (await push(queue))[0]
            await asyncio.wait_for(begun.wait(), 120)  # an hour's sleep that isn't ended fails here
            begun.clear()
            await settle()
        loop.cancel()

    asyncio.run(story())


def test_events_that_wait_for_a_place_are_taken_up_without_a_new_one(queue, monkeypatch):
    begun = asyncio.Event()

    async def process(*_):
        begun.set()

    monkeypatch.setattr(queue, "process_events", process)

    async def story():
        queue.active_jobs = [["one that runs"]]
        loop = asyncio.create_task(queue.start_processing())
        await push(queue)
        await settle()
        assert not begun.is_set()
        queue.active_jobs[0] = None
        await asyncio.wait_for(begun.wait(), 120)
        loop.cancel()

    asyncio.run(story())


def test_a_queue_that_works_otherwise_is_left_alone(monkeypatch, caplog):
    async def loop(self):
        """Nothing that sleeps."""

    monkeypatch.setattr(Queue, "start_processing", loop)
    page = gr.Blocks(analytics_enabled=False)
    queue = page.queue()._queue
    before = dict(vars(queue))
    monkeypatch.setattr(logging.getLogger("soft_prompt_lab"), "propagate", True)  # a test of the server's log may have set both
    with caplog.at_level(logging.WARNING, "soft_prompt_lab"):
        wait_for_events(queue)
    assert vars(queue) == before and "has changed" in caplog.text
