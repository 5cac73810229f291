"""Wayward prompts: what a prompt reads as is read off rightly, nothing but validation chooses, and nonsense is refused first."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, label_task, soft_prompt

from core.errors import LabError
from core.inspection.control import moved_at_random
from core.probes.wayward import GAMMAS, Wayward, choose, look, plan, sweep
from core.recipe import Recipe
from core.runs.contest import Scored, baselines
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.training.start import create
from core.training.training import StepEvent, text_embeddings

SENTENCE = "good and bad"
RECIPE = Recipe(task="tiny", steps=4, batch_size=4, learning_rate=0.01, warmup=0, seed=3)


def scored(accuracy: float) -> Score:
    return Score("x", "prompt", accuracy, (0.0, 1.0), 0.0, 4, 0.0, 0.0, 0, 0)


def made(lm, vectors, accuracy=0.5, gamma=0.0) -> Wayward:
    contender = Contender("x", "prompt", "{input}", soft_prompt(vectors))
    return look(lm, contender, lm.tokenise(SENTENCE), gamma, "sentence", scored(accuracy), 4)


def events_of(lm, task=None, sentence=SENTENCE, gammas=(0.0, 1.0), recipe=RECIPE):
    return list(sweep(lm, task or answer_task(), recipe, sentence, gammas, Scorebook()))


def held_out(events) -> dict[str, Score]:
    return {event.score.name: event.score for event in events if isinstance(event, Scored) and event.final}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_sentences_own_embeddings_read_as_it_at_no_distance(tiny, arch):
    lm = tiny(arch)
    found = made(lm, text_embeddings(lm, SENTENCE))
    count = len(lm.tokenise(SENTENCE))
    assert found.reads and (found.kept, found.by_l2, found.distance) == (count, count, 0.0)
    assert found.text == SENTENCE == "".join(found.tokens) and len(found.tokens) == count


def test_one_vector_elsewhere_no_longer_reads_and_its_distance_is_shared_by_all(tiny):
    lm = tiny("llama")
    vectors, other = text_embeddings(lm, SENTENCE).clone(), lm.tokenise("z")[0]
    gap = (vectors[1] - lm.vocabulary[other]).square().sum()
    vectors[1] = lm.vocabulary[other]
    found = made(lm, vectors)
    assert not found.reads and found.kept == found.by_l2 == len(vectors) - 1
    assert found.tokens[1] == "z" and found.distance == pytest.approx(float(gap) / len(vectors), rel=1e-5)
    found = made(lm, 0.05 * text_embeddings(lm, SENTENCE))  # the sentence's directions, nearest to the shortest tokens
    assert found.reads and found.by_l2 < found.kept


def test_the_best_that_reads_is_chosen_and_of_equals_the_nearest(tiny):
    lm = tiny("llama")
    exact = text_embeddings(lm, SENTENCE)
    poor, near, far = made(lm, exact, 0.2), made(lm, 1.01 * exact, 0.6), made(lm, 1.1 * exact, 0.6)
    unread = made(lm, exact.flip(0), 0.9)
    assert choose([poor, far, unread, near]) is near
    assert choose([unread]) is None and choose([]) is None


def test_every_run_comes_with_its_steps_and_starts_where_it_says(tiny):
    lm, task = tiny("llama"), answer_task()
    progress, *events = events_of(lm, task)
    runs = [event for event in events if isinstance(event, Wayward)]
    assert progress.total == len(runs) == 4
    assert [(run.start, run.gamma) for run in runs] == [("sentence", 0.0), ("sentence", 1.0), ("elsewhere", 1.0), ("free", 0.0)]
    assert [event.step for event in events if isinstance(event, StepEvent)] == [1, 2, 3, 4] * 4
    assert {run.step for run in runs} == {4} and len({run.contender.name for run in runs}) == 4
    assert [run.score.n for run in runs] == [len(task.validation)] * 4
    planned = [recipe for _, recipe in plan(lm, task, RECIPE, SENTENCE, (0.0, 1.0))]
    starts = [create(lm, task, recipe).snapshot() for recipe in planned]
    assert np.array_equal(starts[0], text_embeddings(lm, SENTENCE)) and np.array_equal(starts[0], starts[1])
    assert np.array_equal(starts[2], starts[3]) and not np.array_equal(starts[0], starts[2])
    assert [recipe.pull for recipe in planned] == [0.0, 1.0, 1.0, 0.0] and len({recipe.virtual_tokens for recipe in planned}) == 1


def test_the_chosen_run_its_control_the_free_one_and_the_sentence_meet_the_rivals_on_held_out_rows(tiny):
    lm, task = tiny("llama"), answer_task()
    events = events_of(lm, task)
    chosen = choose([event for event in events if isinstance(event, Wayward)][:-1])
    scores = held_out(events)
    control = f"control 1: {chosen.contender.name} moved at random"
    assert list(scores) == [chosen.contender.name, control, "never pulled", "the sentence itself", *(r.name for r in baselines(task))]
    assert len({score.n for score in scores.values()}) == 1
    assert {score.name for score in scores.values() if score.kind == "prompt" and score.examples == 0} == {control, "the sentence itself"}


def test_the_control_of_a_run_from_elsewhere_starts_elsewhere(tiny, monkeypatch):
    from core.probes import wayward

    lm, task, seen = tiny("llama"), answer_task(), []
    monkeypatch.setattr(wayward, "choose", lambda runs: next(run for run in runs if run.start == "elsewhere"))
    keep = wayward.contest
    monkeypatch.setattr(wayward, "contest", lambda lm, task, found, *rest: seen.extend(found) or keep(lm, task, found, *rest))
    events_of(lm, task)
    far = dict(plan(lm, task, RECIPE, SENTENCE, (0.0, 1.0)))["elsewhere"]
    start = torch.from_numpy(create(lm, task, far).snapshot())
    learned, control = (torch.from_numpy(contender.prefix.snapshot()) for contender in seen[:2])
    assert torch.equal(control, moved_at_random(start, learned))


def test_weights_are_tried_once_each_and_label_tasks_too(tiny):
    events = events_of(tiny("gpt2"), label_task(), gammas=(2.0, 0.5, 2.0))
    runs = [event for event in events if isinstance(event, Wayward)]
    assert [(run.start, run.gamma) for run in runs][:4] == [("sentence", 0.5), ("sentence", 2.0), ("elsewhere", 0.5), ("elsewhere", 2.0)]
    assert events[0].total == len(runs) == 5
    events = events_of(tiny("llama"), recipe=RECIPE.but(learning_rate=10.0), gammas=(0.0,))
    assert not any(event.reads for event in events if isinstance(event, Wayward))
    assert list(held_out(events))[:2] == ["never pulled", "the sentence itself"]  # where no run reads as the sentence


@pytest.mark.parametrize("arch", ["llama", "gemma3"])
def test_a_harder_pull_ends_nearer_to_the_sentence(tiny, arch):
    recipe = RECIPE.but(steps=30, learning_rate=0.1)
    runs = [event for event in events_of(tiny(arch), gammas=(0.0, 0.1, 10.0), recipe=recipe) if isinstance(event, Wayward)]
    near, far = ([run.distance for run in runs if run.start == start] for start in ("sentence", "elsewhere"))
    assert near == sorted(near, reverse=True) and far == sorted(far, reverse=True)
    assert max(far) < runs[-1].distance  # never pulled


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"sentence": " \n"}, "no sentence"),
        ({"sentence": "z " * 40}, "80 tokens, more than 60"),
        ({"recipe": Recipe(method="prefix")}, "has no nearest tokens"),
        ({"task": replace(answer_task(), validation=())}, "no validation rows"),
        ({"gammas": ()}, "no weight"),
        ({"gammas": (0.1, -1.0)}, "pull is -1"),
        ({"gammas": (float("nan"),)}, "pull is nan"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_is_trained(tiny, changes, sentence):
    arguments = {"task": answer_task(), "recipe": RECIPE, "sentence": SENTENCE, "gammas": GAMMAS} | changes
    with pytest.raises(LabError, match=sentence):
        next(sweep(tiny("llama"), book=Scorebook(), **arguments))
