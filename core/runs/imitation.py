"""How like its teacher a prompt became: on the held-out rows, beside the untrained start and no prompt."""

import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch

from core.events import Event
from core.models.language_model import LanguageModel
from core.models.past import Past
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, by_one_score, written
from core.scoring.imitation import LONGEST_ANSWER, answer_logs, batches, divergence, own_answers
from core.scoring.measures import bootstrap_mean, wilson
from core.scoring.prepared import Prepared, prepare
from core.scoring.row_results import ends_answer
from core.scoring.score import Score, finish
from core.tasks.task import Example, Handcrafted, Task, short_hash


def teacher_name(template: str) -> str:
    """The name of a teacher among the contenders, which no other teacher has.

    >>> teacher_name("go -> went\\n{input} ->")
    'teacher d1d8'
    """
    return f"teacher {short_hash(template)[:4]}"


TURNS = 9  # of the measurement of seconds


@dataclass(frozen=True)
class Likeness:
    """How like its teacher a prompt is on `n` rows.

    kl: KL(teacher || prompt) of the next-token distributions along the teacher's own greedy answers, in nats per token: the mean over
    rows, with its 95 % interval (bootstrap over rows). same: the number of rows with the teacher's answer: for labels, the same label
    is chosen; for answers, the same greedy tokens up to the end. share_interval: of `same / n`, Wilson, 95 %.
    """

    name: str
    kl: float
    kl_interval: tuple[float, float]
    same: int
    share_interval: tuple[float, float]
    n: int

    @property
    def share(self) -> float:
        """The share of rows with the teacher's answer."""
        return self.same / self.n


@dataclass(frozen=True)
class Imitation(Event):
    """The result of imitating a teacher, on the held-out rows.

    teacher: the name of its score. teacher_tokens, tokens: positions that the model runs for the words and vectors around an input,
    with the teacher and with the student (mean over rows, rounded; the inputs' own tokens not counted).
    learned, start, nothing: the trained prompt, the same untrained, and no prompt. seconds: to the first token of one answer, teacher
    and student, nothing computed before: medians on this device; None for records of earlier versions.
    """

    teacher: str
    teacher_tokens: int
    tokens: int
    learned: Likeness
    start: Likeness
    nothing: Likeness
    seconds: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready."""
        return asdict(self) | {"saved": self.saved}

    @property
    def saved(self) -> int:
        """Tokens saved in front of every input; below 0 where the student is longer."""
        return self.teacher_tokens - self.tokens


def teacher_of(task: Task, recipe: Recipe, others: Iterable[Contender] = ()) -> Contender | None:
    """The contender whose predictions a run learns, one of `others` where that has the same words; None for another loss."""
    if recipe.loss != "imitate":
        return None
    known = (one for one in others if one.kind == "handcrafted" and not one.offsets and one.template == recipe.teacher)
    made = replace(written(task, Handcrafted(teacher_name(recipe.teacher), recipe.teacher)), label_score=recipe.label_score)
    return next(known, made)


def measure(
    lm: LanguageModel, task: Task, teacher: Contender, students: Sequence[Contender], rows: Sequence[Example], book: Scorebook
) -> Generator[None, None, Imitation]:
    """Compare `students` (the trained prompt, its start, no prompt) with `teacher` on `rows`, in float32; in pieces, a batch each.

    LabError where a row can't be used.
    """
    lm = lm.for_scoring
    heard, every, (learned, start, nothing) = yield from likenesses(lm, task, teacher, students, rows, book)
    inputs = np.mean([len(lm.tokenise(row.input)) for row in rows])
    tokens = [one.positions + np.mean([len(row.prompt) for row in one.rows]) - inputs for one in (heard, every[0])]
    seconds = yield from _first_token(lm, (heard, every[0]))
    return Imitation(teacher.name, round(float(tokens[0])), round(float(tokens[1])), learned, start, nothing, seconds)


def likenesses(
    lm: LanguageModel,
    task: Task,
    teacher: Contender,
    students: Sequence[Contender],
    rows: Sequence[Example],
    book: Scorebook,
    most: int = LONGEST_ANSWER,
) -> Generator[None, None, tuple[Prepared, list[Prepared], list[Likeness]]]:
    """How like `teacher`, any prompt, each of `students` is on `rows`, in float32; in pieces, a batch each.

    most: tokens of an answer. Also returned: the teacher's and the students' tokenised rows. LabError where a row can't be used.
    """
    lm = lm.for_scoring
    rule = students[0].label_score
    teacher, *students = by_one_score([teacher, *students], "sum" if rule == "auto" else rule)  # the same predictions, the same answer
    heard = prepare(lm, teacher, rows, None)
    every = [prepare(lm, one, rows, None) for one in students]
    room = min(lm.window - one.positions - max(len(row.prompt) for row in one.rows) for one in (heard, *every))
    answers: list[tuple[int, ...]] = []
    for said in own_answers(lm, heard, max(1, min(most, room))):
        answers += [ids for _, ids in said]
        yield
    heard, *every = (replace(one, rows=tuple(map(lambda row, ids: replace(row, answer=ids), one.rows, answers))) for one in (heard, *every))
    kl: list[list[float]] = [[] for _ in students]
    same: list[list[bool]] = [[] for _ in students]
    with torch.inference_mode():
        caches = [one.fill(lm) for one in (heard, *every)]
    longest = max(map(len, answers))
    for numbers in batches(lm, heard, longest, read=longest):
        with torch.inference_mode():
            truth = answer_logs(lm, caches[0], [heard.rows[number] for number in numbers])
            for place, (student, cache) in enumerate(zip(every, caches[1:], strict=True)):
                found = _rows(lm, truth, student, cache, numbers)
                kl[place] += [value for value, _ in found]
                same[place] += [alike for _, alike in found]
        yield
    if task.labels:
        chosen = yield from _labels(lm, task, [teacher, *students], rows, book)
        same = [[one == other for one, other in zip(chosen[0], labels, strict=True)] for labels in chosen[1:]]
    return heard, every, [_likeness(*each) for each in zip(students, kl, same, strict=True)]


def _first_token(lm: LanguageModel, pair: tuple[Prepared, Prepared]) -> Generator[None, None, tuple[float, float]]:
    """Median seconds until the first token of an answer is known, prompt and input read from the beginning, for each of the two.

    In turns on the same rows, so that a busy machine slows both; the first turn warms up and does not count.
    """
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for one, seconds in zip(pair, found, strict=True):
            row = one.rows[turn % len(one.rows)]
            with torch.inference_mode():
                began = time.perf_counter()
                answer_logs(lm, one.fill(lm), [replace(row, answer=row.answer[:1])]).argmax().item()  # .item() waits for the device
                if turn:
                    seconds.append(time.perf_counter() - began)
        yield
    return median(found[0]), median(found[1])


def _rows(lm: LanguageModel, truth: torch.Tensor, student: Prepared, cache: Past, numbers: Sequence[int]) -> list[tuple[float, bool]]:
    """Of each row: the mean KL along the teacher's answer, and whether the student's greedy answer is the same."""
    rows = [student.rows[number] for number in numbers]
    logs = answer_logs(lm, cache, rows)
    apart = divergence(truth, logs).cpu().tolist()
    first = logs.argmax(dim=-1).tolist()
    found, start = [], 0
    for row in rows:
        end = start + len(row.answer)
        # Up to the first difference, the first choices along the teacher's answer are what the student would write itself.
        alike = first[start : end - 1] == list(row.answer[:-1]) and _same_end(lm, first[end - 1], row.answer[-1])
        found.append((sum(apart[start:end]) / len(row.answer), alike))
        start = end
    return found


def _same_end(lm: LanguageModel, one: int, other: int) -> bool:
    return one == other or (ends_answer(lm, one) and ends_answer(lm, other))


def _labels(
    lm: LanguageModel, task: Task, contenders: Sequence[Contender], rows: Sequence[Example], book: Scorebook
) -> Generator[None, None, list[list[str]]]:
    chosen = []
    for contender in contenders:
        score: Score = yield from finish(book.score(lm, contender, rows, task.labels))
        chosen.append([result.said for result in score.results])
    return chosen


def _likeness(contender: Contender, kl: Sequence[float], same: Sequence[bool]) -> Likeness:
    alike = sum(same)
    return Likeness(contender.name, float(np.mean(kl)), bootstrap_mean(kl), alike, wilson(alike, len(same)), len(same))


def in_words(found: Imitation, scores: Iterable[Score]) -> str:
    """The result as two sentences of plain text. scores: on the held-out rows; the teacher's and the learned prompt's are told."""
    mine, start, nothing = found.learned, found.start, found.nothing
    difference = f"{abs(found.saved)} {'saved' if found.saved >= 0 else 'more'}"
    said = (
        f"{found.tokens} tokens in place of the {found.teacher_tokens} of “{found.teacher}” ({difference}) "
        f"give the same answer on {mine.same} of {mine.n} held-out rows ({_share(mine.share, mine.share_interval, '; ')}before training "
        f"{start.same}, without a prompt {nothing.same}), at a KL divergence of {mine.kl:.2f} nats per token ({mine.kl_interval[0]:.2f}–"
        f"{mine.kl_interval[1]:.2f}; before training {start.kl:.2f}, without a prompt {nothing.kl:.2f})."
    )
    if found.seconds:
        teacher_seconds, own_seconds = found.seconds
        said += (
            f" The first token of an answer takes {_milliseconds(own_seconds)} in place of {_milliseconds(teacher_seconds)} on this device "
            f"(medians of {TURNS}, in turns)."
        )
    known = {score.name: score for score in scores if score.final}
    if mine.name in known and found.teacher in known:
        own, teacher = (_share(one.accuracy, one.interval) for one in (known[mine.name], known[found.teacher]))
        said += f" Right answers: learned {own}, teacher {teacher}{_both(known[mine.name], known[found.teacher])}."
    return said


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds >= 0.01 else f"{1000 * seconds:.1f} ms"


def _both(one: Score, other: Score) -> str:
    """On how many rows both are right: there the answer is the same for that reason alone."""
    theirs = {result.input for result in other.results if result.correct}
    both = sum(result.correct and result.input in theirs for result in one.results)
    return f", both on {both} rows" if one.results and other.results else ""


def _share(share: float, interval: tuple[float, float], after: str = "") -> str:
    ends = f"{100 * interval[0]:.0f}–{100 * interval[1]:.0f}"
    return f"{100 * share:.0f} %, {ends}{after}" if after else f"{100 * share:.0f} % ({ends})"
