"""A recording is what it says: its run, begun again, goes the same way, and its vectors get the same answers right."""

import numpy as np
import pytest

from core.prefix import prefix_of
from core.runs.recordings import recorded, recordings
from core.scoring.contender import Contender
from core.scoring.score import score
from core.tasks.load import load_task
from core.training.training import Training

pytestmark = pytest.mark.real
STEPS = 4


def test_the_first_recordings_numbers_are_found_again(real):
    first = recordings()[0]
    record, task = recorded(first.slug), load_task(first.recipe.task)
    assert record.base["weights"] == real.weights_hash
    training = Training(real, task, first.recipe)
    state = training.start()
    np.testing.assert_array_equal(training.prefix.snapshot(), record.vectors[0])
    events, _ = training.advance(state, STEPS)
    losses = [event.loss for event in events]
    assert losses[0] == pytest.approx(record.losses[0], rel=1e-4)  # before anything has moved
    # Adam's first steps follow the gradient's signs: what another number of threads rounds differently moves a vector at full rate.
    assert losses == pytest.approx(record.losses[:STEPS], rel=0.05)
    learned = Contender("learned", "prompt", task.template, prefix_of(record.method, record.vectors[-1]))
    again, told = score(real, learned, task.held_out), record.scores[0]
    assert told.name == "learned" and again.n == told.n
    assert again.accuracy == pytest.approx(told.accuracy, abs=1.5 / again.n)  # a row on the edge may fall over
    assert again.loss == pytest.approx(told.loss, rel=0.01)
