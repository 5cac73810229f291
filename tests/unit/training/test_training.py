"""Training: the model stays frozen, runs repeat bit by bit, pauses change nothing, and a run that breaks says so."""

import math
import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from plain import plain_loss
from steps import assert_same_steps, train
from tiny_models import ARCHITECTURES, answer_task, label_task, make

from core.errors import LabError
from core.methods import METHODS
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.scoring.rows import encode
from core.tasks.task import Example
from core.training.start import create
from core.training.training import LOSS_FLOOR, WORSE_STEPS, State, Training, batch_indices, rate_at

RECIPES = {
    **{name: Recipe(method=name, steps=6, batch_size=4, virtual_tokens=5, warmup=2) for name in METHODS},
    "soft, all options": Recipe(
        steps=6, batch_size=5, virtual_tokens=5, init="random", schedule="cosine", warmup=1, clip=0.5, weight_decay=0.1, seed=3
    ),
    "soft, pulled": Recipe(steps=6, batch_size=4, virtual_tokens=14, pull=0.3, pull_text="the quick brown fox", order_seed=4),
    "prefix, mlp": Recipe(method="prefix", steps=6, batch_size=4, virtual_tokens=5, mlp=8),
    "prefix, random mlp": Recipe(method="prefix", init="random", steps=6, batch_size=4, virtual_tokens=5, mlp=8),
}


@pytest.fixture(params=RECIPES)
def recipe(request):
    return RECIPES[request.param]


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_model_is_never_changed(arch, recipe):
    lm = make(arch)
    before = hash_weights(lm.model)
    events, _ = train(lm, recipe)
    assert not np.array_equal(events[0].vectors, events[-1].vectors)  # something was trained
    assert hash_weights(lm.model) == before
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in lm.model.parameters())


def test_the_hash_notices_one_changed_weight():
    lm = make("llama")
    before = hash_weights(lm.model)
    with torch.no_grad():
        next(lm.model.parameters()).view(-1)[5] += 1e-6
    assert hash_weights(lm.model) != before


def test_the_same_recipe_gives_the_same_steps_whatever_else_runs(tiny, recipe):
    first, _ = train(tiny("llama"), recipe)
    torch.manual_seed(99)
    second, _ = train(tiny("llama"), recipe)
    assert_same_steps(second, first)
    done = threading.Event()

    def compute():
        while not done.is_set():
            with torch.inference_mode():
                torch.randn(64, 64) @ torch.randn(64, 64)

    thread = threading.Thread(target=compute)
    thread.start()
    try:
        third, _ = train(tiny("llama"), recipe)
    finally:
        done.set()
        thread.join()
    assert_same_steps(third, first)


def batches(monkeypatch, lm, recipe):
    """The inputs of the rows in every batch, and the start."""
    training = Training(lm, answer_task(), recipe)
    start, seen, loss = training.prefix.snapshot(), [], training.loss
    monkeypatch.setattr(training, "loss", lambda rows, frame: seen.append([row.example.input for row in rows]) or loss(rows, frame))
    training.advance(training.start(), recipe.steps)
    return seen, start


def test_the_order_seed_changes_the_rows_and_not_the_start_and_the_seed_the_other_way_round(tiny, monkeypatch):
    lm, recipe = tiny("llama"), RECIPES["prompt"]
    rows, start = batches(monkeypatch, lm, recipe)
    other_rows, same_start = batches(monkeypatch, lm, recipe.but(order_seed=1))
    assert rows != other_rows and np.array_equal(start, same_start)
    same_rows, other_start = batches(monkeypatch, lm, recipe.but(seed=1, order_seed=recipe.seed))
    assert rows == same_rows and not np.array_equal(start, other_start)
    assert other_rows == batches(monkeypatch, lm, recipe.but(seed=1))[0]  # the seed's own order


def test_single_steps_a_pause_and_a_file_all_give_the_unbroken_run(tiny, recipe):
    lm, task = tiny("llama"), answer_task()
    whole, end = train(lm, recipe, task)
    one_by_one, through_bytes = Training(lm, task, recipe), Training(lm, task, recipe)
    state, restored = one_by_one.start(), through_bytes.start()
    events, later = [], []
    for _ in range(recipe.steps):
        more, state = one_by_one.advance(state)
        events += more
        through_bytes = Training(lm, task, recipe)  # a new process knows the recipe and the bytes alone
        more, restored = through_bytes.advance(State.from_bytes(restored.to_bytes()))
        later += more
    for other, found in ((state, events), (restored, later)):
        assert same(other.tensors, end.tensors) and same(other.good, end.good)
        assert (other.step, other.start_loss, other.worse, other.stopped) == (end.step, end.start_loss, end.worse, end.stopped)
        assert_same_steps(found, whole)


def test_training_changes_neither_the_state_it_starts_from_nor_earlier_events(tiny, recipe):
    training = Training(tiny("llama"), answer_task(), recipe)
    events, middle = training.advance(training.start(), 3)
    kept, good = ({name: value.clone() for name, value in part.items()} for part in (middle.tensors, middle.good))
    vectors = events[-1].vectors.copy()
    _, once = training.advance(middle, 3)
    assert same(middle.tensors, kept) and same(middle.good, good) and middle.step == 3
    assert np.array_equal(events[-1].vectors, vectors)
    _, twice = training.advance(middle, 3)
    assert same(once.tensors, twice.tensors)


def test_no_step_is_taken_after_the_last(tiny):
    training = Training(tiny("llama"), answer_task(), RECIPES["prompt"])
    events, end = training.advance(training.start(), 1000)
    assert [event.step for event in events] == [1, 2, 3, 4, 5, 6]
    assert training.advance(end, 5) == ([], end)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_loss_goes_down(tiny, arch, method):
    recipe = Recipe(method=method, steps=40, batch_size=12, virtual_tokens=5, learning_rate=0.1, end="none")
    events, _ = train(tiny(arch), recipe)
    assert events[-1].loss < 0.7 * events[0].loss
    assert not events[-1].stopped


def test_steps_are_those_of_plain_adam_on_the_plain_loss(tiny):
    lm, task = tiny("llama"), answer_task()
    recipe = RECIPES["prompt"].but(end="none")
    events, _ = train(lm, recipe, task)
    prefix = create(lm, task, recipe)
    rows = encode(lm, task.template, task.train, None)
    optimiser = torch.optim.Adam(prefix.parameters())
    for step, event in enumerate(events):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(recipe, step)
        loss = plain_loss(lm, prefix, [rows[i] for i in batch_indices(recipe.seed, step, recipe.batch_size, len(rows))])
        optimiser.zero_grad()
        loss.backward()
        assert event.loss == pytest.approx(loss.item(), abs=1e-4)
        assert event.gradient_norm == pytest.approx(prefix.vectors.grad.norm().item(), rel=1e-3)
        optimiser.step()
        np.testing.assert_allclose(event.vectors, prefix.snapshot(), atol=1e-3)


def test_label_words_can_be_trained_against_each_other(tiny):
    recipe = Recipe(steps=40, batch_size=12, virtual_tokens=5, learning_rate=0.1, loss="labels")
    events, _ = train(tiny("llama"), recipe, label_task())
    assert events[-1].loss < 0.7 * events[0].loss
    with pytest.raises(LabError, match="no label words"):
        Training(tiny("llama"), answer_task(), recipe)


@pytest.mark.parametrize(
    "task, changes, sentence",
    [
        (answer_task(), {"virtual_tokens": 159}, r"Row 1 .* needs .* positions, the model has 160"),
        (label_task(held_out=(Example("sea shore " * 100, "bad"),)), {}, "positions"),
    ],
    ids=["a training row", "a held-out row"],
)
def test_rows_that_do_not_fit_are_refused_before_training(task, changes, sentence):
    with pytest.raises(LabError, match=sentence):
        Training(make("llama"), task, Recipe(**changes))


LENGTHS = (1, 9, 2, 14, 3, 3, 7, 1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["vocabulary", "labels"])
def test_a_batch_of_long_rows_is_run_in_pieces_with_the_gradient_of_one_batch(lm, method, loss, monkeypatch):
    labels = ("bad", "very good")
    rows = tuple(Example(f"{i} {'sea ' * length}", labels[i % 2]) for i, length in enumerate(LENGTHS))
    task = label_task(train=rows, labels=labels, validation=(), held_out=rows[:1])
    recipe = Recipe(method=method, steps=1, batch_size=8, virtual_tokens=4, loss=loss, pull=0.0)

    def gradient(most):
        monkeypatch.setattr("core.training.training.MOST_TOKENS", most)
        training = Training(lm, task, recipe)
        pieces = training.pieces(training.prepared.rows)
        (event,), _ = training.advance(training.start())
        return pieces, event.loss, torch.cat([value.grad.flatten() for value in training.prefix.parameters()])

    whole, loss_at_once, at_once = gradient(8192)
    pieces, loss_in_pieces, in_pieces = gradient(60)
    assert len(whole) == 1 and len(pieces) > 2 and max(map(len, pieces)) > 1
    assert sorted(row.example.input for piece in pieces for row in piece) == sorted(row.input for row in rows)
    assert loss_in_pieces == pytest.approx(loss_at_once, rel=1e-6)
    assert ((in_pieces - at_once).norm() / at_once.norm()).item() < 3e-6
    assert len(gradient(1)[0]) == len(rows)  # a row is never cut


def test_one_row_as_long_as_a_batch_refuses_no_run():
    lm = make("llama", max_position_embeddings=4096)
    rows = (Example("sea shore " * 300, "bad"), *(Example(f"{i} sea", "good") for i in range(20)))
    task = label_task(train=rows, validation=(), held_out=rows[-1:], labels=("bad", "good"))
    training = Training(lm, task, Recipe(steps=2, batch_size=16))
    assert training.most_rows() < 16 and max(len(piece) for piece in training.pieces(training.prepared.rows)) == 20
    assert len(training.advance(training.start(), 2)[0]) == 2


@pytest.mark.parametrize(
    "schedule, rates",
    [
        ("constant", [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]),
        ("linear", [0.25, 0.5, 0.75, 1, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0.25, 0.5, 0.75, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_the_rate_follows_warm_up_and_schedule(tiny, schedule, rates):
    recipe = Recipe(learning_rate=0.02, steps=8, warmup=4, schedule=schedule, batch_size=2)
    events, _ = train(tiny("llama"), recipe)
    assert [event.learning_rate for event in events] == pytest.approx([0.02 * rate for rate in rates])


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_stays_sane_at_the_edges(schedule):
    for recipe in (Recipe(steps=1, warmup=0, schedule=schedule), Recipe(steps=3, warmup=9, schedule=schedule), Recipe(steps=5, warmup=5)):
        rates = [rate_at(recipe, step) for step in range(recipe.steps)]
        assert all(0 < rate <= recipe.learning_rate for rate in rates)


def test_clipping_limits_the_gradient_and_weight_decay_pulls_towards_zero(tiny):
    recipe = Recipe(steps=1, batch_size=4, warmup=0)
    start = create(tiny("llama"), answer_task(), recipe).snapshot()
    vectors = {clip: train(tiny("llama"), recipe.but(clip=clip))[0][0].vectors for clip in (0.0, 1e6, 1e-9)}
    moves = {clip: np.abs(found - start).max() for clip, found in vectors.items()}
    assert moves[0.0] == moves[1e6] > 0.02  # a generous limit changes nothing
    assert moves[1e-9] < 0.01  # below Adam's epsilon, a step is small
    (decayed,), _ = train(tiny("llama"), recipe.but(weight_decay=0.5))
    np.testing.assert_allclose(decayed.vectors - vectors[0.0], -0.03 * 0.5 * start, atol=1e-6)


@given(seed=st.integers(0, 2**31 - 1), size=st.integers(1, 40), rows=st.integers(1, 30))
def test_every_row_comes_once_in_each_pass(seed, size, rows):
    steps = math.ceil(2 * rows / size)
    taken = [row for step in range(steps) for row in batch_indices(seed, step, size, rows)]
    assert len(taken) == steps * size
    assert sorted(taken[:rows]) == sorted(taken[rows : 2 * rows]) == list(range(rows))
    passes = [tuple(batch_indices(seed, step, 30, 30)) for step in range(10)]
    assert len(set(passes)) == 10  # each in another order


def test_a_rate_far_too_high_stops_and_keeps_the_last_good_vectors(tiny):
    recipe = Recipe(method="prefix", steps=60, batch_size=12, learning_rate=10.0, warmup=0, virtual_tokens=5)
    task = answer_task(train=tuple(row for row in answer_task().train if row.output == "yes"))
    learned, _ = train(tiny("neox"), recipe.but(learning_rate=0.1, steps=100), task)
    assert learned[-1].loss < 1  # so good that far too large a step makes it worse
    start = {"values": torch.from_numpy(learned[-1].vectors)}
    training = Training(tiny("neox"), task, recipe)
    events, state = training.advance(State(0, start, start), 60)
    assert len(events) < 60
    assert "above twice its start" in events[-1].stopped == state.stopped
    assert not any(event.stopped for event in events[:-1])
    losses = {}
    with torch.no_grad():
        for best in (True, False):
            training.show(state, best=best)
            losses[best] = training.loss(training.prepared.rows).item()
    assert losses[True] <= 2 * max(events[0].loss, LOSS_FLOOR)
    assert losses[True] < losses[False]
    assert training.advance(state, 5) == ([], state)


def test_some_bad_steps_in_a_row_stop_and_fewer_do_not(tiny, monkeypatch):
    recipe = Recipe(steps=30, batch_size=12, virtual_tokens=5)
    training = Training(tiny("llama"), answer_task(), recipe)
    loss, factors = training.loss, iter([1, 1, 1, 9, 9, 9, 9, 1, 1, *[9] * 30])
    monkeypatch.setattr(training, "loss", lambda rows, frame: loss(rows, frame) * next(factors))
    events, state = training.advance(training.start(), 30)
    assert len(events) == 9 + WORSE_STEPS  # four bad steps, then a good one: forgiven
    assert "5 steps, up to step 14" in state.stopped
    kept = training.show(state, best=True).snapshot()
    assert np.array_equal(kept, events[7].vectors)  # those that gave the last good loss, at step 9


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_and_keeps_the_last_good_vectors(tiny, monkeypatch, recipe, broken):
    training = Training(tiny("llama"), answer_task(), recipe)
    healthy, before = training.advance(training.start(), 3)
    loss = training.loss
    monkeypatch.setattr(training, "loss", lambda rows, frame: loss(rows, frame) * broken)
    (event,), state = training.advance(before, 1)
    assert "no longer a number at step 4" in event.stopped
    assert np.array_equal(event.vectors, training.prefix.snapshot()) and np.isfinite(event.vectors).all()
    # Those after step 3 gave the broken loss; those before it gave the last good one.
    assert np.array_equal(training.show(state, best=True).snapshot(), healthy[-2].vectors)
    again = State.from_bytes(state.to_bytes())
    assert all(torch.isfinite(value).all() for value in again.tensors.values())
    assert training.advance(again, 1)[0] == []


def test_vectors_that_a_step_itself_breaks_are_never_kept(tiny, monkeypatch):
    training = Training(tiny("llama"), answer_task(), RECIPES["prompt"])
    healthy, before = training.advance(training.start(), 2)
    real_step = torch.optim.AdamW.step

    def breaking(self, *args, **kwargs):
        real_step(self, *args, **kwargs)
        with torch.no_grad():
            self.param_groups[0]["params"][0].mul_(math.nan)

    monkeypatch.setattr(torch.optim.AdamW, "step", breaking)
    events, state = training.advance(before, 4)
    assert "no longer a number" in state.stopped and len(events) == 2
    assert np.array_equal(training.show(state, best=True).snapshot(), healthy[-1].vectors)


def test_in_bfloat16_the_vectors_stay_float32():
    lm = make("llama").to(torch.device("cpu"), torch.bfloat16)
    assert lm.dtype == torch.bfloat16 and lm.for_scoring.dtype == torch.float32
    events, state = train(lm, RECIPES["prompt"])
    assert state.tensors["vectors"].dtype == torch.float32
    small = events[-1].vectors - torch.from_numpy(events[-1].vectors).bfloat16().float().numpy()
    assert np.abs(small).max() > 0  # not rounded to what bfloat16 can hold
    exact, _ = train(lm.for_scoring, RECIPES["prompt"])
    assert events[0].loss == pytest.approx(exact[0].loss, rel=0.05)
