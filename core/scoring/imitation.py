"""A prompt that imitates another one, its teacher: what the model says after the teacher, and how far a student's predictions are from it.

Both are run on the same inputs, each with its own template, and along the same answer tokens. Askell et al. 2021 ("A general language
assistant as a laboratory for alignment") call it context distillation; Wingate et al. 2022 ("Prompt compression and contrastive
conditioning") distil a text into a soft prompt.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import LabError, shown
from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.scoring.likelihood import MOST_KEYS
from core.scoring.prepared import Prepared
from core.scoring.row_results import BATCH
from core.scoring.rows import Row, collate
from core.tasks.prompt_text import gap, join
from core.tasks.task import Example, Task

LONGEST_ANSWER = 32  # tokens of a teacher's own answer, its end included
MOST_LOGITS = 2**24  # that are read at a time: 64 MB in float32, and a few copies of them
LEAST = -1e4  # in place of log 0, which times 0 would be no number


def divergence(teacher: Float[Tensor, "answers vocab"], student: Float[Tensor, "answers vocab"]) -> Float[Tensor, " answers"]:
    """KL(teacher || student) at each position, in nats, of two natural-log distributions: the sum of p (log p - log q).

    >>> divergence(torch.tensor([[0.5, 0.5], [1.0, 0.0]]).log(), torch.tensor([[0.5, 0.5], [0.5, 0.5]]).log())
    tensor([0.0000, 0.6931])
    """
    logs = teacher.clamp_min(LEAST)
    return (logs.exp() * (logs - student.clamp_min(LEAST))).sum(dim=-1)


def answer_logs(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> Float[Tensor, "answers vocab"]:
    """The natural-log distribution of the next token at every answer token of `rows`, one row after another."""
    batch = collate([(row.prompt, row.answer) for row in rows], lm.device)
    return torch.log_softmax(lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns), dim=-1)


def imitation_loss(lm: LanguageModel, cache: Past, rows: Sequence[Row], teacher: Float[Tensor, "answers vocab"]) -> Float[Tensor, ""]:
    """Mean KL(teacher || student) over the answer tokens of `rows`, in nats per token. teacher: its `answer_logs` there."""
    return divergence(teacher, answer_logs(lm, cache, rows)).mean()


def batches(lm: LanguageModel, prepared: Prepared, answer_tokens: int, read: int) -> Iterator[list[int]]:
    """Numbers of rows to run at a time, in order: so few that keys, values and logits stay small. read: logits of a row."""
    longest = max(len(row.prompt) for row in prepared.rows) + answer_tokens
    size = min(BATCH, MOST_KEYS // (prepared.positions + longest), MOST_LOGITS // (lm.vocab_size * read))
    numbers = range(len(prepared.rows))
    for start in range(0, len(numbers), max(1, size)):
        yield list(numbers[start : start + max(1, size)])


def own_answers(lm: LanguageModel, prepared: Prepared, most: int = LONGEST_ANSWER) -> Iterator[list[tuple[int, tuple[int, ...]]]]:
    """What the model itself answers to each row, greedily: yields (row number, token ids) of the next rows, batch by batch.

    An answer goes up to its first stop token or the token that ends its first line, that token included, or `most` tokens.
    """
    with torch.no_grad():
        cache = prepared.fill(lm)
    for numbers in batches(lm, prepared, most, read=1):
        with torch.no_grad():
            said = _said(lm, cache, [prepared.rows[number] for number in numbers], most)
        yield list(zip(numbers, said, strict=True))  # never with gradients off across a yield: it would affect the next job


def _said(lm: LanguageModel, cache: Past, rows: Sequence[Row], most: int) -> list[tuple[int, ...]]:
    said: list[tuple[int, ...]] = [()] * len(rows)
    going = list(range(len(rows)))
    while going:
        # Each row runs again with what it has said: rows of different lengths then need no cache of their own.
        batch = collate([(rows[i].prompt + said[i], (0,)) for i in going], lm.device)
        logits = lm.logits_at(expand(cache, len(going)), batch.ids, batch.rows, batch.columns)
        for i, token in zip(going, logits.argmax(dim=-1).tolist(), strict=True):
            said[i] += (token,)
        going = [i for i in going if len(said[i]) < most and not _ended(lm, said[i])]
    return said


def _ended(lm: LanguageModel, said: tuple[int, ...]) -> bool:
    return said[-1] in lm.stop_tokens or "\n" in lm.decode(said).lstrip()


def check_same_gap(teacher: str, template: str, examples: Sequence[Example]) -> None:
    """LabError where answers begin differently after the two templates (with a space or without), so in other tokens."""
    for example in examples:
        if join(teacher, example.input)[1] != join(template, example.input)[1]:
            ends = [f"{shown(one[-20:])} {'a space' if gap(one) == ' ' else 'no space'}" for one in (teacher, template)]
            raise LabError(
                f"After the teacher prompt's end {ends[0]} comes before an answer, after the template's end {ends[1]}: "
                f"set the template to one that ends as the teacher prompt does."
            )


def template_for(task: Task, teacher: str) -> str:
    """A template for a student of `teacher`: the task's own, or the teacher's words around {input} where answers begin differently."""
    before, _, after = teacher.partition("{input}")
    around = (task.template, "{input}" + after, before.rpartition("\n")[2] + "{input}" + after)
    return next((one for one in around if gap(one) == gap(teacher)), teacher)
