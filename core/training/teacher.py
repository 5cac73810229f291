"""The teacher of a run that imitates a prompt: its answers to the training rows, and its predictions along them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import LabError, shown
from core.models.language_model import LanguageModel
from core.prefix import no_prefix
from core.recipe import Recipe
from core.scoring.contender import Contender
from core.scoring.imitation import LEAST, LONGEST_ANSWER, answer_logs, batches, check_same_gap, own_answers
from core.scoring.prepared import Prepared, prepare
from core.scoring.rows import Row, encode, end_tokens
from core.tasks.task import Example, Task

MOST_KEPT_BYTES = 64 * 2**20  # of predictions; where they are more, each batch's are computed again in its step


class Teacher:
    """A handcrafted prompt whose predictions a run learns. It depends on the model, the task and the recipe alone, and never changes."""

    def __init__(self, lm: LanguageModel, task: Task, recipe: Recipe, student: Prepared, extra: int = 0):
        """student: the training rows as the run tokenises them. extra: tokens that a frame may add to each.

        Raises LabError where the teacher can't be run on a row of the task, or begins its answers differently.
        """
        self.lm, self.recipe, self.student = lm, recipe, student
        check_same_gap(recipe.teacher, recipe.template or task.template, task.train)
        rows = (*task.train, *task.validation, *task.held_out)
        longest = check_teacher(lm, recipe.teacher, rows)
        room = lm.window - max(longest, student.positions + extra + max(len(row.prompt) for row in student.rows))
        self.most = min(LONGEST_ANSWER, room)
        self.prepared = prepare(lm, Contender("teacher", "handcrafted", recipe.teacher, no_prefix()), task.train, None)
        self.answers: dict[Example, tuple[int, ...]] = {}
        self._kept: dict[Example, Tensor] = {}  # each (answer tokens, vocab), float16
        self.ready = False

    def listen(self) -> Iterator[None]:
        """Find the answers, and keep the predictions along them if they are few; in pieces of a batch of rows each."""
        self.answers, self._kept = {}, {}  # whatever was left of an earlier attempt
        if self.recipe.continuation == "rows":
            end = end_tokens(self.lm, "newline")[:1]
            self.answers = {row.example: (*row.answer, *end) for row in self.student.rows}
        else:
            for said in own_answers(self.lm, self.prepared, self.most):
                self.answers |= {self.prepared.rows[number].example: ids for number, ids in said}
                yield
        self.prepared = with_answers(self.prepared, self.answers)
        tokens = sum(map(len, self.answers.values()))
        if tokens * self.lm.vocab_size * torch.float16.itemsize <= MOST_KEPT_BYTES:
            longest = max(map(len, self.answers.values()))
            for numbers in batches(self.lm, self.prepared, longest, read=longest):
                rows = [self.prepared.rows[number] for number in numbers]
                logs = self._computed(rows).clamp_min(LEAST).half()
                self._kept |= zip((row.example for row in rows), logs.split([len(row.answer) for row in rows]), strict=True)
                yield
        self.ready = True

    def logs(self, rows: Sequence[Row]) -> Float[Tensor, "answers vocab"]:
        """The natural-log distribution of its next token at every answer token of `rows`, which are the student's. After `listen`."""
        if self._kept:
            return torch.cat([self._kept[row.example] for row in rows]).float()
        own = {row.example: row for row in self.prepared.rows}
        return self._computed([own[row.example] for row in rows])

    def _computed(self, rows: Sequence[Row]) -> Float[Tensor, "answers vocab"]:
        with torch.no_grad():
            return answer_logs(self.lm, self.prepared.fill(self.lm), rows)


def with_answers(prepared: Prepared, answers: dict[Example, tuple[int, ...]]) -> Prepared:
    """The same rows with other answers."""
    return replace(prepared, rows=tuple(replace(row, answer=answers[row.example], candidates=(), label=-1) for row in prepared.rows))


def check_teacher(lm: LanguageModel, template: str, examples: Sequence[Example]) -> int:
    """The most tokens of a row's prompt and answer after this teacher. LabError where they don't fit the model's window."""
    longest = 0
    for number, row in enumerate(encode(lm, template, examples, None), start=1):
        needed = len(row.prompt) + len(row.answer) + 1
        if needed > lm.window:
            raise LabError(
                f"The teacher prompt needs {needed} positions with row {number} ({shown(row.example.input, 40)}), the model has "
                f"{lm.window}: shorten it."
            )
        longest = max(longest, needed)
    return longest
