"""Tokenised rows after a prefix, ready to be run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.past import Past
from core.prefix import Prefix
from core.scoring.contender import Contender
from core.scoring.rows import Row, check_window, encode, share_start
from core.tasks.task import Example

Frame: TypeAlias = tuple[tuple[int, ...], tuple[int, ...]]
NO_FRAME: Frame = ((), ())


def prepare(
    lm: LanguageModel, contender: Contender, examples: Sequence[Example], labels: Sequence[str] | None, end: Sequence[int] = ()
) -> "Prepared":
    """Tokenise `examples` for `contender`. end: tokens to train after every answer. LabError where a row can't be used."""
    rows = [replace(row, answer=(*row.answer, *end)) for row in encode(lm, contender.template, examples, labels)]
    check_window(lm, rows, contender.prefix.virtual_tokens)
    shared, rest = share_start(rows)
    return Prepared(contender.prefix, contender.placement, shared, tuple(rest), len(lm.lead))


@dataclass(frozen=True, eq=False)
class Prepared:
    """A prefix with tokenised rows: `shared` is the start that they all have, run once after (or around) the prefix.

    frame: token ids right before and right after the prefix; none but in training.
    """

    prefix: Prefix
    placement: str
    shared: tuple[int, ...]
    rows: tuple[Row, ...]
    lead: int
    frame: Frame = NO_FRAME

    def fill(self, lm: LanguageModel) -> Past:
        """The cache of batch 1 that every row runs after."""
        before, after = self.frame
        if self.placement == "after":
            if len(self.shared) < self.lead:  # a one-token row keeps its BOS, so there is nothing to stand behind
                raise LabError("The rows are too short to place vectors after the model's BOS token: place them before it.")
            return self.prefix.fill(lm, (*self.shared[: self.lead], *before), (*after, *self.shared[self.lead :]))
        return self.prefix.fill(lm, before, (*after, *self.shared))

    @property
    def positions(self) -> int:
        """Tokens before every row: virtual ones, shared words and the frame."""
        return self.prefix.virtual_tokens + len(self.shared) + sum(map(len, self.frame))
