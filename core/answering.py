"""What a contender answers to one text: its greedy continuation, token by token, and for labels their probabilities."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from .errors import LabError
from .model import LanguageModel
from .rows import check_window, encode, join
from .scoring import Contender, Prepared, candidate_scores
from .task import Example


def answer(lm: LanguageModel, contender: Contender, text: str, most: int = 12) -> Iterator[str]:
    """The text so far, once a token: greedy, in float32, up to `most` tokens, the first line break or a stop token.

    Raises LabError for an empty text, or one too long for the model.
    """
    if not text.strip():
        raise LabError("There is no text to answer: type one.")
    lm = lm.float32
    prompt = tuple(lm.lead) + tuple(lm.tokenise(join(contender.template, text)[0]))
    needed = contender.prefix.virtual_tokens + len(prompt) + most
    if needed > lm.window:
        raise LabError(f"The text needs {needed} positions, the model has {lm.window}: shorten it.")
    split = min(len(lm.lead), len(prompt) - 1)
    prepared = Prepared(contender.prefix, contender.placement, prompt[:split], (), len(lm.lead))
    with torch.inference_mode():
        cache = prepared.fill(lm)
    said: list[int] = []
    for token in lm.generate(cache, torch.tensor(prompt[split:]), most):
        said.append(token)
        words = lm.tokenizer.decode(said, clean_up_tokenization_spaces=False)
        if "\n" in words.lstrip():
            return
        yield words.strip()


def label_probabilities(lm: LanguageModel, contender: Contender, text: str, labels: Sequence[str]) -> list[float]:
    """The share of each label among the label words, by the probability of its tokens, in the order of `labels`."""
    lm = lm.float32
    rows = encode(lm, contender.template, [Example(text, labels[0])], labels)
    check_window(lm, rows, contender.prefix.virtual_tokens)
    split = min(len(lm.lead), len(rows[0].prompt) - 1)
    shared, rest = rows[0].prompt[:split], replace(rows[0], prompt=rows[0].prompt[split:])
    with torch.inference_mode():
        cache = Prepared(contender.prefix, contender.placement, shared, (), len(lm.lead)).fill(lm)
        scores = candidate_scores(lm, cache, [rest])[0][0]
    return torch.softmax(scores.double(), dim=0).tolist()
