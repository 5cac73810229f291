"""The result of each row: right or wrong, its loss, and the answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.models.tokens import BROKEN
from core.scoring.likelihood import MOST_KEYS, candidate_scores, compared
from core.scoring.prepared import Prepared
from core.scoring.rows import END, Row, collate

BATCH = 32  # rows in a batch, fewer where they are long or have many labels


MOST_TOKENS = 16384  # in a batch


@dataclass(frozen=True)
class RowResult:
    """The result for one row.

    correct: for answers, every answer token was the model's first choice; for labels, the most likely label was right.
    first_choice: the right answer's tokens were each the first choice of the whole vocabulary.
    loss: nats for the whole answer. tokens: how many tokens it has. said: the label chosen; or the model's own
    beginning of an answer, up to its first token that is not the right one (ends in …). confidence: the probability that
    the model gives to what it said (of a label: among the label words, whose shares are `shares`). agreement: the share of
    the right answer's tokens that were the first choice, each after the right ones before it. stops: an answer was right,
    and then the model's first choice was to end it or to begin a new line.
    """

    input: str
    output: str
    correct: bool
    first_choice: bool
    loss: float
    tokens: int
    said: str
    confidence: float = 0.0
    agreement: float = 0.0
    stops: bool = False
    shares: tuple[float, ...] = ()


def results(
    lm: LanguageModel, prepared: Prepared, label_score: str = "sum", offsets: Sequence[float] = ()
) -> Iterator[list[tuple[int, RowResult]]]:
    """Score row by row, in batches of similar length: yields lists of (row number, RowResult). float32.

    label_score, offsets: see `Contender`.
    """
    lm = lm.for_scoring
    order = sorted(range(len(prepared.rows)), key=lambda i: len(prepared.rows[i].prompt) + len(prepared.rows[i].answer))
    with torch.inference_mode():
        cache = prepared.fill(lm)
    while order:
        longest = len(prepared.rows[order[-1]].prompt) + 8
        labels = max(1, len(prepared.rows[0].candidates))
        size = max(1, min(BATCH, MOST_TOKENS // (longest * labels), MOST_KEYS // (prepared.positions + longest)))
        numbers, order = order[:size], order[size:]
        rows = [prepared.rows[i] for i in numbers]
        with torch.inference_mode():  # never across a yield: it would affect the next job in this thread
            scored = _label_results(lm, cache, rows, label_score, offsets) if rows[0].candidates else _answer_results(lm, cache, rows)
        yield list(zip(numbers, scored, strict=True))


def _answer_results(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> list[RowResult]:
    # The last answer token is run too (the target after it counts for nothing): what the model would do then is `stops`.
    batch = collate([(row.prompt, (*row.answer, row.answer[-1])) for row in rows], lm.device)
    logits = lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns)
    losses = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="none").cpu()
    best = logits.argmax(dim=-1)
    surest = torch.log_softmax(logits, dim=-1).gather(1, best[:, None])[:, 0].cpu()  # (answers + rows,)
    best_ids: list[int] = best.tolist()
    made, start = [], 0
    for row in rows:
        size = len(row.answer)
        said = best_ids[start : start + size]
        agreeing = [token == right for token, right in zip(said, row.answer, strict=True)]
        right = agreeing.index(False) if False in agreeing else size
        # Up to its first wrong token, what the model says under teacher forcing is what it would say alone.
        text = lm.decode(said[: right + 1])
        text = text.strip() or text.replace("\n", "⏎").replace(" ", "␣")
        correct = right == size
        made.append(
            RowResult(
                input=row.example.input,
                output=row.example.output,
                correct=correct,
                first_choice=correct,
                loss=float(losses[start : start + size].double().sum()),
                tokens=size,
                said=text if correct else (text.rstrip(BROKEN) or text) + "…",  # no piece of a character
                confidence=float(surest[start : start + min(right + 1, size)].double().sum().exp()),
                agreement=sum(agreeing) / size,
                stops=correct and ends_answer(lm, best_ids[start + size]),
            )
        )
        start += size + 1
    return made


def ends_answer(lm: LanguageModel, token: int) -> bool:
    """Whether this token ends an answer: a stop token, or one that begins a new line."""
    return token in lm.stop_tokens or lm.token_text(token).lstrip(" ").startswith("\n")


def _label_results(lm: LanguageModel, cache: Past, rows: Sequence[Row], label_score: str, offsets: Sequence[float]) -> list[RowResult]:
    sums, firsts = (values.cpu() for values in candidate_scores(lm, cache, rows))
    scores = compared(sums, rows, label_score, offsets)
    # One that is calibrated beside others has probabilities of label words only; where all are, losses are as ever.
    losses = -(torch.log_softmax(scores, dim=1) if offsets and label_score != "calibrated" else sums)
    made = []
    for row, score, loss, first in zip(rows, scores, losses, firsts, strict=True):
        choice = int(score.argmax())
        shares = torch.softmax(score.double(), dim=0)
        said = [token for token in row.candidates[choice] if token != END]
        made.append(
            RowResult(
                input=row.example.input,
                output=row.example.output,
                correct=choice == row.label,
                first_choice=bool(first[row.label]),
                loss=float(loss[row.label]),
                tokens=len(row.answer),
                said=lm.decode(said).strip(),
                confidence=float(shares[choice]),
                agreement=float(choice == row.label),
                shares=tuple(shares.tolist()),
            )
        )
    return made
