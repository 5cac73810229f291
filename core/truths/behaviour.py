"""The upper reference: which candidate a prompt behaves like, by the divergence of next-token distributions on held-out inputs."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import Prefix, no_prefix, prefix_of
from core.scoring.contender import Contender
from core.scoring.imitation import LEAST, answer_logs, divergence, own_answers
from core.scoring.prepared import Prepared, prepare
from core.tasks.task import Example
from core.truths.truths import Truths

ANSWER_TOKENS = 6  # of a candidate's own answer, at most
MOST_KEPT_BYTES = 2**28  # of the candidates' predictions; above that the oldest are computed again when they are needed


class Behaviours:
    """The candidates' own answers to the held-out inputs, and their predictions along them."""

    def __init__(self, lm: LanguageModel, truths: Truths):
        self.lm, self.truths = lm.for_scoring, truths
        self.examples = [Example(text, "-") for text in truths.held_out]
        self._kept: dict[str, tuple[list[tuple[int, ...]], Tensor]] = {}

    def of(self, text: str) -> tuple[list[tuple[int, ...]], Float[Tensor, "answers vocab"]]:
        """Its greedy answers, row by row, and the natural-log distributions along them, in float16."""
        if text in self._kept:
            return self._kept[text]
        teacher = self._prepared(self.truths.teacher(text), no_prefix())
        answers = [ids for said in own_answers(self.lm, teacher, ANSWER_TOKENS) for _, ids in said]
        found = answers, self._logs(teacher, answers).clamp_min(LEAST).half()
        size = found[1].numel() * found[1].element_size()
        while self._kept and sum(logs.numel() * logs.element_size() for _, logs in self._kept.values()) + size > MOST_KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        self._kept[text] = found
        return found

    def divergences(self, vectors: Float[Tensor, "vectors d_model"], candidates: Sequence[str]) -> list[float]:
        """KL(candidate || prompt) along each candidate's own answers, in nats per token, (candidates,)."""
        student = self._prepared(self.truths.template, prefix_of(METHODS["prompt"], vectors.float().cpu()).to(self.lm.device))
        found = []
        for text in candidates:
            answers, truth = self.of(text)
            found.append(float(divergence(truth.float(), self._logs(student, answers)).mean()))
        return found

    def _prepared(self, template: str, prefix: Prefix) -> Prepared:
        return prepare(self.lm, Contender("read", prefix.kind, template, prefix), self.examples, None)

    def _logs(self, prepared: Prepared, answers: Sequence[tuple[int, ...]]) -> Float[Tensor, "answers vocab"]:
        rows = [replace(row, answer=ids) for row, ids in zip(prepared.rows, answers, strict=True)]
        with torch.inference_mode():
            return answer_logs(self.lm, prepared.fill(self.lm), rows)
