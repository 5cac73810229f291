"""Handles of runs that programs made: how long, how many, and whose."""

import inspect
from types import SimpleNamespace

import pytest
from timed_engine import Clock

from app.serving.api import Api, _columns, _task
from app.serving.endpoints import TABLE, describe_train, told
from app.serving.handles import MOST_KEPT, Handles
from app.serving.session_restore import KEPT_SECONDS
from app.sessions.session import MOST_RUNS
from app.view.links import ON_PAGE
from core import LabError


def run(busy: bool = False):
    return SimpleNamespace(busy=busy, record=SimpleNamespace(readings=[1]))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handles(clock: Clock) -> Handles:
    return Handles(None, clock)


@pytest.mark.parametrize("wrong", [None, "", "nobody", 1, 1.5, [], {}, ["a"], True])
def test_only_the_handle_finds_a_run(handles, wrong):
    mine = run()
    handle = handles.add(mine, "ada")
    assert len(handle) >= 32
    assert handles.get(handle).run is mine
    with pytest.raises(LabError, match="no run under this handle"):
        handles.get(wrong)


def test_half_an_hour_after_it_was_last_asked_for(handles, clock):
    kept, forgotten = handles.add(run(), "ada"), handles.add(run(), "ada")
    clock.now = KEPT_SECONDS - 1
    handles.get(kept)
    clock.now = KEPT_SECONDS + 1
    handles.get(kept)
    with pytest.raises(LabError):
        handles.get(forgotten)


def test_the_oldest_of_one_program_and_of_all_go_first(handles):
    mine = [handles.add(run(), "ada") for _ in range(MOST_RUNS + 2)]
    with pytest.raises(LabError):
        handles.get(mine[1])
    assert handles.get(mine[2])
    others = [handles.add(run(), f"other {i}") for i in range(MOST_KEPT)]
    with pytest.raises(LabError):
        handles.get(mine[-1])
    assert handles.get(others[0])


def test_what_still_goes_on_stays_and_is_not_looked_at(handles, clock):
    handle = handles.add(run(busy=True), "ada")
    clock.now = 2 * KEPT_SECONDS
    for _ in range(MOST_RUNS + 2):
        handles.add(run(), "ada")
    assert handles.get(handle)
    with pytest.raises(LabError, match="still training"):
        handles.done(handle)


def test_train_takes_every_setting_of_a_recipe_by_its_name():
    api = Api(None)
    describe_train(api.train)
    train = told(api.train)
    assert list(inspect.signature(train).parameters) == ["request", "task", "rows", "start", *ON_PAGE, *TABLE]
    assert all(f"{name}: " in train.__doc__ for name in (*ON_PAGE, *TABLE))


ROWS = "who,mood,said,stars\n" + "".join(f"person {i},{'calm' if i % 3 else 'wild'},sentence {i} of them,{i % 2}\n" for i in range(40))


def test_rows_are_read_by_the_columns_kind_words_and_template_that_the_call_names():
    given = {"template": "{who} says {said}. Stars:", "steps": 3}
    columns = _columns({"columns": ["who", "said", "stars"], "kind": "labels", "words": {"0": "bad", "1": "good"}}, given, ROWS)
    task = _task("", ROWS, columns)
    assert set(task.labels) == {"bad", "good"} and given == {"steps": 3}
    assert task.template.replace("{input}", task.train[0].input).startswith("person ") and task.template.endswith(". Stars:")
    assert _columns(dict.fromkeys(TABLE), plain := {"template": "{input}:"}, ROWS) is None and plain == {"template": "{input}:"}


@pytest.mark.parametrize(
    "asked, rows, said",
    [
        ({"columns": ["said"]}, ROWS, "two names or more"),
        ({"columns": "said,stars"}, ROWS, "two names or more"),
        ({"words": ["a"]}, ROWS, "a word for each label"),
        ({"words": {"0": 1}}, ROWS, "a word for each label"),
        ({"kind": "labels"}, "", "give rows, too"),
        ({"columns": ["nobody", "stars"]}, ROWS, "no column"),
        ({"kind": "poems"}, ROWS, "choose answers or labels"),
    ],
)
def test_columns_that_cannot_be_are_refused_in_a_sentence(asked, rows, said):
    with pytest.raises(LabError, match=said):
        _task("", rows, _columns({**dict.fromkeys(TABLE), **asked}, {}, rows))
