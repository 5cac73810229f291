"""Train a prefix: a state that is plain data, and `advance(state, steps) -> events, state`.

A state and the `Training` that it belongs to are all that is needed to continue, so pause, resume, taking turns and a worker in
another process are the same call.
"""

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.errors import LabError
from core.events import Event, Step
from core.models.language_model import LanguageModel
from core.prefix import Prefix
from core.recipe import SETTINGS, Recipe
from core.scoring.contender import Contender, contender_of_run
from core.scoring.imitation import imitation_loss
from core.scoring.likelihood import answer_loss, label_loss
from core.scoring.prepared import NO_FRAME, Frame, Prepared, prepare
from core.scoring.rows import Row, check_window, encode, end_tokens
from core.tasks.task import Task, template_of
from core.training.frames import frame_at, longest, training_frames
from core.training.start import Begun, create
from core.training.teacher import Teacher, with_answers

MOST_TOKENS = 8192  # run at a time in a step: gradients keep about 1.5 MB a token on the default model
WORSE_STEPS = 5  # this many steps in a row with a loss above twice the start's: the run has diverged
MOMENTS = ("exp_avg", "exp_avg_sq")  # Adam's, by the optimiser's own names
LOSS_FLOOR = 0.5  # nats; a run that starts below this may double its loss by the draw of a batch alone


@dataclass(frozen=True)
class StepEvent(Event):
    """One finished step. loss: nats per answer token (per label, where the loss is over labels), before the step's change.

    Where a teacher is imitated, loss is the divergence from it, KL(teacher || student).

    Where vectors are pulled to a text, loss is still that of the answers alone; gradient_norm is of both together.
    vectors: what is stored after the step (see Prefix.snapshot). stopped: why the run ends here, or "". state: what training can go on
    from, after the last step of a slice; seconds: of training up to then.
    """

    step: int
    loss: float
    gradient_norm: float
    learning_rate: float
    vectors: np.ndarray
    stopped: str = ""
    state: "State | None" = None
    seconds: float = 0.0

    is_step: ClassVar[bool] = True

    def summary(self) -> Step:
        return Step(self.step)


@dataclass(frozen=True)
class State:
    """A run between two steps. tensors: parameters and Adam's moments, on the CPU. good: the parameters to fall back on."""

    step: int
    tensors: dict[str, Tensor]
    good: dict[str, Tensor]
    start_loss: float = math.nan
    worse: int = 0
    stopped: str = ""

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        return sum(tensor.nbytes for tensor in (*self.tensors.values(), *self.good.values()))

    def to_bytes(self) -> bytes:
        """This state for a disk or another process."""
        buffer = io.BytesIO()
        torch.save(self.__dict__, buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "State":
        """The state that `to_bytes` wrote (tensors and numbers only: nothing else is unpickled)."""
        return cls(**torch.load(io.BytesIO(data), weights_only=True))


class Training:
    """All that a run needs and never changes: model, recipe, tokenised rows, and after `begin` a teacher's answers in them."""

    def __init__(self, lm: LanguageModel, task: Task, recipe: Recipe, begun: Begun | None = None, prefix: Prefix | None = None):
        """begun: the saved prompt that the recipe starts from. prefix: in place of the one that the recipe makes.

        Raises LabError for a recipe that doesn't fit the task or the model.
        """
        if recipe.loss == "labels" and not task.labels:
            raise LabError(f"The task {task.name!r} has no label words: use the loss over the vocabulary.")
        self.lm, self.task, self.recipe, self.begun = lm, task, recipe, begun
        self.prefix: Prefix = prefix or create(lm, task, recipe, begun)
        self.template = template_of(task, recipe.template)
        end = end_tokens(lm, recipe.end if recipe.loss == "vocabulary" else "none")
        self.prepared: Prepared = prepare(lm, self.contender(), task.train, task.labels, end)
        self.frames = training_frames(lm, recipe)
        self.frame_tokens = longest(self.frames)  # room for the longest one is needed
        if self.frame_tokens:
            check_window(lm, self.prepared.rows, self.prepared.positions + self.frame_tokens)
        # Rows that are scored later must fit too: an error is better before training than after it.
        check_window(lm, encode(lm, self.template, (*task.validation, *task.held_out), task.labels), recipe.virtual_tokens)
        self.teacher = Teacher(lm, task, recipe, self.prepared, self.frame_tokens) if recipe.loss == "imitate" else None
        self.pulled_to = text_embeddings(lm, recipe.pull_text) if recipe.pull else None
        if self.pulled_to is not None and len(self.pulled_to) != recipe.virtual_tokens:
            count, most = len(self.pulled_to), SETTINGS["virtual_tokens"].high or 0
            way = f"set the virtual tokens to {count}, or choose another text"
            way = way if count <= most else f"choose a text of at most {most} tokens"
            raise LabError(
                f"The text to pull to has {count:,} tokens, one for each vector, and there are {recipe.virtual_tokens} vectors: {way}."
            )

    def pieces(self, batch: Sequence[Row]) -> list[list[Row]]:
        """A batch in pieces that are run one after another: one, unless its rows are long. A row is never cut."""
        if self._tokens(batch) <= MOST_TOKENS:
            return [list(batch)]
        pieces: list[list[Row]] = []
        for row in sorted(batch, key=lambda row: longest_sequence([row])):  # rows of one length need no padding
            if pieces and self._tokens([*pieces[-1], row]) <= MOST_TOKENS:
                pieces[-1].append(row)
            else:
                pieces.append([row])
        return pieces

    def most_rows(self) -> int:
        """The most rows that are run at a time, if all are as long as the longest."""
        longest = max(self.prepared.rows, key=lambda row: longest_sequence([row]))
        return max(1, min(self.recipe.batch_size, MOST_TOKENS // self._tokens([longest])))

    def _tokens(self, rows: Sequence[Row]) -> int:
        """Tokens of a piece with its padding. With the loss over labels of several tokens, each row is run with each of them."""
        labels = rows[0].candidates if self.recipe.loss == "labels" else ()
        sequences = len(labels) if any(len(ids) > 1 for ids in labels) else 1
        return len(rows) * sequences * longest_sequence(rows)

    def contender(self, name: str = "learned") -> Contender:
        """The prefix as it is now, with its template."""
        return contender_of_run(name, self.task, self.recipe, self.prefix, seen=self.begun.seen if self.begun else frozenset())

    def begin(self) -> Iterator[None]:
        """What is computed once, before the first step: a teacher's answers. In pieces; `advance` does what is left of it."""
        if self.teacher and not self.teacher.ready:
            yield from self.teacher.listen()
            self.prepared = with_answers(self.prepared, self.teacher.answers)

    def start(self) -> State:
        """The state before the first step."""
        return State(0, self._parameters(), self._parameters())

    def show(self, state: State, best: bool = False) -> Prefix:
        """Put a state's parameters (the last good ones, where the run diverged) into the prefix and return it."""
        chosen = state.good if best and state.stopped else state.tensors
        with torch.no_grad():
            for name, value in self.prefix.named_parameters():
                value.copy_(chosen[name])
        return self.prefix

    def advance(self, state: State, steps: int = 1) -> tuple[list[StepEvent], State]:
        """Train `steps` more steps, or to the end of the recipe. `state` itself is not changed."""
        for _ in self.begin():
            pass
        self.show(state)
        optimiser = self._optimiser(state)
        events: list[StepEvent] = []
        for _ in range(min(steps, self.recipe.steps - state.step)):
            if state.stopped:
                break
            event, state = self._step(optimiser, state)
            events.append(event)
        return events, state

    def _optimiser(self, state: State) -> torch.optim.AdamW:
        named = dict(self.prefix.named_parameters())
        # Decoupled weight decay; without decay this is Adam.
        optimiser = torch.optim.AdamW(named.values(), lr=rate_at(self.recipe, state.step), weight_decay=self.recipe.weight_decay)
        for name, parameter in named.items():
            if f"{name}.exp_avg" in state.tensors:
                moments = {key: state.tensors[f"{name}.{key}"].to(parameter.device).clone() for key in MOMENTS}
                optimiser.state[parameter] = {"step": torch.tensor(float(state.step)), **moments}
        return optimiser

    def _step(self, optimiser: torch.optim.AdamW, state: State) -> tuple[StepEvent, State]:
        recipe, rows = self.recipe, self.prepared.rows
        batch = [rows[i] for i in batch_indices(recipe.rows_seed, state.step, recipe.batch_size, len(rows))]
        before = self._parameters()

        optimiser.zero_grad()
        if self.pulled_to is not None:
            (recipe.pull * mean_squared_distance(self.prefix.array(), self.pulled_to)).backward()
        value = self.backward(batch, frame_at(self.frames, recipe.seed, state.step))
        norm = torch.nn.utils.clip_grad_norm_(list(self.prefix.parameters()), recipe.clip or math.inf).item()
        rate = optimiser.param_groups[0]["lr"] = rate_at(recipe, state.step)
        finite = math.isfinite(value) and math.isfinite(norm)
        if finite:
            optimiser.step()

        after = self._after(state, value, finite, before, optimiser)
        if after.stopped:
            self.show(after, best=True)
        return StepEvent(after.step, value, norm, rate, self.prefix.snapshot(), after.stopped), after

    def _parameters(self) -> dict[str, Tensor]:
        """A copy of the trained parameters on the CPU."""
        return {name: parameter.detach().cpu().clone() for name, parameter in self.prefix.named_parameters()}

    def _after(self, state: State, loss: float, finite: bool, before: dict[str, Tensor], optimiser: torch.optim.AdamW) -> State:
        """The state after a step. before: the parameters that gave `loss`, good as long as it is; finite: loss and gradient are."""
        step, start = state.step + 1, loss if state.step == 0 else state.start_loss
        worse = state.worse + 1 if loss > 2 * max(start, LOSS_FLOOR) else 0
        stopped = ""
        if not finite:
            stopped = f"the loss was no longer a number at step {step}; the last good vectors were kept"
        elif worse >= WORSE_STEPS:
            stopped = f"the loss was above twice its start for {WORSE_STEPS} steps, up to step {step}; the last good vectors were kept"
        tensors = self._parameters()
        for name, parameter in self.prefix.named_parameters():
            moments = optimiser.state.get(parameter, {})
            tensors |= {f"{name}.{key}": moments[key].detach().cpu().clone() for key in MOMENTS if key in moments}
        good = before if finite and not worse else state.good
        return replace(state, step=step, tensors=tensors, good=good, start_loss=start, worse=worse, stopped=stopped)

    def _weight(self, rows: Sequence[Row]) -> int:
        """What the mean of the loss is taken over: rows, or their answer tokens."""
        return len(rows) if self.recipe.loss == "labels" else sum(len(row.answer) for row in rows)

    def backward(self, batch: Sequence[Row], frame: Frame = NO_FRAME) -> float:
        """Add the gradient of the batch's loss to the trained parameters, a piece at a time. The loss, in nats."""
        losses = []
        for piece in self.pieces(batch):  # gradients add up
            losses.append(self.loss(piece, frame) * (self._weight(piece) / self._weight(batch)))
            losses[-1].backward()
        return sum(loss.item() for loss in losses)  # at the end: it waits for the device

    def loss(self, rows: Sequence[Row], frame: Frame = NO_FRAME) -> Tensor:
        """The training loss of `rows` in one shared-prefill pass, with its graph. `rows` are among `prepared.rows`.

        frame: around the prefix, the same for all rows, so it still runs once.
        """
        cache = replace(self.prepared, frame=frame).fill(self.lm)
        if self.teacher:
            return imitation_loss(self.lm, cache, rows, self.teacher.logs(rows))
        if self.recipe.loss == "labels":
            return label_loss(self.lm, cache, rows, self.recipe.label_score)
        return answer_loss(self.lm, cache, rows)


def longest_sequence(rows: Sequence[Row]) -> int:
    """The most tokens of a row's prompt with its answer or a label word."""
    return max(len(row.prompt) + max([len(row.answer), *map(len, row.candidates)]) for row in rows)


def text_embeddings(lm: LanguageModel, text: str) -> Float[Tensor, "tokens d_model"]:
    """The embeddings of a text's tokens, without special ones, float32: a soft prompt made of these *is* the text."""
    return lm.for_scoring.embed_ids(lm.tokenise(text)).detach()


def mean_squared_distance(a: Float[Tensor, "vectors d_model"], b: Float[Tensor, "vectors d_model"]) -> Float[Tensor, ""]:
    """|a_i - b_i|^2, summed over d_model, as a mean over the vectors.

    What pulls a prompt to a text (Khashabi et al. 2021, "Prompt waywardness"): training loss = loss + pull * this distance
    between the prompt's vectors and the text's embeddings.

    >>> mean_squared_distance(torch.tensor([[3.0, 4.0], [1.0, 1.0]]), torch.tensor([[0.0, 0.0], [1.0, 0.0]]))
    tensor(13.)
    """
    return (a - b).square().sum(dim=1).mean()


def batch_indices(seed: int, step: int, size: int, rows: int) -> list[int]:
    """The rows of batch number `step`: `size` at a time from one shuffled pass after another. Depends on its arguments alone."""
    places = [divmod(place, rows) for place in range(step * size, (step + 1) * size)]  # (epoch, offset) pairs

    def order(epoch: int) -> list[int]:
        return torch.randperm(rows, generator=torch.Generator().manual_seed(seed * 1_000_003 + epoch)).tolist()

    orders = {epoch: order(epoch) for epoch in {epoch for epoch, _ in places}}
    return [orders[epoch][offset] for epoch, offset in places]


def rate_at(recipe: Recipe, step: int) -> float:
    """The learning rate of step number `step` (from 0): a linear warm-up, then constant, linear or cosine to zero."""
    rate = recipe.learning_rate
    if step < recipe.warmup:
        return rate * (step + 1) / recipe.warmup
    share = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    factor = {"constant": 1.0, "linear": 1 - share, "cosine": 0.5 * (1 + math.cos(math.pi * share))}[recipe.schedule]
    return rate * factor
