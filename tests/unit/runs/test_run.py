"""A whole run: what comes in which order, which rows are used for what, how much time scoring takes, and how it ends."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import answer_task, label_task, make, soft_prompt

import core.scoring.row_results as scoring
from core.prefix import no_prefix
from core.recipe import Recipe
from core.runs.contest import Entered, Scored, baselines, common_rows
from core.runs.run import Finished, run
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import majority, score
from core.tasks.task import Example, Handcrafted
from core.training.training import StepEvent, Training

RECIPE = Recipe(steps=30, batch_size=4, virtual_tokens=4, warmup=0)


class Clock:
    """A clock that moves when the model trains or scores, and never else."""

    def __init__(self, monkeypatch, step: float, batch: float):
        self.now = self.training = self.scoring = 0.0
        advance, answer = Training.advance, scoring._answer_results

        def slow_advance(training, state, steps=1):
            self.now += step * steps
            self.training += step * steps
            return advance(training, state, steps)

        def slow_answer(*arguments):
            self.now += batch
            self.scoring += batch
            return answer(*arguments)

        monkeypatch.setattr(Training, "advance", slow_advance)
        monkeypatch.setattr(scoring, "_answer_results", slow_answer)

    def __call__(self) -> float:
        return self.now


def events_of(lm, task=None, recipe=RECIPE, **more):
    return [event for event in run(lm, task or answer_task(), recipe, **more) if event is not None]


def scores(events, part):
    return [event for event in events if isinstance(event, Scored) and event.part == part and event.final]


def test_steps_come_first_then_held_out_scores_then_the_end(lm):
    events = events_of(lm)
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert [event.step for event in steps] == list(range(1, 31))
    after_training = events[events.index(steps[-1]) + 1 :]
    assert not [event for event in events[: events.index(steps[-1])] if isinstance(event, Scored) and event.part == "held_out"]
    assert isinstance(events[-1], Finished) and sum(isinstance(event, Finished) for event in events) == 1
    held_out = scores(after_training, "held_out")
    assert [event.score.kind for event in held_out] == ["prompt", "none", "handcrafted", "handcrafted", "majority"]
    assert [event.score.name for event in held_out][0::4] == ["learned", "always 'yes'"]
    assert held_out[0].step == 30
    mine = [event for event in scores(events, "validation") if event.score.name == "learned"]
    assert mine[-1].step == 30  # the last validation is of the last step
    assert events[-1].state.step == 30 and events[-1].stopped == ""


@pytest.mark.parametrize("task", [answer_task(), label_task()], ids=["answers", "labels"])
def test_all_contenders_are_scored_once_on_the_held_out_rows_and_the_baselines_on_the_validation_rows(lm, task):
    events = events_of(lm, task, RECIPE.but(label_score="sum"))
    held_out = scores(events, "held_out")
    names = [event.score.name for event in held_out]
    extra = [event.contender.name for event in events if isinstance(event, Entered)]  # the best of them, calibrated
    assert len(extra) == bool(task.labels)
    assert len(names) == len(set(names)) == 1 + len(baselines(task)) + len(extra) + 1
    for event in held_out:
        assert [result.input for result in event.score.results] == [row.input for row in task.held_out]
        assert event.score.n == len(task.held_out)
    lines = [event for event in scores(events, "validation") if event.step is None]
    always = [majority(task, task.validation).name] if task.labels else []
    assert sorted(event.score.name for event in lines) == sorted([*(baseline.name for baseline in baselines(task)), *extra, *always])
    for event in lines:
        assert {result.input for result in event.score.results} <= {row.input for row in task.validation}


def test_what_is_reported_is_the_learned_prompt_scored_afresh(lm):
    task = answer_task()
    training = Training(lm, task, RECIPE)
    events = events_of(lm, task, training=training)
    learned = scores(events, "held_out")[0].score
    assert learned == score(lm, training.contender(), task.held_out)
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert np.array_equal(training.prefix.snapshot(), steps[-1].vectors)
    alone = Training(lm, task, RECIPE)
    whole, _ = alone.advance(alone.start(), 30)
    assert [event.loss for event in steps] == [event.loss for event in whole]  # scoring in between changes nothing


def test_large_held_out_sets_are_scored_in_pieces(lm):
    task = answer_task(held_out=tuple(Example(f"word {i}", "yes") for i in range(70)))
    events = events_of(lm, task, RECIPE.but(steps=2))
    held_out = [event.score for event in events if isinstance(event, Scored) and event.part == "held_out"]
    assert [score.n for score in held_out if score.name == "learned"] == [32, 64, 70]
    for _ in run(lm, task, RECIPE.but(steps=2)):  # between any two pieces another session may train
        assert not torch.is_inference_mode_enabled()


def test_validation_and_held_out_rows_are_never_trained_on(lm, monkeypatch):
    task = answer_task()
    training = Training(lm, task, RECIPE)
    loss, seen = training.loss, []
    monkeypatch.setattr(training, "loss", lambda rows, frame: seen.extend(row.example for row in rows) or loss(rows, frame))
    events_of(lm, task, training=training)
    assert len(seen) == 30 * 4
    assert set(seen) == set(task.train)  # all of these, and nothing else
    assert training.contender().excluded == {row.key for row in (*task.train, *task.validation)}


def test_a_row_that_is_in_a_prompt_counts_for_no_contender(lm):
    held_out = answer_task().held_out
    given_away = Handcrafted("cheat", f"{held_out[0].input} -> {held_out[0].output}\n{{input}} ->")
    task = answer_task(handcrafted=(given_away,))
    found = scores(events_of(lm, task, RECIPE.but(steps=1)), "held_out")
    assert {event.score.name for event in found} == {"learned", "no prompt", "cheat", "always 'yes'"}
    for event in found:
        assert [result.input for result in event.score.results] == [row.input for row in held_out[1:]], event.score.name


def test_common_rows_leave_out_what_any_contender_was_made_with():
    rows = answer_task().held_out
    a, b = (Contender("x", "handcrafted", "{input}", no_prefix(), excluded=frozenset({row.key})) for row in rows[:2])
    assert common_rows(rows, [a, b]) == list(rows[2:])
    assert common_rows(rows, []) == list(rows)


@pytest.mark.parametrize("batch", [0.01, 0.3, 1.0, 4.0])
def test_scoring_along_the_way_takes_at_most_15_percent_of_the_time(lm, monkeypatch, batch):
    clock = Clock(monkeypatch, step=1.0, batch=batch)
    scored = 0
    for event in run(lm, answer_task(), RECIPE.but(steps=120), clock=clock):
        if isinstance(event, StepEvent):
            # The first scoring may cost more than it was taken to cost; this is paid off before the next.
            one_too_dear = max(0.0, batch - 1.0)
            assert clock.scoring <= 0.15 * clock.now + one_too_dear
            if event.step == 120:
                assert clock.scoring <= 0.15 * clock.now
                break
        scored += isinstance(event, Scored)
    assert scored >= 5  # and not by never scoring at all


def test_cheap_scoring_follows_every_step(lm, monkeypatch):
    clock = Clock(monkeypatch, step=1.0, batch=0.01)
    events = events_of(lm, clock=clock)
    mine = [event.step for event in scores(events, "validation") if event.score.name == "learned"]
    assert len(mine) >= 20


def test_the_seconds_reported_are_of_training_alone(lm, monkeypatch):
    clock = Clock(monkeypatch, step=2.0, batch=50.0)
    assert events_of(lm, clock=clock)[-1].seconds == 60.0


def test_what_the_book_knows_is_shown_at_once_and_only_the_learned_prompt_is_scored_again(lm, monkeypatch):
    task, book = answer_task(), Scorebook()
    first = events_of(lm, task, book=book)
    clock = Clock(monkeypatch, step=0.0, batch=1.0)
    again = events_of(lm, task, book=book, clock=clock)
    first_steps = again[: 1 + len(baselines(task))]
    assert isinstance(first_steps[0], StepEvent)
    assert all(isinstance(event, Scored) and event.step is None for event in first_steps[1:])
    before, second = scores(first, "held_out"), scores(again, "held_out")
    assert [event.score for event in before] == [event.score for event in second]
    assert len([event for event in second if event.score.name == "learned"]) == 1 and clock.scoring >= 1


def test_stopping_ends_training_and_scores_what_was_learned(lm):
    asked = iter([False] * 7 + [True] * 99)
    events = events_of(lm, stopping=lambda: next(asked))
    assert sum(isinstance(event, StepEvent) for event in events) == 7
    assert events[-1].stopped == "stopped by hand after step 7" and events[-1].state.step == 7
    learned = scores(events, "held_out")[0]
    assert learned.score.name == "learned" and learned.step == 7


def test_going_on_after_a_stop_gives_the_unbroken_run(lm):
    whole = events_of(lm)
    first = events_of(lm, stopping=iter([False] * 12 + [True] * 99).__next__)
    state = first[-1].state
    assert state.step == 12
    second = events_of(lm, state=state)
    steps = [event for event in first + second if isinstance(event, StepEvent)]
    assert [event.step for event in steps] == list(range(1, 31))
    assert [event.loss for event in steps] == [event.loss for event in whole if isinstance(event, StepEvent)]
    assert scores(second, "held_out")[0].score == scores(whole, "held_out")[0].score


def test_a_run_that_breaks_reports_its_last_good_vectors(lm, monkeypatch):
    training = Training(lm, answer_task(), RECIPE)
    loss, left = training.loss, iter([1.0] * 5 + [float("nan")] * 99)
    monkeypatch.setattr(training, "loss", lambda rows, frame: loss(rows, frame) * next(left))
    events = events_of(lm, training=training)
    steps = [event for event in events if isinstance(event, StepEvent)]
    assert len(steps) == 6 and "no longer a number" in events[-1].stopped
    learned = scores(events, "held_out")[0].score
    assert np.isfinite(learned.loss)
    good = replace(training.contender(), prefix=soft_prompt(torch.from_numpy(steps[3].vectors)))
    assert learned == score(lm, good, answer_task().held_out)


def test_a_task_without_validation_rows_still_runs(lm):
    task = answer_task()
    events = events_of(lm, answer_task(train=task.train + task.validation, validation=()))
    assert not scores(events, "validation") and len(scores(events, "held_out")) == 5


CHAT = "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n{% endfor %}<|assistant|>\n"


def test_a_task_of_ones_own_is_compared_with_a_chat_and_with_the_calibrated_best_of_the_validation_rows():
    lm, task = make("llama"), label_task()
    lm.tokenizer.chat_template = CHAT
    try:
        events = events_of(lm, task, RECIPE.but(label_score="sum"))
        entered = {event.contender.name: event.contender for event in events if isinstance(event, Entered)}
        lines = {event.score.name: event.score for event in scores(events, "validation") if event.step is None}
        held_out = {event.score.name for event in scores(events, "held_out")}
        instruction = task.handcrafted[0]
        assert entered[f"{instruction.name}, as a chat"].template == f"<|user|>\n{instruction.template}\n<|assistant|>"
        (calibrated,) = [one for one in entered.values() if one.offsets]
        best = max(
            (score for score in lines.values() if score.name in {one.name for one in baselines(task)} | {*entered} - {calibrated.name}),
            key=lambda s: s.accuracy,
        )
        assert lines[calibrated.name.removesuffix(", calibrated")].accuracy == best.accuracy
        assert set(entered) < held_out and set(entered) < set(lines)
        built_in = replace(task, slug="news")
        assert not [event for event in events_of(lm, built_in) if isinstance(event, Entered)]
        # Where all are calibrated, none is twice.
        assert [
            event.contender.offsets for event in events_of(lm, task, RECIPE.but(label_score="calibrated")) if isinstance(event, Entered)
        ] == [()]
    finally:
        lm.tokenizer.chat_template = None  # all tiny models share it
