"""Answers in Gradio's queue that no client reads."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

UNREAD = 20.0  # seconds that answers wait for a reader


class Unread:
    """Drops answers without a reader and ends their work; Gradio would keep both for ever."""

    def __init__(self, queue: Any):
        self._queue = queue  # Gradio's
        self._readers: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._watch: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """After a join, check regularly for unread answers until none are waiting."""
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while self._queue.pending_messages_per_session:
            await asyncio.sleep(UNREAD / 4)
            await self.sweep("", time.monotonic())

    @contextlib.contextmanager
    def reading(self, session: str) -> Iterator[None]:
        self._readers[session] += 1
        try:
            yield
        finally:
            self._readers[session] -= 1
            if not self._readers[session]:
                del self._readers[session]
            self._since[session] = time.monotonic()

    async def sweep(self, joining: str, now: float) -> None:
        """Drop answers that were unread for too long. joining: the session that joins the queue now, or ""."""
        waiting = self._queue.pending_messages_per_session
        self._since = {known: self._since.get(known, now) for known in waiting if known not in self._readers and known != joining}
        for session in [known for known, since in self._since.items() if now - since > UNREAD]:
            await self._queue.clean_events(session_hash=session)
            waiting.pop(session, None)
            self._queue.pending_event_ids_session.pop(session, None)
