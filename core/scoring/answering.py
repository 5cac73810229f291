"""What a contender answers to one text: its greedy continuation, token by token, and for labels their probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.past import Past
from core.models.tokens import BROKEN
from core.scoring.calibration import comparison
from core.scoring.contender import Contender
from core.scoring.likelihood import candidate_scores, compared
from core.scoring.prepared import Prepared
from core.scoring.rows import check_window, encode
from core.tasks.prompt_text import join
from core.tasks.task import Example


def answer(lm: LanguageModel, contender: Contender, text: str, most: int = 12) -> Iterator[str]:
    """The text so far, once a token: greedy, in float32, up to `most` tokens, the first line break or a stop token.

    Raises LabError for an empty text, or one too long for the model.
    """
    lm = lm.for_scoring
    cache, rest = _ready(lm, contender, text, most)
    said: list[int] = []
    for token in lm.generate(cache, rest, most):
        said.append(token)
        words = lm.decode(said)
        if "\n" in words.lstrip():
            return
        yield words.strip().rstrip(BROKEN)  # a character that is not whole yet


def next_tokens(lm: LanguageModel, contender: Contender, text: str, k: int = 6) -> list[tuple[str, float]]:
    """The k most likely next tokens after `text`, with their probabilities, in float32. Raises LabError as `answer` does."""
    lm = lm.for_scoring
    cache, rest = _ready(lm, contender, text, 1)
    zero = torch.zeros(1, dtype=torch.long, device=lm.device)
    with torch.inference_mode():
        logits = lm.logits_at(cache, rest[None].to(lm.device), zero, zero + len(rest) - 1)[0]  # (vocab,)
    best = torch.softmax(logits.cpu().double(), dim=0).topk(k)
    return [(lm.token_text(token), share) for token, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def _ready(lm: LanguageModel, contender: Contender, text: str, most: int) -> tuple[Past, Int[Tensor, " tokens"]]:
    """A cache of one row with everything before `text`, and the tokens still to be run."""
    if not text.strip():
        raise LabError("There is no text to answer: type one.")
    prompt = tuple(lm.lead) + tuple(lm.tokenise(join(contender.template, text)[0]))
    needed = contender.prefix.virtual_tokens + len(prompt) + most
    if needed > lm.window:
        raise LabError(f"The text needs {needed} positions, the model has {lm.window}: shorten it.")
    split = min(len(lm.lead), len(prompt) - 1)
    prepared = Prepared(contender.prefix, contender.placement, prompt[:split], (), len(lm.lead))
    with torch.inference_mode():
        return prepared.fill(lm), torch.tensor(prompt[split:])


def label_probabilities(lm: LanguageModel, contender: Contender, text: str, labels: Sequence[str]) -> list[float]:
    """The share of each label among the label words, as the contender compares them, in the order of `labels`."""
    lm = lm.for_scoring
    rows = encode(lm, contender.template, [Example(text, labels[0])], labels)
    check_window(lm, rows, contender.prefix.virtual_tokens)
    split = min(len(lm.lead), len(rows[0].prompt) - 1)
    shared, rest = rows[0].prompt[:split], replace(rows[0], prompt=rows[0].prompt[split:])
    with torch.inference_mode():
        cache = Prepared(contender.prefix, contender.placement, shared, (), len(lm.lead)).fill(lm)
        sums = candidate_scores(lm, cache, [rest])[0].cpu()
    rule, offsets = comparison(lm, contender, rows, labels)
    return torch.softmax(compared(sums, [rest], rule, offsets)[0].double(), dim=0).tolist()
