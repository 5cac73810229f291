"""Every reading of a prompt, asked the same question: which of these candidate texts is it?

A reading gives each candidate a score, higher meaning "rather this one". Readings that give words are compared with the candidates'
words (core/truths/words.py). None of them sees which candidate is true.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from core.inspection.nearest import nearest
from core.models.language_model import LanguageModel
from core.truths.behaviour import Behaviours
from core.truths.frames import Frame, described, frames_of, likelihoods, patched
from core.truths.heard import continued, lens_words
from core.truths.states import alike, own_states, states_after, text_states
from core.truths.words import shared_words

NEAREST = 5  # tokens of each vector
HEARD_TOKENS, SAMPLES = 12, 4
DESCRIBED_TOKENS = 10
REFERENCE = "behaviour"
PATCHED = "means"  # the frame whose gap gets the states of a middle layer


@dataclass(frozen=True)
class Reading:
    """What there is to know of a reading, for people. family: which readings it is shown with."""

    name: str
    label: str
    family: str
    about: str


READINGS: dict[str, Reading] = {
    one.name: one
    for one in (
        Reading("snapped", "snapped text", "vectors", "the words of each vector's nearest token"),
        Reading("nearest", "nearest tokens", "vectors", f"the words of each vector's {NEAREST} nearest tokens, the k-th counted 1/k"),
        Reading("embeddings", "embeddings", "vectors", "for each token of a candidate the highest cosine with a vector, in mean"),
        Reading("greedy", "greedy text", "heard", f"the words of {HEARD_TOKENS} greedy tokens after the prompt alone"),
        Reading("sampled", "sampled text", "heard", f"the words of {SAMPLES} sampled continuations of {HEARD_TOKENS} tokens"),
        Reading("lens", "logit lens", "heard", "the words of the likeliest next tokens at each position, second half of the layers"),
        Reading("alone", "bare likelihood", "described", "how likely the candidate is after the prompt and a line break"),
        Reading("means", "frame “means”", "described", 'how likely it is after “The instruction "…" means:”'),
        Reading("repeat", "frame “again”", "described", "how likely it is where the prompt should be repeated"),
        Reading("chat", "frame in a chat", "described", "how likely it is as the answer to “What does this instruction ask you to do?”"),
        Reading("says", "described in words", "described", "the words of what the model writes in the frames"),
        Reading(
            "patched", "patched in a middle layer", "described", "as in the frame “means”, with the middle layer’s states in that layer"
        ),
        Reading("patched says", "patched, in words", "described", "the words of what the model writes there"),
        Reading("states", "activations", "states", "cosine of the state after the prompt with the state after the candidate, middle layer"),
        Reading(REFERENCE, "behaviour", "behaviour", "divergence from what the model does after the candidate, on held-out inputs"),
    )
}


@dataclass(frozen=True)
class Read:
    """What was read: each reading's (candidates,) scores, and the texts of those that give text."""

    scores: dict[str, list[float]]
    said: dict[str, str] = field(default_factory=dict)


class Readers:
    """All readings on one model. It knows the candidates' own predictions and states once they were needed."""

    def __init__(self, lm: LanguageModel, behaviours: Behaviours):
        self.lm, self.behaviours = lm.for_scoring, behaviours
        self.frames: dict[str, Frame] = frames_of(self.lm)
        self.layer = self.lm.layers // 2
        self._states: dict[str, Tensor] = {}
        self.lengths = torch.linalg.vector_norm(self.lm.vocabulary, dim=1)

    def usual(self, vectors: Float[Tensor, "vectors d_model"], candidates: Sequence[str]) -> dict[str, Tensor]:
        """By frame: how likely the candidates are with `vectors` in it, to be taken off. For a control: what any prompt would get."""
        found = {name: likelihoods(self.lm, frame, frame.fill(self.lm, vectors), candidates) for name, frame in self.frames.items()}
        frame = self.frames[PATCHED]
        with patched(self.lm, frame, own_states(self.lm, vectors, self.layer), self.layer) as past:
            return found | {"patched": likelihoods(self.lm, frame, past, candidates)}

    def read(
        self, vectors: Float[Tensor, "vectors d_model"], candidates: Sequence[str], usual: Mapping[str, Tensor], seed: int = 0
    ) -> Generator[None, None, Read]:
        """Ask every reading about `vectors`, in pieces. usual: see `usual`. seed: of the samples."""
        lm, vectors = self.lm, vectors.to(self.lm.device).float()
        scores: dict[str, list[float]] = {}
        said: dict[str, str] = {}

        def words(name: str, text: str) -> None:
            said[name] = text
            scores[name] = shared_words(text, candidates)

        found = nearest(vectors, lm.vocabulary, NEAREST, self.lengths)
        texts = [lm.decode(column.tolist()) for column in found.ids.T]
        words("snapped", texts[0])
        said["nearest"] = " / ".join(texts)
        scores["nearest"] = by_rank([shared_words(text, candidates) for text in texts])
        scores["embeddings"] = [embedding_match(vectors, lm.embed_ids(lm.tokenise(text))) for text in candidates]
        yield
        states = states_after(lm, vectors)
        words("lens", lens_words(lm, states[:, :-1]))
        yield
        alone = self.frames["alone"]
        greedy, *sampled = continued(lm, alone.fill(lm, vectors), alone.after[-1], HEARD_TOKENS, SAMPLES, seed)
        words("greedy", greedy)
        words("sampled", " ".join(sampled))
        yield
        for name, frame in self.frames.items():
            scores[name] = (likelihoods(lm, frame, frame.fill(lm, vectors), candidates) - usual[name]).tolist()
            yield
        answers = []
        for name, frame in self.frames.items():
            if name != "alone":
                answers.append(described(lm, frame, frame.fill(lm, vectors), DESCRIBED_TOKENS))
                yield
        words("says", " / ".join(answers))
        frame = self.frames[PATCHED]
        with patched(lm, frame, own_states(lm, vectors, self.layer), self.layer) as past:
            scores["patched"] = (likelihoods(lm, frame, past, candidates) - usual["patched"]).tolist()
            words("patched says", described(lm, frame, past, DESCRIBED_TOKENS))
        yield
        scores["states"] = alike(states[self.layer, -1].cpu(), self._candidate_states(candidates)).tolist()
        yield
        scores[REFERENCE] = [-one for one in self.behaviours.divergences(vectors, candidates)]
        return Read({name: scores[name] for name in READINGS if name in scores}, said)

    def _candidate_states(self, candidates: Sequence[str]) -> Float[Tensor, "candidates d_model"]:
        new = [text for text in candidates if text not in self._states]
        if new:
            self._states |= zip(new, text_states(self.lm, new, self.layer), strict=True)
        return torch.stack([self._states[text] for text in candidates])


def by_rank(scores: Sequence[Sequence[float]]) -> list[float]:
    """Several texts' (candidates,) scores as one: the sum of those of the first, a half of the second's, a third of the third's …

    >>> by_rank([[1.0, 0.0], [0.0, 1.0]])
    [1.0, 0.5]
    """
    return [sum(one / rank for rank, one in enumerate(column, 1)) for column in zip(*scores, strict=True)]


def embedding_match(vectors: Float[Tensor, "vectors d_model"], tokens: Float[Tensor, "tokens d_model"]) -> float:
    """The mean over a text's tokens of the highest cosine with any vector: 1 where each of its tokens is a vector's direction.

    >>> embedding_match(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
    0.5
    """
    own, theirs = (torch.nn.functional.normalize(rows.float(), dim=1) for rows in (vectors, tokens))
    return float((theirs @ own.T).max(dim=1).values.mean())
