"""What is kept of visitors on disk: whole, private, bounded, and read back as it was."""

import json
import os
import stat

import numpy as np
import pytest
from timed_engine import until
from tiny_models import answer_task

from app.pages.train_parts import go_on_words
from app.serving.keep import OLDEST, Keeper, keeper_for
from app.serving.session_restore import Visitors
from app.sessions.contest import prefix_of_run
from app.sessions.session import Session
from core import Recipe
from core.errors import LabError
from core.tasks.task import Handcrafted

QUICK = {"virtual_tokens": 4, "batch_size": 4}


@pytest.fixture
def keeper(tmp_path):
    return Keeper(tmp_path / "kept")


def trained(lab, steps=None, method="prompt"):
    """A session with a task of its own and a run, which waits after `steps` or is over."""
    session = Session(task=answer_task(slug="mine", name="Mine"))
    session.train.own_task = session.task
    run = lab.start(session, Recipe(steps=4, method=method, task="mine", **QUICK), steps)
    until(lambda: run.ticket.over if steps is None else run.status == "paused" and not run.ticket.working)
    return session, run


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_new_process_gives_the_session_back_as_it_was(lab, keeper, method):
    session, run = trained(lab, method=method)
    session.compare.on(session.task).prompts.append(Handcrafted("mine 1", "Say: {input}"))
    keeper.write([session])
    back = Keeper(keeper.folder).read(session.token, lab.models)
    [same] = back.runs
    assert (back.token, back.task, back.train.own_task, back.train.started) == (session.token, session.task, session.task, 1)
    assert back.compare.on(back.task).prompts == [Handcrafted("mine 1", "Say: {input}")]
    assert (same.name, same.task, same.recipe) == (run.name, run.task, run.recipe) and back.shown is same
    assert same.record.finished and same.record.losses == pytest.approx(run.record.losses, abs=1e-4)
    assert [score.accuracy for score in same.record.scores] == pytest.approx([score.accuracy for score in run.record.scores], abs=1e-4)
    assert np.array_equal(prefix_of_run(same).snapshot(), prefix_of_run(run).snapshot()), "every bit of what was learned"


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_run_that_was_interrupted_goes_on_as_if_it_had_not_been(lab, keeper, method):
    session, run = trained(lab, steps=2, method=method)
    keeper.write([session])
    back = Keeper(keeper.folder).read(session.token, lab.models)
    [same] = back.runs
    assert (same.record.step, same.record.finished, same.record.stopped) == (2, False, "the server restarted after step 2")
    assert back.owns(same) and not same.busy and prefix_of_run(same) is not None
    assert go_on_words(same) == "Go on from step 2"
    for ticket in (run.ticket, lab.go_on(back, same) or same.ticket):
        lab.engine.resume(ticket)
        until(lambda ticket=ticket: ticket.over)
    assert same.record.finished and not same.record.stopped and len(same.record.readings) == len(run.record.readings) == 5
    assert np.array_equal(prefix_of_run(same).snapshot(), prefix_of_run(run).snapshot()), "every bit of what was learned"
    assert same.record.losses == pytest.approx(run.record.losses, abs=1e-4)
    for part in ("lines", "scores"):
        assert {s.name: s.accuracy for s in getattr(same.record, part)} == {s.name: s.accuracy for s in getattr(run.record, part)}
        assert len(getattr(same.record, part)) == len(getattr(run.record, part))
    assert go_on_words(same) == "Train on from this prompt"
    keeper.write([back], all_now=True)
    assert not list(keeper.folder.rglob("*.state"))


def test_a_run_of_other_weights_is_not_gone_on_with(lab, keeper):
    session, run = trained(lab, steps=2)
    lab.engine.cancel(run.ticket)
    until(lambda: run.ticket.over and run.record.resumable)
    run.record.base["weights"] = "others"
    lab.go_on(session, run)
    until(lambda: run.ticket.over)
    assert run.ticket.message.startswith("This run began on a model with other weights")


def test_a_run_without_its_state_can_still_be_trained_on(lab, keeper):
    session, run = trained(lab, steps=2)
    keeper.write([session])
    [state] = keeper.place(session.token).glob("*.state")
    state.write_bytes(state.read_bytes()[:40])
    [same] = Keeper(keeper.folder).read(session.token, lab.models).runs
    assert not same.record.resumable and prefix_of_run(same) is not None
    assert go_on_words(same) == "Train on from this prompt"
    lab.engine.cancel(run.ticket)


def test_what_has_not_changed_is_not_written_again_and_a_dropped_run_goes(lab, keeper):
    session, _ = trained(lab)
    keeper.write([session])
    folder = keeper.place(session.token)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    keeper.write([session])
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    assert len(before) == 3
    session.runs = []
    keeper.write([session], all_now=True)
    assert [path.name for path in folder.iterdir()] == ["session.json"]


def test_only_the_owner_may_read_and_no_token_is_on_the_disk(lab, keeper):
    session, _ = trained(lab)
    keeper.write([session])
    paths = [keeper.folder, *keeper.folder.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in paths if path.is_file()} == {0o600}
    held = b"".join(path.read_bytes() for path in paths if path.is_file()).decode("latin-1")
    assert session.token not in held and session.token not in "".join(map(str, paths))


@pytest.mark.parametrize("token", ["", "no such", "../../etc", "x" * 9999, "\ud800"])
def test_a_strangers_token_gives_nothing(lab, keeper, token):
    keeper.write([trained(lab)[0]])
    assert keeper.read(token, lab.models) is None


@pytest.mark.parametrize("broken", ["session.json", "run", "vectors"])
def test_a_broken_file_costs_what_is_in_it_and_no_more(lab, keeper, broken):
    session, _ = trained(lab)
    keeper.write([session])
    folder = keeper.place(session.token)
    end = {"session.json": "session.json", "run": ".json", "vectors": ".safetensors"}[broken]
    path = next(
        path for path in folder.iterdir() if path.name.endswith(end) and (broken == "session.json") == (path.name == "session.json")
    )
    path.write_bytes(path.read_bytes()[:50])
    back = Keeper(keeper.folder).read(session.token, lab.models)
    assert back is None if broken == "session.json" else back.runs == [] and back.task == session.task


def test_runs_of_a_model_that_is_no_longer_offered_stay_away(lab, keeper):
    session, run = trained(lab)
    run.model = session.model = "another"
    keeper.write([session], all_now=True)
    back = keeper.read(session.token, lab.models)
    assert back.runs == [] and back.model == ""


def test_old_folders_go_and_the_oldest_where_all_are_too_large(lab, keeper, monkeypatch):
    sessions = [trained(lab)[0] for _ in range(2)]
    keeper.write(sessions)
    old, new = (keeper.place(session.token) for session in sessions)
    for path in old.iterdir():
        os.utime(path, (1000.0, 1000.0))
    Keeper(keeper.folder, wall=lambda: 1000.0 + OLDEST - 1)
    assert old.is_dir()
    monkeypatch.setattr("app.serving.keep.MOST_BYTES", sum(path.stat().st_size for path in new.iterdir()))
    Keeper(keeper.folder, wall=lambda: 1000.0)
    assert not old.is_dir() and new.is_dir()


def test_a_server_that_runs_on_removes_old_folders_but_of_sessions_in_memory(lab, tmp_path):
    now = [1000.0]
    keeper = Keeper(tmp_path / "running", wall=lambda: now[0])
    gone, here = (trained(lab)[0] for _ in range(2))
    keeper.write([gone, here])
    for session in (gone, here):
        for path in keeper.place(session.token).iterdir():
            os.utime(path, (1000.0, 1000.0))
    now[0] += OLDEST + 1
    keeper.write([here])
    assert not keeper.place(gone.token).exists() and keeper.place(here.token).is_dir()


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LabError, match=r"can't be written.*give --keep another one"):
        Keeper(tmp_path / "file" / "kept")


def test_the_default_folder_is_used_where_it_can_be_and_never_on_a_space(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert keeper_for(None).folder == tmp_path / "soft-prompt-lab" / "sessions"
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert keeper_for(None) is None
    with pytest.raises(LabError):
        keeper_for(str(tmp_path / "file"))
    monkeypatch.setenv("SPACE_ID", "ada/lab")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    assert keeper_for(None) is None and not (tmp_path / "other").exists()


def test_a_full_disk_does_not_stop_the_others(lab, keeper, monkeypatch):
    session, other = trained(lab)[0], trained(lab)[0]
    keeper.place(session.token).write_text("in the way")
    keeper.write([session, other])
    assert json.loads((keeper.place(other.token) / "session.json").read_text())["runs"]


def test_a_page_that_comes_to_a_new_process_finds_its_session(lab, keeper):
    """With the token of its tab at once, with that of a closed tab as an offer."""
    session, _ = trained(lab)
    keeper.write([session])

    def visitors():
        return Visitors(lab, lambda _: None, read=lambda token: keeper.read(token, lab.models))

    assert visitors().arrive(Session(), "page", session.token).runs[0].name == session.runs[0].name
    later = visitors()
    assert later.waiting(session.token) is not None
    assert later.arrive(Session(), "page", session.token).token == session.token
    fresh = Session()
    assert visitors().arrive(fresh, "page", "another") is fresh
