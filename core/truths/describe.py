"""What the model says of its prompt, step by step: the vectors, or their states in some layer, are put into a frame that it continues."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from core.errors import LabError, shown
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.probes.hears import states_of_vectors
from core.scoring.contender import Contender
from core.truths.frames import Frame, described, patched

TOKENS = 16  # of a description, at most


@dataclass(frozen=True)
class Described(Event):
    """What the model said of the prompt `source` as it was after `step` steps. known: it was asked earlier."""

    source: str
    step: int
    text: str
    known: bool = False


@dataclass(frozen=True)
class Question:
    """How the model is asked. source: the layer whose states are taken, 0 for the vectors themselves. layer: the one that they are written
    into, 0 for the input. most: tokens of an answer."""

    frame: Frame
    source: int = 0
    layer: int = 0
    most: int = TOKENS


@dataclass(frozen=True, eq=False)
class Asked:
    """A prompt that is asked about; `make` gives it when its turn comes. It must have input vectors."""

    source: str
    step: int
    make: Callable[[], Contender]


def describe(
    lm: LanguageModel, question: Question, prompts: Sequence[Asked], known: Mapping[tuple[str, int], Described] | None = None
) -> Iterator[Event]:
    """Ask about each of `prompts`: yields `Progress`, then a `Described` for each. float32.

    known: earlier answers to the same question by source and step, which are not asked again. LabError as in `say`.
    """
    yield Progress(len(prompts))
    for one in prompts:
        earlier = (known or {}).get((one.source, one.step))
        yield replace(earlier, known=True) if earlier else Described(one.source, one.step, say(lm, question, one.make()))


def say(lm: LanguageModel, question: Question, contender: Contender) -> str:
    """What the model says of one prompt. LabError for a K/V prefix, a layer that the model has not, or a prompt longer than its window."""
    lm = lm.for_scoring
    states = states_of_vectors(lm, contender)
    if not 0 <= question.source < len(states):
        raise LabError(f"The model {shown(lm.name)} has states 0 to {len(states) - 1}, not {question.source}: choose one of these.")
    with patched(lm, question.frame, states[question.source], question.layer) as past:
        return described(lm, question.frame, past, question.most)


def coarse_to_fine(steps: Sequence[int], first: int) -> list[int]:
    """`steps` in an order that shows the whole course early: `first` (where it is one of them), the last, the first, then those between.

    >>> coarse_to_fine([1, 2, 3, 4, 5, 6, 7, 8, 9], 3)
    [3, 9, 1, 5, 7, 2, 4, 6, 8]
    """
    order = [*([first] if first in steps else []), *steps[-1:], *steps[:1]]
    stride = 1
    while 2 * stride < len(steps):
        stride *= 2
    while stride:
        order += steps[::stride]
        stride //= 2
    return list(dict.fromkeys(order))


def merged(texts: Mapping[int, tuple[str, ...]]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Texts by step as (first step, last step, texts), in order; neighbours with equal texts are one.

    >>> merged({0: ("a",), 2: ("a",), 1: ("a",), 5: ("b",)})
    [(0, 2, ('a',)), (5, 5, ('b',))]
    """
    found: list[tuple[int, int, tuple[str, ...]]] = []
    for step, said in sorted(texts.items()):
        if found and found[-1][2] == said:
            found[-1] = (found[-1][0], step, said)
        else:
            found.append((step, step, said))
    return found
