"""Which pages are open, and how much one visitor may ask for at once."""

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

from app.serving.json_body import Refused

MOST_STREAMS = 4  # of one page: it opens one for its answers, and one that shows that it is open
MOST_PENDING = 200  # events of one page that are not answered yet; the page's own start has 20
JOINS, JOINS_A_SECOND = 1000.0, 200.0  # events of one address: at once, and on average; a class behind one router is one address
STAYS = 60.0  # seconds that a page still counts as open after its connection has ended: networks change
MOST_KNOWN = 5000  # addresses and pages that are remembered

TOO_MANY_STREAMS = "This page has too many streams open: close them, or reload it."
TOO_MANY_EVENTS = "This page has too many requests that wait for an answer: wait for these first."
TOO_FAST = "Too many requests come from this address: please try again in a few seconds."


class Allowance:
    """So much at once, and so much per second on average, for each of the keys that were used last."""

    def __init__(self, most: float, a_second: float, clock: Callable[[], float] = time.monotonic):
        self.most, self.a_second, self._clock = most, a_second, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # key -> what was left, and when

    def left(self, key: str) -> float:
        now = self._clock()
        left, then = self._left.get(key, (self.most, now))
        return min(self.most, left + (now - then) * self.a_second)

    def take(self, key: str, amount: float = 1.0) -> None:
        self._left[key] = min(self.most, max(0.0, self.left(key) - amount)), self._clock()
        self._left.move_to_end(key)
        _shorten(self._left)

    def give(self, key: str) -> None:
        """Take one back."""
        self.take(key, -1.0)


class Visits:
    """Called from the server's event loop only, so it needs no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._streams: Counter[tuple[str, str]] = Counter()
        self._left: OrderedDict[str, float] = OrderedDict()
        self._joins = Allowance(JOINS, JOINS_A_SECOND, clock)  # by address

    @contextlib.contextmanager
    def stream(self, kind: str, session: str) -> Iterator[None]:
        """While a stream is open. Refused (429) beyond `MOST_STREAMS` of this kind and page. kind "heartbeat": the page is open meanwhile."""
        key = kind, session
        if self._streams[key] >= MOST_STREAMS:
            raise Refused(429, TOO_MANY_STREAMS)
        self._streams[key] += 1
        try:
            yield
        finally:
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]
                if kind == "heartbeat":
                    self._left[session] = self._clock()
                    self._left.move_to_end(session)
                    _shorten(self._left)

    def known(self, session: str) -> bool:
        """Whether this page is open, or was a minute ago."""
        return self._streams[("heartbeat", session)] > 0 or self._clock() - self._left.get(session, -STAYS) < STAYS

    def join(self, address: str, pending: int) -> None:
        """An event of a page with so many pending ones. Refused (429) where these, or the address's events of late, are too many."""
        if pending >= MOST_PENDING:
            raise Refused(429, TOO_MANY_EVENTS)
        left = self._joins.left(address)
        self._joins.take(address)
        if left < 1:
            raise Refused(429, TOO_FAST)


def _shorten(known: OrderedDict[str, float] | OrderedDict[str, tuple[float, float]]) -> None:
    while len(known) > MOST_KNOWN:
        known.popitem(last=False)
