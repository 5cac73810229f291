"""The handlers that paint one visitor's run step by step: a newer one ends the older ones."""

import asyncio
import contextlib
from collections.abc import Iterator

LOOK = 0.02  # seconds between two looks at whether older streams have ended
PATIENCE = 10.0  # seconds; a stream whose page has gone away may never be asked for its end


class Streams:
    """The newest stream's number, and the streams that have not ended yet."""

    def __init__(self) -> None:
        self.newest = 0
        self._open: set[int] = set()

    def end(self) -> None:
        """Let all streams end."""
        self.newest += 1

    @contextlib.contextmanager
    def begin(self) -> Iterator[int]:
        """A new stream, for as long as the block runs: its number. It ends itself where `newest` is no longer this number."""
        self.end()
        number = self.newest
        self._open.add(number)
        try:
            yield number
        finally:
            self._open.discard(number)

    async def alone(self, number: int) -> None:
        """Wait until the older streams have ended: Gradio asks a handler for its next item once it has sent the one before it,
        so what an older stream painted can't arrive after what this one paints then."""
        for _ in range(round(PATIENCE / LOOK)):
            if number != self.newest or min(self._open, default=number) >= number:
                return
            await asyncio.sleep(LOOK)
