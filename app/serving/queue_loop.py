"""Gradio's queue looks for events each millisecond, also where there are none: 6 to 8 % of a core on an idle server. Here it waits."""

import asyncio
import contextlib
import logging
from types import FunctionType
from typing import Any

from gradio.queueing import Queue

log = logging.getLogger("soft_prompt_lab")

LONGEST = 1.0  # seconds without an event after which it is looked whether the server is closing
PROGRESS = 0.25  # seconds between looks for progress bars of Gradio's own: this page has none


class WaitingAsyncio:
    """The module asyncio, in which a queue that is empty sleeps until an event arrives."""

    def __init__(self, queue: Queue, arrived: asyncio.Event):
        self.queue, self.arrived = queue, arrived

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, seconds: float) -> None:
        if len(self.queue):  # its events wait for a free place
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.arrived.wait(), LONGEST)
        self.arrived.clear()


def wait_for_events(queue: Queue) -> None:
    """Let the loop of `queue` sleep until an event is pushed. Called before it starts.

    The loop stays Gradio's own, with another `asyncio`. Where Gradio has changed so that this can't be done, it polls as before.
    """
    loop, push = getattr(Queue, "start_processing", None), getattr(queue, "push", None)
    if not isinstance(loop, FunctionType) or push is None or "sleep" not in loop.__code__.co_names:
        log.warning("Gradio's queue has changed: it looks for events each millisecond")
        return
    arrived = asyncio.Event()

    async def push_and_tell(*args: Any, **options: Any) -> Any:
        try:
            return await push(*args, **options)
        finally:
            arrived.set()

    names = {**loop.__globals__, "asyncio": WaitingAsyncio(queue, arrived)}
    waiting = FunctionType(loop.__code__, names, loop.__name__, loop.__defaults__, loop.__closure__)
    queue.push = push_and_tell
    queue.start_processing = waiting.__get__(queue)
    queue.progress_update_sleep_when_free = PROGRESS
