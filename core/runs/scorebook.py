"""Scores that are shared by all sessions, so that no contender is scored twice on the same rows."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.models.language_model import LanguageModel
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.tasks.task import Example
from core.training import slices


@dataclass
class _Going:
    """A scoring that is under way, batch by batch, and how many want it."""

    parts: Iterator[Score]
    wanted: int = 0


class Scorebook:
    """Scores by what was scored (template, numbers, rows), kept so that nothing is scored twice. Shared by all sessions.

    Nor is anything scored twice at once: of several jobs that want the same score, whichever has its turn does the next batch.
    """

    def __init__(self, most: int = 512):
        self._scores: OrderedDict[tuple, Score] = OrderedDict()
        self._going: dict[tuple, _Going] = {}
        self._most = most
        self._lock = threading.Lock()

    @staticmethod
    def _key(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> tuple:
        rows = tuple((e.input, e.output) for e in examples if e.key not in contender.excluded)
        numbers = hashlib.sha256(contender.prefix.snapshot().tobytes()).digest() if contender.prefix.virtual_tokens else b""
        made = (contender.template, contender.placement, contender.offsets, contender.learned, numbers)
        return id(lm.for_scoring), made, hash(rows), len(rows), tuple(labels or ())

    def get(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Score | None:
        """The score from an earlier time, under this contender's name, or None."""
        found = self._find(self._key(lm, contender, examples, labels))
        return _under_name(found, contender) if found else None

    def score(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
        """The score so far, batch by batch (one item where it is known); the last one is the whole."""
        key = self._key(lm, contender, examples, labels)  # now: a learned prompt may be trained on before the last batch
        found = self._find(key)
        done = 0
        if not found:
            with self._lock:
                going = self._going.setdefault(key, _Going(self._fill(key, slices.score_steps(lm, contender, examples, labels))))
                going.wanted += 1
            try:
                while part := next(going.parts, None):
                    done = part.n
                    yield _under_name(part, contender)
                found = self._find(key)
            finally:
                with self._lock:
                    going.wanted -= 1
                    if not going.wanted and self._going.get(key) is going:  # no caller is left to finish it
                        del self._going[key]
        if found and found.n != done:
            yield _under_name(found, contender)

    def _find(self, key: tuple) -> Score | None:
        with self._lock:
            found = self._scores.get(key)
            if found:
                self._scores.move_to_end(key)  # what is asked for stays; an old run's scores go first
            return found

    def _fill(self, key: tuple, parts: Iterator[Score]) -> Iterator[Score]:
        for score in parts:
            if score.final:
                with self._lock:
                    self._scores[key] = score
                    while len(self._scores) > self._most:
                        self._scores.popitem(last=False)
            yield score


def _under_name(score: Score, contender: Contender) -> Score:
    """A shared score under this contender's name."""
    return replace(score, **{name: getattr(contender, name) for name in ("name", "kind", "examples", "seconds", "group")})
