"""Contextual calibration (Zhao et al. 2021, "Calibrate before use"): what each label gets after an input without content."""

from collections.abc import Sequence

import torch

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.scoring.contender import Contender
from core.scoring.likelihood import candidate_scores, resolved
from core.scoring.prepared import prepare
from core.scoring.rows import Row
from core.tasks.task import Example

CONTENT_FREE = ("N/A", "[MASK]", "")  # the paper's own


def comparison(lm: LanguageModel, contender: Contender, rows: Sequence[Row], labels: Sequence[str]) -> tuple[str, tuple[float, ...]]:
    """How `contender` compares labels on these rows: the rule that `auto` comes to, and the offsets, () where there are none.

    By `auto` a learned prompt keeps the sum, which its training raised: what a label gets for its length alone, training has changed.
    Runs the model where the rule is calibration. Raises LabError as `content_free_shares` does.
    """
    by_sum = contender.learned and contender.label_score == "auto"
    rule, offsets = "sum" if by_sum else resolved(contender.label_score, rows), contender.offsets
    if labels and not offsets and rule == "calibrated":
        offsets = content_free_shares(lm, contender, labels)
    return rule, offsets


def content_free_shares(lm: LanguageModel, contender: Contender, labels: Sequence[str]) -> tuple[float, ...]:
    """The natural log of each label's share of the labels' probability, as a mean over inputs without content.

    Runs the model. Raises LabError where no such input can be run.
    """
    small = lm.for_scoring
    shares = []
    for text in CONTENT_FREE:
        try:
            prepared = prepare(small, contender, [Example(text, labels[0])], labels)
        except LabError:
            continue  # nothing at all can't be run where the template is the bare input
        with torch.inference_mode():
            scores = candidate_scores(small, prepared.fill(small), prepared.rows)[0]
        shares.append(torch.softmax(scores[0].cpu().double(), dim=0))
    if not shares:
        raise LabError(f"{contender.name!r} can't be calibrated: its template takes no content-free input; change the template.")
    return tuple(torch.stack(shares).mean(dim=0).log().tolist())
