"""Do seeds meet: starts and orders are told apart, and a pair's numbers are those of its vectors and its answers."""

import numpy as np
import pytest
import torch
from tiny_models import answer_task, label_task

from core.errors import LabError
from core.events import Progress
from core.inspection.control import moved_at_random
from core.inspection.meet import match
from core.methods import METHODS
from core.probes.seeds import MOST, Meeting, meet, plan
from core.recipe import Recipe
from core.runs.contest import Scored
from core.runs.run import Trained, repeat
from core.runs.scorebook import Scorebook
from core.training.start import create
from core.training.training import StepEvent

RECIPE = Recipe(task="tiny", steps=4, batch_size=4, virtual_tokens=5, warmup=0, seed=3)
ITSELF, START, ORDER = "the run itself", "start of seed 4", "order of seed 4"


def events_of(lm, recipe=RECIPE, task=None, starts=1, orders=1):
    return list(meet(lm, task or answer_task(), recipe, Scorebook(), starts, orders))


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_starts_and_orders_are_changed_one_at_a_time(tiny):
    lm, task = tiny("llama"), answer_task()
    runs = plan(RECIPE, starts=2, orders=2)
    assert [(run.seed, run.rows_seed) for run in runs.values()] == [(3, 3), (4, 3), (5, 3), (3, 4), (3, 5)]
    assert runs[ITSELF] is RECIPE
    starts = [create(lm, task, run).snapshot() for run in runs.values()]
    same = [np.array_equal(start, starts[0]) for start in starts]
    assert same == [True, False, False, True, True]
    runs = plan(RECIPE.but(order_seed=2**31 - 1), starts=1, orders=1)  # a recipe's own order is kept
    assert [(run.seed, run.rows_seed) for run in runs.values()] == [(3, 2**31 - 1), (4, 2**31 - 1), (3, 0)]


@pytest.mark.parametrize("recipe", [RECIPE, RECIPE.but(method="prefix")], ids=["prompt", "prefix"])
def test_every_run_comes_with_its_steps_then_scores_then_every_pair(tiny, recipe):
    lm = tiny("llama")
    progress, *events = events_of(lm, recipe)
    learned, pairs = [event.contender for event in of(Trained, events)], of(Meeting, events)
    assert progress.total == len(learned) == 3 and [contender.name for contender in learned] == [ITSELF, START, ORDER]
    assert [event.step for event in of(StepEvent, events)] == [1, 2, 3, 4] * 3
    assert [event.score.name for event in of(Scored, events) if event.final] == [ITSELF, START, ORDER]
    assert [(pair.a, pair.b) for pair in pairs] == [(ITSELF, START), (ITSELF, ORDER), (START, ORDER)]
    assert [(pair.same_start, pair.same_order) for pair in pairs] == [(False, True), (True, False), (False, False)]
    *_, alone = repeat(lm, answer_task(), recipe, "alone")
    assert np.array_equal(learned[0].prefix.snapshot(), alone.contender.prefix.snapshot())  # the recipe itself, bit by bit
    assert len({contender.prefix.snapshot().tobytes() for contender in learned}) == 3


@pytest.mark.parametrize("arch, method", [("llama", "prompt"), ("gemma3", "prompt"), ("qwen3", "prefix")])
def test_a_pairs_cosines_are_those_of_its_vectors(tiny, arch, method):
    lm, task, recipe = tiny(arch), answer_task(), RECIPE.but(method=method)
    events = events_of(lm, recipe)
    runs = plan(recipe, 1, 1)
    starts = [torch.from_numpy(create(lm, task, run).snapshot()) for run in runs.values()]
    ends = [torch.from_numpy(event.contender.prefix.snapshot()) for event in of(Trained, events)]
    moved = [moved_at_random(start, end, draw) for draw, (start, end) in enumerate(zip(starts, ends, strict=True))]
    mean = lm.vocabulary.mean(dim=0).numpy() if method == "prompt" else None
    as_rows = METHODS[method].to_rows
    for pair, (a, b) in zip(of(Meeting, events), [(0, 1), (0, 2), (1, 2)], strict=True):
        found, of_starts, control = (
            match(as_rows(values[a].numpy()), as_rows(values[b].numpy()), mean) for values in (ends, starts, moved)
        )
        assert (pair.same_place, pair.matched) == pytest.approx((found.same_place.mean(), found.cosine.mean()))
        assert (pair.starts, pair.control) == pytest.approx((of_starts.cosine.mean(), control.cosine.mean()))


def test_runs_that_share_a_start_are_not_moved_the_same_way_in_the_control(tiny):
    pair = of(Meeting, events_of(tiny("llama"), RECIPE.but(learning_rate=1.0)))[1]
    assert pair.same_start and pair.starts == pytest.approx(1.0)
    assert pair.control < 0.7  # the same directions would give 1: both go about as far


@pytest.mark.parametrize("task", [answer_task(), label_task()], ids=["answers", "labels"])
def test_agreement_is_counted_row_by_row(tiny, task):
    events = events_of(tiny("llama"), RECIPE.but(steps=12, learning_rate=0.1), task)
    scores = {event.score.name: event.score for event in of(Scored, events) if event.final}
    for pair in of(Meeting, events):
        rows = list(zip(scores[pair.a].results, scores[pair.b].results, strict=True))
        assert all(x.input == y.input for x, y in rows) and len(rows) == len(task.held_out)
        assert pair.agreement == sum(x.said == y.said for x, y in rows) / len(rows)
        assert pair.both_right == sum(x.correct and y.correct for x, y in rows) / len(rows)
        assert pair.both_wrong == sum(not (x.correct or y.correct) for x, y in rows) / len(rows)
        assert (pair.accuracy_a, pair.accuracy_b) == (scores[pair.a].accuracy, scores[pair.b].accuracy)
        assert pair.both_right <= pair.agreement <= pair.both_right + pair.both_wrong + 1e-9


@pytest.mark.parametrize("starts, orders", [(0, 0), (-1, 2), (MOST + 1, 1), (1, MOST + 1)])
def test_numbers_of_runs_out_of_bounds_are_refused(starts, orders):
    with pytest.raises(LabError, match="choose 0 to 8 of each"):
        plan(RECIPE, starts, orders)


def test_other_starts_are_refused_where_the_seed_does_not_change_the_start(tiny):
    text = RECIPE.but(init="text", init_text="good and bad")
    with pytest.raises(LabError, match="whatever the seed"):
        next(meet(tiny("llama"), answer_task(), text, Scorebook(), starts=1, orders=1))
    assert next(meet(tiny("llama"), answer_task(), text, Scorebook(), starts=0, orders=1)) == Progress(2)
