"""Frames: short neutral texts around a soft prompt while it trains, another one at each step, so that it learns to work within text.

When training has ended there is none: scores, answers and files have the vectors alone. So one of the frames is empty.
"""

from collections.abc import Sequence

import torch

from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.scoring.prepared import NO_FRAME, Frame

# Before and after the vectors. None of them is a sentence that a prompt is later asked about in (core/truths/frames.py).
TEXTS = (
    ("", ""),
    ("Note: ", "\n"),
    ("Please read this first. ", "\nThank you.\n"),
    ("As agreed, ", ".\n"),
    ("(", ")\n"),
    ("It begins here: ", ". Now it goes on.\n"),
    ("The message of today is ", ", as always.\n"),
    ("- ", "\n\n"),
)


def training_frames(lm: LanguageModel, recipe: Recipe) -> tuple[Frame, ...]:
    """The frames of a run as token ids: only the empty one where the recipe wants none."""
    if recipe.frames == "none":
        return (NO_FRAME,)
    # A space before the vectors would be a token of its own.
    return tuple((tuple(lm.tokenise(before.rstrip(" "))), tuple(lm.continued(after) if after else ())) for before, after in TEXTS)


def frame_at(frames: Sequence[Frame], seed: int, step: int) -> Frame:
    """The frame of step number `step` (from 0), drawn evenly. Depends on its arguments alone."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
    return frames[int(torch.randint(len(frames), (), generator=generator))]


def longest(frames: Sequence[Frame]) -> int:
    """The most tokens that a frame adds."""
    return max(len(before) + len(after) for before, after in frames)
