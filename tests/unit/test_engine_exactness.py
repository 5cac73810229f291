"""Runs of many sessions at once give what each gives alone."""

import numpy as np
from timed_engine import until
from tiny_models import answer_task, label_task, make

from core.engine import Engine
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.runs.run import run
from core.training.training import StepEvent

RUNS = [
    (task, Recipe(steps=6, batch_size=4, virtual_tokens=3, seed=seed, **more))
    for task, seed, more in [
        (answer_task(), 0, {}),
        (answer_task(), 1, {"init": "random"}),
        (answer_task(), 2, {"method": "prefix"}),
        (answer_task(), 3, {"method": "prefix", "mlp": 8, "init": "random"}),
        (label_task(), 4, {}),
        (label_task(), 5, {"loss": "labels"}),
        (label_task(), 6, {"method": "prefix", "loss": "labels"}),
        (answer_task(), 7, {"schedule": "cosine", "clip": 1.0, "weight_decay": 0.01}),
    ]
]


def told(events):
    """Losses, vectors and held-out scores of a run's events."""
    steps = [event for event in events if isinstance(event, StepEvent)]
    last = [event.score for event in events if getattr(event, "part", "") == "held_out" and event.final]
    return [step.loss for step in steps], [step.vectors for step in steps], [(s.name, s.accuracy, s.loss) for s in last]


def test_eight_sessions_at_once_get_what_each_would_get_alone_bit_for_bit():
    lm = make("llama")
    before = hash_weights(lm.model)
    alone = [told(list(run(lm, task, recipe))) for task, recipe in RUNS]
    engine = Engine(lambda: lm)
    kept: list[list] = [[] for _ in RUNS]

    def job(number):
        task, recipe = RUNS[number]

        def pieces(lm, ticket):
            for event in run(lm, task, recipe):
                kept[number].append(event)
                yield event

        return pieces

    tickets = [engine.submit(f"session {number}", job(number)) for number in range(len(RUNS))]
    until(lambda: all(ticket.over for ticket in tickets))
    assert [ticket.status for ticket in tickets] == ["done"] * len(RUNS)
    for events, (losses, vectors, scores) in zip(kept, alone, strict=True):
        own_losses, own_vectors, own_scores = told(events)
        assert own_losses == losses and len(losses) == 6 and own_scores == scores
        assert all(np.array_equal(a, b) for a, b in zip(own_vectors, vectors, strict=True))
    assert hash_weights(lm.model) == before
