"""What is kept of visitors on disk: whole, private, bounded, and read back as it was."""

import json
import os
import stat

import numpy as np
import pytest
from timed_engine import until
from tiny_models import answer_task

from app.serving.keep import OLDEST, Keeper
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


def test_a_run_that_was_interrupted_keeps_its_steps_and_can_be_trained_on(lab, keeper):
    session, run = trained(lab, steps=2)
    keeper.write([session])
    back = Keeper(keeper.folder).read(session.token, lab.models)
    [same] = back.runs
    assert (same.record.step, same.record.finished, same.record.stopped) == (2, False, "the server restarted after step 2")
    assert back.owns(same) and not same.busy and prefix_of_run(same) is not None  # the button to train on is there
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


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LabError, match=r"can't be written.*give --keep another one"):
        Keeper(tmp_path / "file" / "kept")


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
