"""An LRU cache of scores, shared by all sessions."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.models.language_model import LanguageModel
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.tasks.task import Example
from core.training import slices


@dataclass
class _Shared:
    """A score that is being computed batch by batch, and the number of jobs that wait for it."""

    parts: Iterator[Score]
    jobs: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, lm: LanguageModel) -> Score | None:
        """The score after the next batch, None after the last. A job waits while another's worker computes one."""
        if not self.lock.acquire(blocking=False):
            with lm.elsewhere():  # the other worker may need this device to finish its batch
                self.lock.acquire()
        try:
            return next(self.parts, None)
        finally:
            self.lock.release()


class Scorebook:
    """An LRU cache of `size` scores. The key is all that a score depends on: model, template, parameters, rows, label words.

    Jobs that need the same score at the same time share its computation: each computes the next batch when it has its turn.
    """

    def __init__(self, size: int = 512):
        self._scores: OrderedDict[tuple, Score] = OrderedDict()  # the least recently used first
        self._running: dict[tuple, _Shared] = {}
        self._size = size
        self._lock = threading.Lock()

    @staticmethod
    def _key(lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> tuple:
        rows = tuple((e.input, e.output) for e in contender.counted(examples))
        parameters = hashlib.sha256(contender.prefix.snapshot().tobytes()).digest() if contender.prefix.virtual_tokens else b""
        by = (contender.offsets, contender.label_score) if labels else ()
        made = (contender.template, contender.placement, by, contender.learned, parameters)
        return lm.weights_hash, lm.for_scoring.dtype_name, made, hash(rows), len(rows), tuple(labels or ())

    def get(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Score | None:
        """The cached score, under this contender's name, or None."""
        found = self._find(self._key(lm, contender, examples, labels))
        return _under_name(found, contender) if found else None

    def score(self, lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None) -> Iterator[Score]:
        """The score so far after each batch, or the cached score at once; the last one is final."""
        key = self._key(lm, contender, examples, labels)  # before the first batch: training may change the prompt meanwhile
        found = self._find(key)
        done = 0
        if not found:
            with self._lock:
                shared = self._running.setdefault(key, _Shared(self._cached(key, slices.score_steps(lm, contender, examples, labels))))
                shared.jobs += 1
            try:
                while part := shared.next(lm):
                    done = part.n
                    yield _under_name(part, contender)
                found = self._find(key)
            finally:
                with self._lock:
                    shared.jobs -= 1
                    if not shared.jobs and self._running.get(key) is shared:  # finished, or all its jobs have ended
                        del self._running[key]
        if found and found.n != done:  # cached before, or another job computed the last batch
            yield _under_name(found, contender)

    def _find(self, key: tuple) -> Score | None:
        with self._lock:
            found = self._scores.get(key)
            if found:
                self._scores.move_to_end(key)
            return found

    def _cached(self, key: tuple, parts: Iterator[Score]) -> Iterator[Score]:
        """`parts`, the final one of which enters the cache."""
        for score in parts:
            if score.final:
                with self._lock:
                    self._scores[key] = score
                    while len(self._scores) > self._size:
                        self._scores.popitem(last=False)
            yield score


def _under_name(score: Score, contender: Contender) -> Score:
    """A shared score under this contender's name."""
    return replace(score, **{name: getattr(contender, name) for name in ("name", "kind", "examples", "seconds", "group")})
