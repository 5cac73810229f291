"""Work that takes seconds of a processor without the device, such as reading a table, off the server's event loop.

It has a few threads of its own: in those that asyncio shares, a few large tables would keep /healthz and all files waiting.
"""

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakValueDictionary

WORKERS = 4
OF_ONE = 2  # of these, for one session
Made = TypeVar("Made")

_pool = ThreadPoolExecutor(WORKERS, "heavy")
_turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()


async def heavy(owner: str, work: Callable[..., Made], *given: object) -> Made:
    """What `work(*given)` returns. owner: the session or caller, which has two threads at a time, so that others find one."""
    turn = _turns.setdefault(owner, asyncio.Semaphore(OF_ONE))
    async with turn:
        call = contextvars.copy_context().run
        return await asyncio.get_running_loop().run_in_executor(_pool, call, work, *given)
