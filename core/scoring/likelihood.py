"""Log-probabilities of answers and labels after a prefix, and the losses that training lowers.

Labels are compared by one of three rules: the sum of their tokens' log-probabilities, the mean of them, or the sum
less what the label gets after inputs without content (contextual calibration, see `Contender.offsets`).
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from core.models.language_model import LanguageModel
from core.models.past import Past, expand, pick
from core.scoring.rows import END, Row, answer_ends, collate

MOST_KEYS = 24_576  # positions of keys and values that are copied at a time, for all sequences together


def answer_loss(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> Float[Tensor, ""]:
    """Mean negative log-probability of the answer tokens of `rows`, over the whole vocabulary, in nats per token."""
    batch = collate([(row.prompt, row.answer) for row in rows], lm.device)
    logits = lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns)  # (answers, vocab)
    return torch.nn.functional.cross_entropy(logits, batch.targets)


def label_loss(lm: LanguageModel, cache: Past, rows: Sequence[Row], label_score: str = "sum") -> Float[Tensor, ""]:
    """Mean negative log-probability of the right label among the label words only, in nats. label_score: see `compared`."""
    scores = compared(candidate_scores(lm, cache, rows)[0], rows, label_score)
    return torch.nn.functional.cross_entropy(scores, torch.tensor([row.label for row in rows], device=lm.device))


def resolved(label_score: str, rows: Sequence[Row]) -> str:
    """The rule that `auto` comes to: calibrated where the labels have different numbers of tokens, else the sum."""
    if label_score != "auto" or not rows:
        return label_score
    return "calibrated" if len({len(ids) for ids in rows[0].candidates}) > 1 else "sum"


def compared(
    sums: Float[Tensor, "rows labels"], rows: Sequence[Row], label_score: str, offsets: Sequence[float] = ()
) -> Float[Tensor, "rows labels"]:
    """By what the labels of each row are compared, of the `sums` of their tokens' log-probabilities. offsets: of a calibrated contender."""
    if offsets:
        return sums - torch.tensor(offsets, dtype=sums.dtype, device=sums.device)
    if label_score == "mean":
        return sums / torch.tensor([[len(ids) for ids in row.candidates] for row in rows], dtype=sums.dtype, device=sums.device)
    return sums


def candidate_scores(
    lm: LanguageModel, cache: Past, rows: Sequence[Row]
) -> tuple[Float[Tensor, "rows labels"], Float[Tensor, "rows labels"]]:
    """For every row and label: its natural-log probability, and 1 where each of its tokens is the first choice of all.

    Labels of one token all come from one pass. Longer ones go on from their prompt's cache, which is run once; what several labels
    begin with is run once for all of them, and so few at a time that memory stays small.
    """
    single = all(len(ids) == 1 for row in rows for ids in row.candidates)
    batches: dict[int, list[int]] = {}  # prompts of one length need no padding, so what follows them needs no mask
    for number, row in enumerate(rows):
        batches.setdefault(0 if single else len(row.prompt), []).append(number)
    parts = [_batch_scores(lm, cache, [rows[number] for number in numbers]) for numbers in batches.values()]
    places = torch.tensor([number for numbers in batches.values() for number in numbers], device=lm.device).argsort()
    return torch.cat([part[0] for part in parts])[places], torch.cat([part[1] for part in parts])[places]


def _batch_scores(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> tuple[Float[Tensor, "rows labels"], Float[Tensor, "rows labels"]]:
    """As `candidate_scores`, for rows whose prompts have one length, or whose labels have one token each."""
    labels = len(rows[0].candidates)
    prompts = collate([(row.prompt, row.candidates[0][:1]) for row in rows], lm.device)
    wide = expand(cache, len(rows))
    first = lm.logits_at(wide, prompts.ids, prompts.rows, prompts.columns)  # (rows, vocab)
    starts = torch.tensor([[ids[0] for ids in row.candidates] for row in rows], device=lm.device)  # (rows, labels)
    totals = torch.log_softmax(first, dim=-1).gather(1, starts).flatten()  # (rows * labels,)
    misses = (first.argmax(dim=-1)[:, None] != starts).float().flatten()
    # What is run is a label without its last token. Labels that share that, in one row, share its run.
    runs: dict[tuple[int, tuple[int, ...]], list[tuple[int, int]]] = {}
    for i, row in enumerate(rows):
        for j, ids in enumerate(row.candidates):
            if len(ids) > 1:
                runs.setdefault((i, ids[:-1]), []).append((i * labels + j, ids[-1]))
    wanted = list(runs)
    size = max(1, MOST_KEYS // (wide.get_seq_length() + max((len(ids) for _, ids in wanted), default=0)))
    for start in range(0, len(wanted), size):
        found, missed, places = _rest(lm, wide, wanted[start : start + size], runs)
        totals, misses = totals.index_add(0, places, found), misses.index_add(0, places, missed)
    return totals.view(len(rows), labels), (misses.view(len(rows), labels) == 0).float()


def _rest(
    lm: LanguageModel,
    wide: Past,
    chosen: Sequence[tuple[int, tuple[int, ...]]],
    runs: Mapping[tuple[int, tuple[int, ...]], Sequence[tuple[int, int]]],
) -> tuple[Float[Tensor, " tokens"], Float[Tensor, " tokens"], Int[Tensor, " tokens"]]:
    """Log-probabilities of all tokens but the first of the labels of `chosen` runs, 1 where one is not the first choice, and its label."""
    batch = collate([(ids[:1], (*ids[1:], ids[-1])) for _, ids in chosen], lm.device)  # the last target counts for nothing
    after = pick(wide, torch.tensor([row for row, _ in chosen], device=lm.device))
    logits = lm.logits_at(after, batch.ids, batch.rows, batch.columns)  # (tokens of the runs, vocab)
    logs, best = torch.log_softmax(logits, dim=-1), logits.argmax(dim=-1)
    at: list[int] = []
    targets: list[int] = []
    places: list[int] = []
    start = 0
    for row, ids in chosen:
        for place, last in runs[row, ids]:
            at += range(start, start + len(ids))
            targets += [*ids[1:], last]
            places += [place] * len(ids)
        start += len(ids)
    here = torch.tensor(at, device=lm.device)
    wanted = torch.tensor(targets, device=lm.device)
    is_end = wanted == END
    found = logs[here].gather(1, wanted.clamp_min(0)[:, None])[:, 0]
    missed = best[here] != wanted
    if END in targets:  # an end is any of several tokens
        ends = torch.tensor(answer_ends(lm), device=lm.device)
        found = torch.where(is_end, torch.logsumexp(logs[here][:, ends], dim=1), found)
        missed = torch.where(is_end, ~torch.isin(best[here], ends), missed)
    return found, missed.float(), torch.tensor(places, device=lm.device)
