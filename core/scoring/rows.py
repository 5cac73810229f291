"""From examples to tokens: what the model gets, what it must produce, and the start that all rows share."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from core.errors import LabError, shown
from core.models.language_model import LanguageModel
from core.recipe import check_template
from core.tasks.prompt_text import join
from core.tasks.task import Example

END = -1  # after a label: any token that ends an answer


@dataclass(frozen=True)
class Row:
    """One example as token ids.

    prompt: template and input. answer: what must follow. candidates: for labels, every label's ids (the answer among
    them, at `label`), each with END after it where one label begins another; else empty.
    """

    example: Example
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    candidates: tuple[tuple[int, ...], ...] = ()
    label: int = -1


def encode(lm: LanguageModel, template: str, examples: Sequence[Example], labels: Sequence[str] | None) -> list[Row]:
    """Token ids of every example. The prompt's are those that generation begins after, whatever the answer.

    Where a label begins another (`1` and `10`), all are scored with an end.
    Raises LabError for a template without {input}, an input or answer without tokens, or labels of the same tokens.
    """
    check_template(template)
    outputs = [list(labels) if labels else [example.output] for example in examples]
    joined = [join(template, example.input) for example in examples]
    flat = [(prompt, gap + output) for (prompt, gap), row in zip(joined, outputs, strict=True) for output in row]
    split = iter(_split(lm, flat))
    rows = []
    for number, (example, row) in enumerate(zip(examples, outputs, strict=True), start=1):
        parts = [next(split) for _ in row]
        place = row.index(example.output)
        prompt, answer = parts[place]
        for tokens, what, text in ((prompt, "input", example.input), (answer, "answer", example.output)):
            if not tokens:
                raise LabError(f"The {what} of row {number} ({shown(text)}) gives the model no tokens: give it some text.")
        candidates = tuple(ids for _, ids in parts) if labels else ()
        rows.append(Row(example, prompt, answer, candidates, place if labels else -1))
    if labels and rows and not _told_apart(rows[0].candidates, labels):
        rows = [replace(row, candidates=tuple((*ids, END) for ids in row.candidates)) for row in rows]
    return rows


def end_tokens(lm: LanguageModel, end: str) -> tuple[int, ...]:
    """What follows an answer in training: nothing, the model's end token (at which `generate` stops), or a new line and that token.

    end: the recipe's. Raises LabError where it is the model's end token, and the model has none.
    """
    if end == "none":
        return ()
    stop = (lm.end_token,) if lm.stop_tokens else ()
    if end == "newline":
        line, bare = lm.tokenise("a\n"), lm.tokenise("a")  # after a word: at a text's start some tokenizers add a space
        return (*(line[len(bare) :] if line[: len(bare)] == bare else lm.tokenise("\n")), *stop)
    if not stop:
        raise LabError(f"The model {shown(lm.name)} has no end token: let answers end with a new line, or with nothing.")
    return stop


def _split(lm: LanguageModel, texts: Sequence[tuple[str, str]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """(prompt ids, answer ids) of each (prompt, answer) text.

    They are tokenised as one string. Where that joins the prompt's end with the answer's beginning in one token (a quote with a
    letter), the answer is tokenised as what follows the prompt: the model must produce it from where generation begins.
    """
    lead = tuple(lm.lead)
    heads = lm.tokenise_all([prompt for prompt, _ in texts])
    wholes = lm.tokenise_all([prompt + answer for prompt, answer in texts])
    result = []
    for (_, answer), head, whole in zip(texts, heads, wholes, strict=True):
        joined = whole[: len(head)] == head
        result.append((lead + tuple(head), tuple(whole[len(head) :] if joined else lm.continued(answer))))
    return result


def _told_apart(candidates: Sequence[tuple[int, ...]], labels: Sequence[str]) -> bool:
    """Whether no label begins another, in tokens. LabError for two labels of the same tokens, which no score could tell apart."""
    ordered = sorted(zip(candidates, labels, strict=True))  # what begins with a label comes right after it
    begins = False
    for (short, one), (long, other) in itertools.pairwise(ordered):
        if short == long:
            raise LabError(f"The labels {shown(one)} and {shown(other)} are the same tokens to this model: rename one of them.")
        begins = begins or long[: len(short)] == short
    return not begins


def answer_ends(lm: LanguageModel) -> list[int]:
    """The ids of all tokens that end an answer: stop tokens, and those that begin a new line."""
    return _answer_ends(lm.tokenizer, frozenset(lm.stop_tokens), lm.vocab_size)


@lru_cache(maxsize=4)
def _answer_ends(tokenizer: Any, stops: frozenset[int], size: int) -> list[int]:
    texts = tokenizer.batch_decode([[token] for token in range(size)], clean_up_tokenization_spaces=False)
    return sorted({*stops, *(token for token, text in enumerate(texts) if text.lstrip(" ").startswith("\n"))})


def share_start(rows: Sequence[Row]) -> tuple[tuple[int, ...], list[Row]]:
    """The longest run of tokens that all prompts begin with, and the rows without it. Each row keeps a token at least.

    This run is the cached part of a handcrafted prompt: its worked examples and the words before the input.
    """
    first = min((row.prompt for row in rows), default=())
    last = max((row.prompt for row in rows), default=())
    most = min((len(row.prompt) for row in rows), default=1) - 1
    length = 0
    while length < most and first[length] == last[length]:
        length += 1
    return first[:length], [replace(row, prompt=row.prompt[length:]) for row in rows]


def check_window(lm: LanguageModel, rows: Sequence[Row], virtual_tokens: int) -> None:
    """LabError where a row and the virtual tokens before it don't fit the model's window."""
    for number, row in enumerate(rows, start=1):
        longest = max([len(row.answer), *map(len, row.candidates)])
        needed = virtual_tokens + len(row.prompt) + longest
        if needed > lm.window:
            raise LabError(
                f"Row {number} ({shown(row.example.input, 40)}) needs {needed} positions, the model has {lm.window}: "
                f"shorten it, or use fewer virtual tokens."
            )


@dataclass(frozen=True)
class Batch:
    """Sequences padded on the right. rows, columns: where to read logits; targets: which token should come there."""

    ids: Int[Tensor, "batch tokens"]
    rows: Int[Tensor, " answers"]
    columns: Int[Tensor, " answers"]
    targets: Int[Tensor, " answers"]


def collate(sequences: Sequence[tuple[tuple[int, ...], tuple[int, ...]]], device: torch.device) -> Batch:
    """(prompt, answer) pairs as one batch. The last answer token is only a target, never run."""
    width = max(len(prompt) + len(answer) - 1 for prompt, answer in sequences)
    ids = torch.zeros(len(sequences), width, dtype=torch.long)
    rows: list[int] = []
    columns: list[int] = []
    targets: list[int] = []
    for number, (prompt, answer) in enumerate(sequences):
        sequence = torch.tensor([*prompt, *answer[:-1]])
        ids[number, : len(sequence)] = sequence
        rows += [number] * len(answer)
        columns += range(len(prompt) - 1, len(sequence))
        targets += answer
    return Batch(ids.to(device), *(torch.tensor(values, device=device) for values in (rows, columns, targets)))
