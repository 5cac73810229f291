"""Keeping the step with the best validation score: what is chosen, by which rows, and what is said of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task

from app.view.code import python
from app.view.progress import progress
from core.errors import LabError
from core.recipe import Recipe
from core.runs.contest import Scored
from core.runs.record_json import record_from_json, record_to_json
from core.runs.run import Finished, Trained, repeat, run
from core.runs.trained_run import train
from core.scoring.score import majority, score
from core.training.keep import Keeper, check_every
from core.training.training import Training

RECIPE = Recipe(keep="best", steps=20, batch_size=4, virtual_tokens=3, warmup=0)


def overfitting():
    """Training teaches "yes" where validation rows want "no": the longer, the worse."""
    task = answer_task()
    return replace(task, validation=tuple(replace(row, output="no") for row in task.validation))


def scored(accuracy, loss=1.0):
    task = answer_task()
    return replace(majority(task, task.validation), accuracy=accuracy, loss=loss)


def test_the_best_accuracy_is_kept_then_the_lower_loss_then_the_earlier_step(lm):
    task = answer_task()
    training = Training(lm, task, RECIPE)
    state = training.start()
    for offers, kept in (
        ([(0.2, 1.0), (0.9, 5.0), (0.5, 0.1)], 2),
        ([(0.9, 5.0), (0.9, 4.0), (0.9, 4.0)], 2),
        ([(0.9, float("nan")), (0.9, 7.0)], 2),
        ([(0.9, None), (0.1, 0.0)], 1),
    ):
        keeper = Keeper(task, RECIPE)
        for step, (accuracy, loss) in enumerate(offers, 1):
            keeper.offer(replace(state, step=step), scored(accuracy, loss))
        assert keeper.chosen(state).step == kept
    last = Keeper(task, RECIPE.but(keep="last"))
    last.offer(replace(state, step=3), scored(1.0))
    assert last.chosen(state) is state and last.every == 0


def test_a_run_ends_with_the_vectors_of_its_best_validation_step(lm):
    task = overfitting()
    training = Training(lm, task, RECIPE)
    events = [event for event in run(lm, task, RECIPE, training=training) if event is not None]
    mine = {event.step: event.score for event in events if isinstance(event, Scored) and event.part == "validation" and event.step}
    assert list(mine) == list(range(2, 21, 2)) and check_every(RECIPE) == 2
    best = max(mine, key=lambda step: (mine[step].accuracy, -mine[step].loss))
    finished = next(event for event in events if isinstance(event, Finished))
    assert finished.kept == best != 20, "choose a recipe whose last step is not its best"
    wanted = Training(lm, task, RECIPE.but(keep="last"))
    _, state = wanted.advance(wanted.start(), best)
    wanted.show(state)
    assert np.array_equal(training.prefix.snapshot(), wanted.prefix.snapshot())
    held_out = next(
        event for event in events if isinstance(event, Scored) and event.part == "held_out" and event.score.learned and event.final
    )
    assert held_out.score.loss == score(lm, wanted.contender(), task.held_out, None).loss and held_out.step == best


def test_held_out_rows_do_not_choose(lm):
    task = overfitting()
    changed = replace(task, held_out=tuple(replace(row, output="no") for row in task.held_out))
    ends = [train(lm, one, RECIPE, progress=False).record for one in (task, changed)]
    assert ends[0].kept == ends[1].kept and np.array_equal(ends[0].final_vectors(), ends[1].final_vectors())


def test_runs_beside_it_choose_the_same(lm):
    task = overfitting()
    *_, last = repeat(lm, task, RECIPE, "again")
    assert isinstance(last, Trained)
    record = train(lm, task, RECIPE, progress=False).record
    assert np.array_equal(last.contender.prefix.snapshot(), record.final_vectors())


def test_the_page_the_file_and_the_code_say_which_step(lm):
    task = overfitting()
    record = train(lm, task, RECIPE, progress=False).record
    assert f"Kept: the vectors of step {record.kept}, which validation rows chose." in progress(record, "done", 0, None)
    assert record_from_json(record_to_json(record)).kept == record.kept
    earlier = json.loads(record_to_json(record))
    del earlier["kept"], earlier["recipe"]["keep"]
    assert record_from_json(json.dumps(earlier)).kept is None
    assert record.newest_scores[0] == record.validation[record.kept]
    made = python(task, RECIPE)
    compile(made, "made", "exec")
    assert "keep='best'" in made and "train(lm, task, recipe)" in made
    usual = train(lm, task, RECIPE.but(keep="last", steps=2), progress=False).record
    assert usual.kept == 2 and "Kept" not in progress(usual, "done", 0, None)


def test_without_validation_rows_it_is_one_sentence_before_training(lm):
    with pytest.raises(LabError, match="has no validation rows to choose a step by: keep the last step"):
        train(lm, answer_task(validation=()), RECIPE, progress=False)
