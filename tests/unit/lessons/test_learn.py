"""The Learn page: texts that fit what is measured, outcomes by their tests, shared results, progress that a browser keeps."""

import asyncio
import re
import string
import time
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from app.lessons import EXPERIMENTS, Experiment
from app.lessons.races import outcome
from app.pages.calculator import FIELDS, Calculator
from app.pages.learn import LearnPage
from app.panels.findings import Findings, Shelf
from app.sessions.session import Session
from app.view import lesson, sizes
from app.view.lesson import LESSONS, ORDER, Outcome, Progress, lessons, versus
from core import events
from core.models.sizes import Shape
from core.scoring.measures import wilson
from core.scoring.row_results import RowResult
from core.scoring.score import Score

PARTS = [part for one in lessons() for part in one.parts]
HOSTILE = "<img src=x onerror=alert(1)>"


def a_score(hits):
    results = tuple(RowResult(f"row {number}", "yes", hit, hit, 0.5, 1, "yes") for number, hit in enumerate(hits))
    return Score("x", "prompt", sum(hits) / len(hits), wilson(sum(hits), len(hits)), 0.5, len(hits), None, 0.5, 3, 10, results)


@pytest.fixture
def small(monkeypatch):
    """Built-in tasks with few rows, and short texts where a prompt is read: what is tested here is no score."""
    whole = Experiment.task
    for name in ("readings.HEARD_TOKENS", "readings.DESCRIBED_TOKENS", "behaviour.ANSWER_TOKENS", "scoreboard.ANSWER_TOKENS"):
        monkeypatch.setattr(f"core.truths.{name}", 1)

    def task(settings):
        full = whole(settings)
        return replace(full, train=full.train[:30], validation=full.validation[:4], held_out=full.held_out[:9])

    monkeypatch.setattr(Experiment, "task", staticmethod(task))


def short(settings):
    """The same experiment in a few steps."""
    recipe = {**settings.get("recipe", {}), "steps": 2, "batch_size": 2}
    return {**settings, "recipe": recipe}


def done(experiment, lm, settings):
    findings = Findings()
    for event in experiment.job(lm, settings, SimpleNamespace(stopping=SimpleNamespace(is_set=lambda: False))):
        if event is not None:
            findings.take(event)
            if findings.done in (1, 4):
                experiment.view(settings, findings)  # at any moment
    findings.complete = True
    return findings


def test_every_lesson_is_there_and_says_all_that_a_part_needs():
    assert [one.id for one in lessons()] == list(ORDER) == [name for name in ORDER if (LESSONS / f"{name}.json").is_file()]
    names = {kind.name for kind in EXPERIMENTS}
    for part in PARTS:
        assert part.run in names
        assert part.text and part.why and part.question and len(part.choices) >= 2
        assert set(part.choices) <= set(part.outcomes), "what can be bet on can happen"
        assert set(part.because) <= set(part.outcomes)
        for text in (*part.text, *part.why, *part.because.values(), *part.outcomes.values()):
            assert set(re.findall(r"</?(\w+)", text)) <= {"em", "b", "q", "sub", "a"}


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key)
def test_every_part_runs_on_any_model_and_its_texts_are_filled_in(lab, small, part):
    experiment = next(kind for kind in EXPERIMENTS if kind.name == part.run)(lab, Shelf())
    settings = short(part.settings)
    findings = done(experiment, lab.engine.lm, settings)
    outcome = experiment.outcome(settings, findings)
    assert outcome.name in part.outcomes
    for text in (*part.outcomes.values(), *part.because.values(), *part.why):
        assert {name for _, name, _, _ in string.Formatter().parse(text) if name} <= set(outcome.values)
    assert lesson.verdict(part, next(iter(part.choices)), outcome)
    view = experiment.view(settings, findings)
    assert view.html or view.figure
    assert experiment.key(settings) != experiment.key(part.settings)


def test_a_difference_counts_only_beyond_chance():
    def rows(right):
        return a_score([number < right for number in range(40)])

    assert versus(rows(38), rows(10)) == "ahead" and versus(rows(10), rows(38)) == "behind"
    assert versus(rows(20), rows(21)) == "tie"
    race = {"entries": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "ask": "last"}
    assert outcome(race, {"a": rows(38), "b": rows(5), "c": rows(37)}) == "b"
    assert outcome(race, {"a": rows(38), "b": rows(5), "c": rows(6)}) == "tie"
    assert outcome({**race, "ask": "first"}, {"a": rows(38), "b": rows(5), "c": rows(6)}) == "a"
    assert outcome({**race, "ask": "against", "of": "b"}, {"a": rows(38), "b": rows(5), "c": rows(6)}) == "behind"


def test_progress_survives_the_browser_and_nothing_else_does():
    mine = Progress()
    part = PARTS[0]
    first = next(iter(part.choices))
    mine.bets[part.key], mine.done[part.key] = first, first
    assert mine.go("starts", 2)
    again = Progress()
    again.take(mine.to_json())
    assert (again.at, again.bets, again.done) == (mine.at, mine.bets, mine.done)
    wrong = (
        None, 3, "", "[", "[" * 9000, "[]", '{"at": [1]}', '{"at": ["starts", true]}', '{"at": [{}, 1e9]}', '{"bets": [1], "done": 5}',
        '{"bets": {"vectors/0": "<b>", "x": "few"}, "done": {"vectors/0": "few"}}', "x" * 10**6,
    )  # fmt: skip
    for text in wrong:
        fresh = Progress()
        fresh.take(text)
        assert fresh.bets == {} and fresh.done == {} and fresh.lesson
    assert not Progress().go("nothing") and not Progress().go(["starts"])


def test_a_verdict_says_what_was_said_and_what_happened():
    part = PARTS[0]
    outcome = Outcome("few", {"none": "0 %", "name": "&lt;b&gt;", "instruction": "17 %", "n": "103"})
    said = lesson.verdict(part, "few", outcome)
    assert "As you predicted" in said and "17 %" in said and part.choices["few"] in said
    assert "Surprise!" in lesson.verdict(part, "most", outcome)


def made_page(lab, monkeypatch, runs):
    """A Learn page outside of Gradio whose first part is a quick experiment that counts its runs."""
    with gr.Blocks():
        page = LearnPage(lab)
    part = PARTS[0]
    experiment = page.experiments[part.run]

    def job(lm, settings, ticket):
        runs.append(1)
        yield events.Progress(40)
        for _ in range(40):
            yield events.Finding(a_score([False] * 9))
            time.sleep(0.005)

    monkeypatch.setattr(experiment, "job", job)
    values = dict.fromkeys(("none", "name", "instruction", "n"), "")
    monkeypatch.setattr(experiment, "outcome", lambda settings, findings: Outcome("few", values))
    return page, part


async def finish(page, session, bet="few"):
    return [painted async for painted in page.run(session, bet)][-1]


def test_a_class_that_presses_at_once_is_served_by_one_run(lab, monkeypatch):
    runs = []
    page, part = made_page(lab, monkeypatch, runs)
    class_ = [Session() for _ in range(9)]

    async def all_sessions():
        await asyncio.gather(*(finish(page, session) for session in class_))

    asyncio.run(all_sessions())
    assert len(runs) == 1
    assert all(session.learn.done == {part.key: "few"} and session.learn.running is None for session in class_)
    late = Session()
    painted = asyncio.run(finish(page, late))
    assert len(runs) == 1 and "computed earlier" in painted[page.state]
    asyncio.run(finish(page, late))  # run again
    assert len(runs) == 2 and not page.going
    for by, number in ((1, 1), (-1, 0), (-1, 0)):
        assert page.reading in page.move_by(by, late) and late.learn.part.number == number


def test_nothing_is_shown_before_a_bet_and_a_run_goes_on_when_its_page_left(lab, monkeypatch):
    runs = []
    page, part = made_page(lab, monkeypatch, runs)
    shy = Session()
    painted = asyncio.run(finish(page, shy, None))
    assert runs == [] and "Make a prediction first" in painted[page.message]

    async def leaving():
        owner, watcher = Session(), Session()
        first = asyncio.create_task(finish(page, owner))
        while not page.going:
            await asyncio.sleep(0.005)
        second = asyncio.create_task(finish(page, watcher))
        await asyncio.sleep(0.05)
        page.stop(owner)
        await asyncio.gather(first, second)
        return owner, watcher

    owner, watcher = asyncio.run(leaving())
    assert owner.learn.done == {} and watcher.learn.done == {part.key: "few"}
    assert len(runs) == 2
    assert page.paint(Session())[page.verdict] == "", "another session has done it; this one has not bet yet"


def test_the_calculator_gives_the_known_table_and_takes_nothing_wrong(lab):
    with gr.Blocks():
        calculator = Calculator(lab)
    values = [value for _, value, _ in FIELDS.values()]
    counted = calculator.count(*values)
    assert counted[calculator.message] == ""
    for known in ("40,960", "81,920", "204,800", "409,600", "2,621,440", "4,194,304"):
        assert known in counted[calculator.table]
    for wrong in (None, "x", float("nan"), 1e308, -1, 0, 1.5, True, [], {}):
        assert "whole number" in calculator.count(*[wrong] * len(values))[calculator.message]
    assert calculator.choose("the loaded model", *values)[calculator.fields["d_model"]] == 32
    assert calculator.choose("GPT-2 (124M)", *values)[calculator.fields["d_model"]] == 768


def test_drawings_hold_no_markup_of_a_models_name():
    shape = Shape(32, 2, 4, 2, 8, 1000)
    assert "<img" not in sizes.diagram(shape, 10, HOSTILE)
    assert "[10, 32]: 320 trained parameters" in sizes.diagram(shape, 10, "x")
