"""Self-description: what the model says that a prompt says, when the prompt's vectors are put inside a sentence about them.

As in Patchscopes (Ghandeharioun et al. 2024) and, for soft prompts, InSPEcT (Ramati et al. 2024): with the vectors as inputs of the first
layer, or with their hidden states written into a later one (`patched`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.errors import LabError, shown
from core.models.language_model import LanguageModel
from core.models.past import Past, Vectors, expand
from core.probes.hears import layers_and_norm
from core.scoring.rows import collate
from core.truths.heard import continued

MARK = "§"  # where the vectors go
FRAMES = {
    "alone": f"{MARK}\n",
    "means": f'The instruction "{MARK}" means: "',
    "repeat": f"Text: {MARK}\nThe same text again: ",
}
HOLDER = " x"  # its last token is in the gap below the layer that is patched
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


def own_frame(lm: LanguageModel, text: str) -> Frame:
    """The frame that a person's text makes. LabError unless it has MARK once, and something after it."""
    if text.count(MARK) != 1:
        raise LabError(f"The frame {shown(text)} holds {MARK} {text.count(MARK)} times: write it exactly once, where the prompt goes.")
    made = frame_of(lm, text)
    if not made.after:
        raise LabError(f"Nothing comes after {MARK} in the frame {shown(text)}: write a word or a sign there, such as a colon.")
    return made


@contextmanager
def patched(
    lm: LanguageModel, frame: Frame, states: Float[Tensor, "vectors d_model"], layer: int, holder: Tensor | None = None
) -> Iterator[Past]:
    """Within: the past of `frame`, in whose gap the states before layer `layer` are replaced by `states`; the model goes on from there.

    layer: 0 puts them in as input vectors, which is `Frame.fill`. Before that layer the gap holds a word without a meaning (HOLDER) at each
    position, or `holder` (vectors, d_model). What follows the gap sees the word in earlier layers and the states in later ones.
    Run it within the block, and leave that before other jobs take their turns. Without gradients. LabError for a layer that the model has
    not, or whose input is not one state per position.
    """
    if not 0 <= layer < max(lm.layers, 1):
        raise LabError(f"The model {shown(lm.name)} has the layers 0 to {lm.layers - 1}, not {layer}: choose one of these.")
    if layer == 0:
        yield frame.fill(lm, states)
        return
    start, stop = len(frame.before), len(frame.before) + len(states)

    def write(_: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict[str, Any]]:
        given = args[0] if args else kwargs["hidden_states"]
        if given.ndim != 3 or given.shape[1] < stop:
            raise LabError(f"The layers of {shown(lm.name)} don't get one state per position: choose another model for this.")
        given = given.clone()  # (batch, positions, d_model)
        given[:, start:stop] = states.to(given)
        return ((given, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": given})

    if holder is None:
        holder = lm.embed_ids(lm.continued(HOLDER)[-1:] * len(states))
    hook = layers_and_norm(lm)[0][layer].register_forward_pre_hook(write, with_kwargs=True)
    try:
        past = frame.fill(lm, holder)
        if isinstance(past, Vectors):  # such a model runs all positions again with whatever follows
            yield past
            return
    finally:
        hook.remove()
    yield past


def likelihoods(lm: LanguageModel, frame: Frame, past: Past, candidates: Sequence[str]) -> Float[Tensor, " candidates"]:
    """The log-probability of each candidate's text after `past`, the filled frame, in nats per token (mean over its tokens), on the CPU."""
    rows = [(frame.after[-1:], tuple(lm.continued(frame.lead + text))) for text in candidates]
    batch = collate(rows, lm.device)
    with torch.inference_mode():
        logits = lm.logits_at(expand(past, len(rows)), batch.ids, batch.rows, batch.columns)
        own = torch.log_softmax(logits, dim=-1).gather(1, batch.targets[:, None])[:, 0].cpu()
    return torch.stack([part.mean() for part in own.split([len(ids) for _, ids in rows])])


def described(lm: LanguageModel, frame: Frame, past: Past, most: int) -> str:
    """What the model writes after `past`, the filled frame, greedily, up to `most` tokens."""
    return continued(lm, past, frame.after[-1], most)[0]
