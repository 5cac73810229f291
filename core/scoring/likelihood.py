"""Log-probabilities of answers and labels after a prefix, and the losses that training lowers."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from core.models.language_model import LanguageModel
from core.models.past import Past, expand, pick
from core.scoring.rows import Row, collate


def answer_loss(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> Float[Tensor, ""]:
    """Mean negative log-probability of the answer tokens of `rows`, over the whole vocabulary, in nats per token."""
    batch = collate([(row.prompt, row.answer) for row in rows], lm.device)
    logits = lm.logits_at(expand(cache, len(rows)), batch.ids, batch.rows, batch.columns)  # (answers, vocab)
    return torch.nn.functional.cross_entropy(logits, batch.targets)


def label_loss(lm: LanguageModel, cache: Past, rows: Sequence[Row]) -> Float[Tensor, ""]:
    """Mean negative log-probability of the right label among the label words only, in nats."""
    scores = candidate_scores(lm, cache, rows)[0]
    return torch.nn.functional.cross_entropy(scores, torch.tensor([row.label for row in rows], device=lm.device))


def candidate_scores(
    lm: LanguageModel, cache: Past, rows: Sequence[Row]
) -> tuple[Float[Tensor, "rows labels"], Float[Tensor, "rows labels"]]:
    """For every row and label: its natural-log probability, and 1 where each of its tokens is the first choice of all.

    Labels of one token all come from one pass. Longer ones go on from their prompt's cache, which is run once.
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
    longer = [(i * labels + j, i, ids) for i, row in enumerate(rows) for j, ids in enumerate(row.candidates) if len(ids) > 1]
    if longer:
        rest = collate([(ids[:1], ids[1:]) for _, _, ids in longer], lm.device)
        after = pick(wide, torch.tensor([row for _, row, _ in longer], device=lm.device))
        logits = lm.logits_at(after, rest.ids, rest.rows, rest.columns)  # (tokens, vocab)
        chosen = torch.log_softmax(logits, dim=-1).gather(1, rest.targets[:, None])[:, 0]  # (tokens,)
        places = torch.tensor([place for place, _, _ in longer], device=lm.device)[rest.rows]
        totals = totals.index_add(0, places, chosen)
        misses = misses.index_add(0, places, (logits.argmax(dim=-1) != rest.targets).float())
    return totals.view(len(rows), labels), (misses.view(len(rows), labels) == 0).float()
