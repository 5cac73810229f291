"""What panels share: where an experiment is, whose findings it may show again, and what a stop leaves."""

import asyncio
import time
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest
from made_up import a_score
from panel_cases import trained
from tiny_models import answer_task

from app.panels.findings import Findings, Shelf, by_steps
from app.panels.look import Look, View, fingerprint
from app.panels.panel import SLOTS, Panel
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view.html import Html
from core.errors import LabError
from core.events import Done, Finding, Progress
from core.prefix import prefix_of
from core.recipe import Recipe
from core.runs.contest import Scored
from core.runs.record import new_record
from core.runs.saved_adapter import Learned
from core.training.training import StepEvent

HOSTILE = "<b>x</b>"


@pytest.fixture(scope="module")
def runs(lab):
    """Three runs of other vectors."""
    return [trained(lab, name=f"run {seed}: {HOSTILE}", seed=seed) for seed in (1, 2, 3)]


class Fake(Panel):
    """An experiment of two findings that counts how often it is done, and may be told to wait or to fail."""

    name, title, sees, doubt, button = "fake", "t", "s", "d", "Go"

    def __init__(self, lab, shelf=None):
        super().__init__(lab, shelf or Shelf())
        self.done, self.waiting, self.failing = 0, False, ""
        with gr.Blocks():
            self.build()

    def make_settings(self):
        return {"how": gr.Textbox("plain")}

    def job(self, lm, look, ticket):
        self.done += 1
        if self.failing:
            raise LabError(self.failing)
        yield Progress(2)
        yield Finding(f"{self.done} of {look.run.name}")
        while self.waiting:
            time.sleep(0.001)
            yield None
        yield Finding("second")

    def view(self, look, findings):
        return View(Html.escape(" and ".join(findings.items) if findings else "nothing yet"))


def press(panel, session, runs):
    """Press the button and follow it to its end: all that was painted."""

    async def follow():
        return [painted async for painted in panel.run(session, runs)]

    return asyncio.run(follow())


def press_and_stop(panel, session, runs):
    """Press it, and stop it as soon as there is a finding."""
    panel.waiting = True

    async def follow():
        painted = []
        async for values in panel.run(session, runs):
            painted.append(values)
            found = panel.known(panel.look(session, runs[0], runs))
            if found and found.items:
                panel.stop(session)
        return painted

    painted = asyncio.run(follow())
    panel.waiting = False
    return painted


def part(panel, painted, what):
    """What was painted of a panel's message, columns, texts or plots."""
    wanted = getattr(panel, what)
    return [painted[component] for component in wanted] if isinstance(wanted, list) else painted[wanted]


# --- where an experiment is -------------------------------------------------------------------------------------------------


def test_findings_say_how_many_and_how_long():
    found = Findings()
    assert found.words() == "Working …"
    found.take(Progress(8))
    assert found.words() == "Working …" and found.total == 8
    found.take("a")
    found.take("b")
    found.began = time.monotonic() - 10
    assert found.words() == "2 of 8, about 30 s left"
    found.began = time.monotonic()
    assert found.words() == "2 of 8"
    found.take(Progress(99))  # a later number is none of theirs
    assert (found.total, found.done, found.items) == (8, 2, ["a", "b"])
    found.complete = True
    assert found.words() == ""


def test_findings_that_nobody_follows_wait_for_nothing():
    found = Findings(total=8, done=3, running=False)
    found.began -= 1000
    assert found.words() == "Stopped after 3 of 8."
    assert Findings(running=False).words() == Findings(total=2, done=5, running=False).words() == "Stopped before its end."
    assert Findings(total=2, done=5).words() == "Working …"  # more than was foretold: no time is known


def test_steps_of_training_are_counted_and_their_vectors_let_go():
    steps = [StepEvent(n, 1.0, 1.0, 0.1, np.ones((2, 4), np.float32), "") for n in (1, 2)]
    part, whole = (Scored("held_out", replace(a_score("x", "10"), final=final)) for final in (False, True))
    found = Findings()
    events = [event for event in by_steps([Progress(2), *steps, "run one", *steps, "run two", None, part, whole], 2) if event is not None]
    for event in events:
        found.take(event)
    assert found.total == 6 and found.items == ["run one", "run two", whole]
    assert found.done == 7  # four steps, two runs, and what came beyond them
    assert not any(isinstance(item, StepEvent | Done) for item in found.items)


def test_the_least_recently_asked_for_leaves_the_shelf():
    shelf, (a, b, c) = Shelf(most=2), (Findings(total=n) for n in range(3))
    shelf.put(("a",), a)
    shelf.put(("b",), b)
    assert shelf.get(("a",)) is a
    shelf.put(("c",), c)
    assert shelf.get(("b",)) is None and shelf.get(("a",)) is a and shelf.get(("c",)) is c


# --- what an experiment depends on ------------------------------------------------------------------------------------------


def look_at(run, step=3, session=None):
    return Look(session or Session(), run, step, {})


def test_a_key_follows_the_vectors_the_rows_and_what_stands_around_them(runs):
    run, other, _ = runs
    key = look_at(run).key()
    assert look_at(replace(run, name="another name")).key() == look_at(run, session=Session()).key() == key
    assert look_at(other).key() != key
    assert look_at(run, step=2).key() != key
    assert look_at(run, step=0).key() not in (key, look_at(other, step=0).key())
    assert look_at(replace(run, task=replace(run.task, held_out=run.task.held_out[1:]))).key() != key
    assert look_at(replace(run, task=replace(run.task, slug="other"))).key() != key
    assert look_at(replace(run, recipe=run.recipe.but(template="Word: {input}"))).key() != key
    assert look_at(replace(run, recipe=run.recipe.but(placement="after"))).key() != key
    assert look_at(run).key("more") != key
    unknown = replace(run.record, start_known=False)
    assert look_at(replace(run, record=unknown)).key() != key  # without its start, an experiment lacks its control


def test_a_fingerprint_is_of_the_numbers():
    one = np.float32([1, 2])
    assert fingerprint(one, None) == fingerprint(one.copy(), None) != fingerprint(np.float32([1, 3]), None)


def test_an_experiment_about_a_run_is_the_same_at_all_steps(lab, runs):
    panel, session = Fake(lab), Session()
    at = [panel._key(replace(panel.look(session, runs[0], runs), step=step)) for step in (1, 2)]
    assert at[0] != at[1]
    panel.by_step = False
    at = [panel._key(replace(panel.look(session, runs[0], runs), step=step)) for step in (1, 2, 3)]
    assert at[0] == at[1] == at[2]


def test_settings_and_panels_have_keys_of_their_own(lab, runs):
    panel, session = Fake(lab), Session()
    before = panel._key(panel.look(session, runs[0], runs))
    session.inspect.settings["fake"] = {"how": "other"}
    assert panel._key(panel.look(session, runs[0], runs)) != before
    other = Fake(lab)
    other.name = "another"
    assert other._key(other.look(Session(), runs[0], runs)) != before


# --- painting ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_run_has_its_slot(lab, runs, count):
    panel, session = Fake(lab), Session()
    painted = panel.paint(session, runs[:count], HOSTILE)
    assert painted.keys() == set(panel.outputs) - set(panel.controls.values())
    texts = part(panel, painted, "texts")
    assert [text.count("nothing yet") for text in texts] == [1] * count + [0] * (SLOTS - count)
    assert [column["visible"] for column in part(panel, painted, "columns")] == [number < count for number in range(SLOTS)]
    assert ["slot-name" in text for text in texts] == [count > 1 and number < count for number in range(SLOTS)]
    assert "<b>" not in "".join(texts) + part(panel, painted, "message")
    assert part(panel, painted, "plots") == [""] * SLOTS
    assert part(panel, painted, "go")["interactive"] and not part(panel, painted, "halt")["interactive"]
    painted = panel.paint(session, runs[:count], working=True)
    assert not part(panel, painted, "go")["interactive"] and part(panel, painted, "halt")["interactive"]


def test_nothing_to_show_and_nothing_trained_are_painted(lab):
    panel, session = Fake(lab), Session()
    assert part(panel, panel.paint(session, []), "texts") == [""] * SLOTS
    assert [column["visible"] for column in part(panel, panel.paint(session, []), "columns")] == [True, False, False]
    fresh = SessionRun("new", new_record(answer_task(), Recipe(task="tiny")), answer_task(), Recipe(task="tiny"))
    assert "Train a prompt first" in part(panel, panel.paint(session, [fresh]), "texts")[0]


def test_the_scrubber_moves_the_run_that_is_shown_and_no_other(lab, runs):
    panel, session = Fake(lab), Session(step=1)
    assert [panel.look(session, run, runs).step for run in runs] == [1, 3, 3]
    assert panel.look(session, runs[1], runs).beside == (runs[0], runs[2])
    session.step = 99
    assert panel.look(session, runs[0], runs).step == 3


def test_a_faults_sentence_stands_in_its_slot(lab, runs):
    panel = Fake(lab)

    def fail(look, findings):
        raise LabError(f"not for {HOSTILE}")

    panel.view = fail
    assert "not for &lt;b&gt;x" in part(panel, panel.paint(Session(), runs[:1]), "texts")[0]


# --- experiments ------------------------------------------------------------------------------------------------------------


def test_nobody_waits_twice_for_one_experiment(lab, runs):
    shelf = Shelf()
    panel, session = Fake(lab, shelf), Session()
    painted = press(panel, session, runs[:1])
    assert (
        panel.done == 1
        and "1 of run 1" in part(panel, painted[-1], "texts")[0]
        and "role='status'" not in part(panel, painted[-1], "texts")[0]
    )
    assert part(panel, painted[0], "halt")["interactive"] and not part(panel, painted[-1], "halt")["interactive"]
    again = press(panel, session, runs[:1])
    assert panel.done == 1 and part(panel, again[-1], "texts") == part(panel, painted[-1], "texts")
    visitor = Fake(lab, shelf)  # another page of the same server: the same prompt under another name
    press(visitor, Session(), [replace(runs[0], name="mine")])
    assert visitor.done == 0
    session.inspect.settings["fake"] = {"how": "other"}
    press(panel, session, runs[:1])
    assert panel.done == 2
    assert not panel.found[session.id]


def test_runs_side_by_side_are_done_one_after_another(lab, runs):
    panel, session = Fake(lab), Session()
    press(panel, session, runs[1:2])
    last = press(panel, session, runs)[-1]
    assert panel.done == 3  # the second was known
    assert [text.count("and second") for text in part(panel, last, "texts")] == [1, 1, 1]


def test_a_stop_keeps_what_was_found_and_nobody_takes_it_for_whole(lab, runs):
    shelf = Shelf()
    panel, session = Fake(lab, shelf), Session()
    last = press_and_stop(panel, session, runs[:1])[-1]
    found = panel.known(panel.look(session, runs[0], runs[:1]))
    assert len(found.items) == 1 and not found.complete and not shelf._kept
    text = part(panel, last, "texts")[0]
    assert "1 of run 1" in text and "second" not in text and "Stopped after 1 of 2." in text
    assert part(panel, last, "go")["interactive"]
    other = Fake(lab, shelf)
    assert "nothing yet" in part(other, other.paint(Session(), runs[:1]), "texts")[0]
    last = press(panel, session, runs[:1])[-1]  # from its beginning
    assert panel.done == 2 and "2 of run 1" in part(panel, last, "texts")[0] and "Stopped" not in part(panel, last, "texts")[0]
    assert len(shelf._kept) == 1 and not panel.found[session.id]


def test_a_stop_ends_the_experiments_of_the_runs_beside_too(lab, runs):
    panel, session = Fake(lab), Session()
    last = press_and_stop(panel, session, runs)[-1]
    assert panel.done == 1 and "nothing yet" in part(panel, last, "texts")[1]


def test_an_experiment_that_cannot_begin_says_why_and_leaves_what_was_found(lab, runs):
    panel, session = Fake(lab), Session()
    press_and_stop(panel, session, runs[:1])
    panel.failing = f"no {HOSTILE}"
    last = press(panel, session, runs[:1])[-1]
    assert "no &lt;b&gt;x" in part(panel, last, "message") and "1 of run 1" in part(panel, last, "texts")[0]
    panel.forget(session.id)
    assert panel.known(panel.look(session, runs[0], runs[:1])) is None


def test_one_thing_at_a_time_for_a_session(lab, runs):
    panel, session = Fake(lab), Session()

    def wait(lm, ticket):
        while True:
            time.sleep(0.001)
            yield None

    session.side_job = lab.engine.submit(session.id, wait)
    last = press(panel, session, runs[:1])[-1]
    assert panel.done == 0 and "wait for it" in part(panel, last, "message")
    lab.engine.cancel(session.side_job)


def test_a_run_that_goes_on_is_not_looked_into(lab, runs):
    class Going:
        over = False

    panel = Fake(lab)
    (painted,) = press(panel, Session(), [replace(runs[0], ticket=Going())])
    assert panel.done == 0 and "still training" in part(panel, painted, "message")


def test_a_recording_of_other_weights_is_not_looked_into(lab, runs):
    panel = Fake(lab)
    record = replace(runs[0].record, recorded={"date": "then"}, base={**runs[0].record.base, "weights": "others"})
    last = press(panel, Session(), [replace(runs[0], record=record)])[-1]
    assert panel.done == 0 and "other weights" in part(panel, last, "message")


def test_steps_that_were_not_kept_have_no_findings(lab, runs):
    panel, session = Fake(lab), Session(step=1)
    record = replace(runs[0].record, vectors={-1: runs[0].record.final_vectors()})
    run = replace(runs[0], record=record)
    assert panel.known(panel.look(session, run, [run])) is None
    (painted,) = press(panel, session, [run])
    assert panel.done == 0 and "were not kept" in part(panel, painted, "message")


def test_a_prompt_from_a_file_is_looked_at_as_it_is(lab, runs):
    prefix = prefix_of(runs[0].record.method, runs[0].record.final_vectors())
    made = Learned(prefix, "{input}", "before", {})
    look = look_at(replace(runs[0], learned=made))
    assert look.learned.name == "learned" and look.learned.prefix is prefix
    with pytest.raises(LabError, match="start is not known"):
        _ = look_at(replace(runs[0], record=replace(runs[0].record, start_known=False))).known_start
