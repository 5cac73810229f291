"""Training to the end, and comparing the steps of two runs."""

import numpy as np
from tiny_models import answer_task

from core.training.training import Training


def train(lm, recipe, task=None):
    training = Training(lm, task or answer_task(), recipe)
    return training.advance(training.start(), recipe.steps)


def assert_same_steps(found, wanted):
    assert [(event.loss, event.learning_rate) for event in found] == [(event.loss, event.learning_rate) for event in wanted]
    assert all(np.array_equal(a.vectors, b.vectors) for a, b in zip(found, wanted, strict=True))
