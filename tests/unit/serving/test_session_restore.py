"""Sessions whose pages went away: their work rests, and a browser with the token gets them back, for a while."""

import time

from timed_engine import Clock, until
from tiny_models import answer_task

from app.serving.session_restore import KEPT_SECONDS, MOST_KEPT, Visitors
from app.sessions.session import Session
from app.sessions.trying import ask, missing, trial_of
from core.recipe import Recipe


def trained(lab, steps=5000):
    session = Session(task=answer_task())
    run = lab.start(session, Recipe(task="tiny", steps=steps, virtual_tokens=2, batch_size=2))
    until(lambda: run.record.step > 1)
    return session, run


def test_a_reload_gets_the_session_back_and_its_run_waits(lab):
    visitors, (session, run) = Visitors(lab, lambda gone: None), trained(lab)
    assert visitors.arrive(session, "page 1", "") is session
    visitors.leave("page 1")
    until(lambda: run.status == "paused" and not run.ticket.working)
    step = run.record.step
    time.sleep(0.05)
    assert run.record.step == step
    assert visitors.arrive(Session(), "page 2", session.token) is session
    lab.engine.resume(run.ticket)
    until(lambda: run.record.step > step)
    lab.engine.leave(session.id)


def test_a_reload_that_comes_before_the_old_page_is_known_to_be_gone(lab):
    visitors, (session, run) = Visitors(lab, lambda gone: None), trained(lab)
    visitors.arrive(session, "page 1", "")
    following = session.streams.newest
    assert visitors.arrive(Session(), "page 2", session.token) is session
    until(lambda: run.status == "paused")
    assert session.streams.newest > following  # the old page's stream ends
    lab.engine.resume(run.ticket)
    visitors.leave("page 1")  # noticed late: the session has a page again
    assert run.status == "running"
    lab.engine.leave(session.id)


def test_a_strangers_token_gives_nothing(lab):
    visitors, fresh = Visitors(lab, lambda gone: None), Session()
    visitors.arrive(Session(), "page 1", "")
    assert visitors.arrive(fresh, "page 2", "made up") is fresh
    assert visitors.waiting("made up") is None and visitors.waiting("") is None


def test_what_is_waiting_is_offered_until_its_time_is_over(lab):
    clock, gone = Clock(), []
    visitors, (session, run) = Visitors(lab, gone.append, clock), trained(lab)
    visitors.arrive(session, "page 1", "")
    assert visitors.waiting(session.token) is None  # it is in use
    visitors.leave("page 1")
    assert visitors.waiting(session.token) is session
    clock.now = KEPT_SECONDS + 1
    assert visitors.waiting(session.token) is None and gone == [session.id]
    assert run.status == "cancelled"


def test_a_file_on_offer_goes_with_its_page(lab):
    visitors, (session, run) = Visitors(lab, lambda gone: None), trained(lab)
    visitors.arrive(session, "page 1", "")
    for leave in (True, False):  # a closed tab that is brought back, and a reload that comes before anybody noticed
        session.shown, session.step, session.inspect.offered = run, 1, run
        if leave:
            visitors.leave("page 1")
        assert visitors.arrive(Session(), "page 2", session.token) is session
        assert session.inspect.offered is None and session.step == 1  # the run that was looked at stays where it was
    session.shown, session.chosen = None, 3
    assert visitors.arrive(Session(), "page 3", session.token) is session
    assert session.step is None and session.chosen is None  # the recording is as the page was built
    lab.engine.leave(session.id)


def test_a_session_without_runs_is_forgotten_at_once(lab):
    gone = []
    visitors, session = Visitors(lab, gone.append), Session()
    visitors.arrive(session, "page 1", "")
    visitors.leave("page 1")
    visitors.leave("page 1")
    assert gone == [session.id]


def test_only_so_many_are_kept(lab):
    gone = []
    visitors = Visitors(lab, gone.append)
    sessions = []
    for number in range(MOST_KEPT + 3):
        session = Session(task=answer_task())
        lab.start(session, Recipe(task="tiny", steps=1, virtual_tokens=2))
        visitors.arrive(session, str(number), "")
        visitors.leave(str(number))
        sessions.append(session)
    assert gone == [session.id for session in sessions[:3]]
    for session in sessions:
        lab.engine.leave(session.id)


def test_answers_of_the_box_are_forgotten_with_the_page_and_what_was_typed_is_not(lab):
    visitors, (session, run) = Visitors(lab, lambda gone: None), trained(lab)
    visitors.arrive(session, "page 1", "")
    trial = trial_of(session, run)
    trial.text = "apple"
    ticket = ask(lab, session, run, missing(session, run))
    until(lambda: trial.known)
    visitors.leave("page 1")
    until(lambda: ticket.over and not ticket.working)
    assert not trial.known and trial.newest is None and session.trial.text == "apple"
    assert visitors.arrive(Session(), "page 2", session.token) is session
    ask(lab, session, run, missing(session, run))
    until(lambda: trial.known)
    lab.engine.leave(session.id)
