"""Which session uses the device next: start-time fair queueing (Goyal, Vin & Cheng 1996).

Each session has a virtual time: the service that it has received, in turns. The session with the lowest virtual time is next;
of equal ones, the session that has waited longest.

A piece of work costs one turn where the session's pieces take between half and twice as long as those of the others: turns
then go round, and noise in the measured seconds changes nothing. Pieces that take ten times as long cost ten turns, so the
device's time is shared fairly. A result that was known already costs nothing.

A returning session starts at the current virtual time; idling earns no credit, and service beyond it still counts. A new
session starts two turns earlier, one for what its first job prepares and one for its first step, so that a class that
arrives within seconds stays in step. The jobs of one session share its turns.
"""

import statistics
from collections import OrderedDict, deque
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

RECENT = 16  # pieces of a session from which its usual length is measured
KNOWN = 4  # pieces; until a session has done so many, each costs one turn
HEAD_START = 2.0  # turns by which a new session starts before the current virtual time
ALIKE = 2.0  # a piece up to this many times as long, or as short, costs one turn
SHORTEST = 0.005  # seconds; shorter pieces count as this long, since their measured length is mostly noise
MOST_REMEMBERED = 500  # sessions whose virtual time is kept after their last job


@dataclass
class _Service:
    """What one session has received. since: the order number of its last turn or arrival; before: the one before the present turn.

    length: seconds of its usual piece, the mean of the recent ones without the longest; None where too few are known.
    """

    turns: float = 0.0
    since: int = 0
    before: int = 0
    length: float | None = None
    pieces: deque[float] = field(default_factory=lambda: deque(maxlen=RECENT))  # seconds

    def add(self, seconds: float) -> None:
        self.pieces.append(seconds)
        if len(self.pieces) >= KNOWN:
            self.length = max(SHORTEST, (sum(self.pieces) - max(self.pieces)) / (len(self.pieces) - 1))


class FairShare:
    """The virtual times of sessions. It has no lock of its own."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[str, _Service] = OrderedDict()  # the one that arrived last stands last
        self._virtual_time = 0.0  # of the session that was served last, before its turn
        self._count = 0

    def __contains__(self, session: str) -> bool:
        return session in self._sessions

    def __len__(self) -> int:
        return len(self._sessions)

    def arrive(self, session: str, waiting: bool, present: Container[str]) -> None:
        """A session asks for the device. waiting: it did so before, and keeps its place.

        present: the sessions that have jobs; of the others, the least recently arrived are forgotten beyond `MOST_REMEMBERED`.
        """
        start = self._virtual_time - (0.0 if session in self._sessions else HEAD_START)
        service = self._sessions.setdefault(session, _Service())
        self._sessions.move_to_end(session)
        if not waiting:
            service.turns = max(service.turns, start)
            service.since = self._next()
        for known in list(self._sessions)[: max(0, len(self._sessions) - MOST_REMEMBERED)]:
            if known not in present:
                del self._sessions[known]

    def order(self, session: str) -> tuple[float, int]:
        """The session with the lowest is next."""
        service = self._sessions[session]
        return service.turns, service.since

    def begin(self, session: str, idle: bool) -> None:
        """A session's turn begins. idle: at idle priority, which leaves the virtual time alone."""
        service = self._sessions[session]
        service.before, service.since = service.since, self._next()
        if not idle:
            self._virtual_time = service.turns

    def give_back(self, session: str) -> None:
        """The turn that began took no time: the session keeps its place in the queue."""
        if session in self._sessions:
            self._sessions[session].since = self._sessions[session].before

    def charge(self, session: str, seconds: float, waiting: Iterable[str]) -> None:
        """The turn that began took so many seconds. waiting: the sessions that want the device."""
        if session not in self._sessions:
            return
        service = self._sessions[session]
        service.add(seconds)
        lengths = [self._sessions[other].length for other in {*waiting, session}]
        # The lower median: of one session with long pieces and one with short ones, the short ones set the measure.
        usual = statistics.median_low([length for length in lengths if length is not None]) if service.length else 1.0
        ratio = service.length / usual if service.length else 1.0
        service.turns += 1.0 if 1 / ALIKE <= ratio <= ALIKE else ratio

    def _next(self) -> int:
        self._count += 1
        return self._count
