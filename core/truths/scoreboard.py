"""The scoreboard: imitate every truth with several prompts, read each one and its controls, and note where the truth is ranked."""

import hashlib
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from core.errors import LabError
from core.events import Done, Event, Progress, Step
from core.inspection.control import moved_at_random
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.make_recording import made_here
from core.sweeps.result import to_json
from core.training.training import Training
from core.truths.behaviour import Behaviours
from core.truths.ranking import Place, place_of
from core.truths.readings import Readers
from core.truths.result import SETTINGS, Board, Head, PromptRead, Setting, key_of, lines
from core.truths.truths import Truth, Truths

STEPS, BATCH = 25, 8
ANSWER_TOKENS = 6  # of the teacher's own answer that are imitated, at most
START_TEXT = "Bananas and apples are sold at the station every Monday"  # shares no word with a truth but "the" and "and"
MOST_SAID = 300  # characters that are kept of a text that was read
USUAL, CONTROL = 1, 0  # draws of the random move: what is taken off likelihoods, and what is read as the control


@dataclass(frozen=True)
class Stepped(Event):
    """A training step was done. number: from 1."""

    truth: str
    setting: Setting
    number: int
    loss: float

    is_step: ClassVar[bool] = True

    def summary(self) -> Step:
        return Step(self.number)


@dataclass(frozen=True)
class PromptDone(Event):
    """A prompt was trained and read. known: it was read earlier."""

    read: PromptRead
    known: bool = False


def recipe_of(truths: Truths, truth: Truth, setting: Setting, steps: int = STEPS) -> Recipe:
    """How a prompt is trained to imitate `truth`."""
    return Recipe(
        loss="imitate",
        teacher=truths.teacher(truth.text),
        template=truths.template,
        virtual_tokens=setting.virtual_tokens,
        init=setting.init,
        init_text=START_TEXT if setting.init == "text" else "",
        seed=setting.seed,
        frames=setting.frames,
        steps=steps,
        batch_size=BATCH,
    )


def head_of(lm: LanguageModel, truths: Truths, steps: int = STEPS) -> Head:
    """What a scoreboard of these truths on this model is of."""
    content = hashlib.sha256(to_json(truths).encode()).hexdigest()[:16]
    return Head(lm.name, lm.weights_hash, lm.device.type, lm.dtype_name, content, steps, BATCH)


def board_of(lm: LanguageModel, truths: Truths, prompts: Sequence[PromptRead], steps: int = STEPS) -> Board:
    """The prompts that were read, as a result that says what it is of."""
    chosen = [one for one in truths.truths if one.name in {read.truth for read in prompts}]
    kinds, texts = {one.name: one.kind for one in chosen}, {one.name: one.text for one in chosen}
    board = Board(head_of(lm, truths, steps), kinds, texts, tuple(prompts), made_here(lm.device_name))
    return replace(board, found=tuple(lines(board)))


def scoreboard(
    lm: LanguageModel,
    truths: Truths,
    names: Sequence[str] = (),
    settings: Sequence[Setting] = SETTINGS[:3],
    steps: int = STEPS,
    known: Mapping[str, PromptRead] | None = None,
) -> Iterator[Event | None]:
    """Imitate and read: yields `Progress` (the number of prompts), then each step and each prompt; None between pieces.

    names: of the truths that are imitated; all by default. Every truth has its first prompt before any has its second, so that a run
    that is stopped has some of all. known: prompts by key that were read earlier. LabError where a truth can't be used.
    """
    chosen = [truths.named(name) for name in names] or list(truths.truths)
    if not settings:
        raise LabError("No prompts were asked for: choose one or more.")
    yield Progress(len(chosen) * len(settings))
    readers = Readers(lm, Behaviours(lm, truths))
    for setting in settings:
        for truth in chosen:
            found = (known or {}).get(key_of(truth.name, setting))
            if found is None:
                found = yield from prompt_read(lm, truths, truth, setting, readers, steps, with_text=setting == settings[0])
                yield PromptDone(found)
            else:
                yield PromptDone(found, known=True)


def prompt_read(
    lm: LanguageModel, truths: Truths, truth: Truth, setting: Setting, readers: Readers, steps: int = STEPS, with_text: bool = True
) -> Generator[Event | None, None, PromptRead]:
    """Train a prompt to imitate `truth`, and read it next to its controls; `Done` for each. with_text: the truth's own tokens, too."""
    begun = time.monotonic()
    start, learned, losses = yield from imitated(lm, truths, truth, setting, steps)
    trained = time.monotonic()
    candidates = truths.candidates(truth)
    sources = {"learned": learned, "moved": moved_at_random(start, learned, CONTROL), "start": start}
    if with_text:
        sources["text"] = lm.for_scoring.embed_ids(lm.tokenise(truth.text)).cpu()
    usual = readers.usual(moved_at_random(start, learned, USUAL).to(lm.device), candidates)
    yield None
    places: dict[str, dict[str, Place]] = {}
    said: dict[str, str] = {}
    for source, vectors in sources.items():
        read = yield from readers.read(vectors, candidates, usual, setting.seed)
        places[source] = {name: place_of(scores, 0) for name, scores in read.scores.items()}
        if source == "learned":
            said = {name: text[:MOST_SAID] for name, text in read.said.items() if name != "lens"}  # a long list of common words
        yield Done()
    return PromptRead(truth.name, setting, losses, places, said, (round(trained - begun, 1), round(time.monotonic() - trained, 1)))


def imitated(
    lm: LanguageModel, truths: Truths, truth: Truth, setting: Setting, steps: int = STEPS
) -> Generator[Event | None, None, tuple[Tensor, Tensor, tuple[float, float]]]:
    """Train a prompt to imitate `truth`: its start and its trained vectors, each (vectors, d_model), and the first and the last loss.

    LabError where the loss ran away: such a prompt imitates nothing.
    """
    training = Training(lm, truths.task(truth), recipe_of(truths, truth, setting, steps))
    assert training.teacher
    training.teacher.most = min(training.teacher.most, ANSWER_TOKENS)
    state = training.start()
    start = torch.from_numpy(training.show(state).snapshot())
    losses: list[float] = []
    for _ in training.begin():
        yield None
    for _ in range(steps):
        (event, *_), state = training.advance(state)
        losses.append(event.loss)
        yield Stepped(truth.name, setting, event.step, event.loss)
        if event.stopped:
            raise LabError(f"The prompt that imitates {truth.name!r} can't be trained ({event.stopped}): use fewer steps or other inputs.")
    return start, torch.from_numpy(training.show(state).snapshot()), (losses[0], losses[-1])
