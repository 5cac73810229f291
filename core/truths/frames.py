"""Self-description: what the model says that a prompt says, when the prompt's vectors are put inside a sentence about them.

As in Patchscopes (Ghandeharioun et al. 2024) and InSPEcT (2024, for soft prompts), with the vectors as inputs of the first layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.scoring.rows import collate
from core.truths.heard import continued

MARK = "§"  # where the vectors go
FRAMES = {
    "alone": f"{MARK}\n",
    "means": f'The instruction "{MARK}" means: "',
    "repeat": f"Text: {MARK}\nThe same text again: ",
}
ASKED = f"What does this instruction ask you to do? {MARK}"  # as the user's turn in a chat


@dataclass(frozen=True)
class Frame:
    """A sentence with a gap. before, after: token ids around the gap; `after` has one at least. lead: what a text after it begins with."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    lead: str

    def fill(self, lm: LanguageModel, vectors: Float[Tensor, "vectors d_model"]) -> Past:
        """The past of batch 1 with the vectors in the gap, up to before the last token of the frame. Without gradients."""
        with torch.no_grad():
            return lm.prefill(self.before, vectors, self.after[:-1])


def frame_of(lm: LanguageModel, text: str) -> Frame:
    """The frame that `text`, with MARK once, makes. A space at its end belongs to what follows it."""
    before, _, after = text.partition(MARK)
    lead = " " if after.endswith(" ") else ""
    return Frame((*lm.lead, *lm.tokenise(before.rstrip(" "))), tuple(lm.continued(after.rstrip(" "))), lead)


def frames_of(lm: LanguageModel) -> dict[str, Frame]:
    """All frames by name; `chat` only where the model has a chat template."""
    found = {name: frame_of(lm, text) for name, text in FRAMES.items()}
    if getattr(lm.tokenizer, "chat_template", None):
        turns = [{"role": "user", "content": ASKED}]
        text = lm.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        start = lm.tokenizer.decode(lm.lead)
        found["chat"] = frame_of(lm, text.removeprefix(start) if start else text)
    return found


def likelihoods(
    lm: LanguageModel, frame: Frame, vectors: Float[Tensor, "vectors d_model"], candidates: Sequence[str]
) -> Float[Tensor, " candidates"]:
    """The log-probability of each candidate's text after the frame, in nats per token (mean over its tokens), on the CPU."""
    past = frame.fill(lm, vectors)
    rows = [(frame.after[-1:], tuple(lm.continued(frame.lead + text))) for text in candidates]
    batch = collate(rows, lm.device)
    with torch.inference_mode():
        logits = lm.logits_at(expand(past, len(rows)), batch.ids, batch.rows, batch.columns)
        own = torch.log_softmax(logits, dim=-1).gather(1, batch.targets[:, None])[:, 0].cpu()
    return torch.stack([part.mean() for part in own.split([len(ids) for _, ids in rows])])


def described(lm: LanguageModel, frame: Frame, vectors: Float[Tensor, "vectors d_model"], most: int) -> str:
    """What the model writes after the frame, greedily, up to `most` tokens."""
    return continued(lm, frame.fill(lm, vectors), frame.after[-1], most)[0]
