"""Links: what one says is what another page opens with, and a bad one opens with what could be read."""

import base64
import hashlib
import zlib
from dataclasses import fields, replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tiny_models import answer_task, label_task

from app.view import links
from app.view.links import ON_PAGE
from core import LabError, Recipe, load_task
from core.recipe import BEFORE, default_of
from core.tasks.built_in import slugs
from core.tasks.load import task_from_json
from core.tasks.task_file import task_to_json

PAGES = ["train", "compare", "inspect", "learn", "task"]
TASKS = [load_task("past-tense"), load_task("sentiment"), answer_task(recipe={"steps": 7, "learning_rate": 0.5, "method": "prefix"})]
texts = some.text(some.characters(exclude_categories=["Cs"]), max_size=60)


def values_of(name: str) -> some.SearchStrategy:
    """Sound values of a recipe field, from its own bounds."""
    field = ON_PAGE[name]
    if field.choices:
        return some.sampled_from(field.choices)
    if field.kind is str:
        return texts
    if field.kind is int:
        return some.integers(field.low, field.high)
    low = field.low if field.above is None else field.above
    return some.floats(low, field.high, exclude_min=field.above is not None)


controls = some.fixed_dictionaries({name: values_of(name) for name in ON_PAGE})


@given(
    some.sampled_from(TASKS),
    controls,
    some.sampled_from(PAGES),
    some.none() | some.integers(0, 199),
    some.none() | some.integers(0, 10_000),
)
def test_what_is_written_is_read_again(task, values, page, token, step):
    link = links.read(links.write(task, values, page, token, step), PAGES)
    assert not link.problems
    assert links.settings(task, link.given) == values
    assert (link.page or "train", link.token, link.step) == (page, token, step)
    assert link.task == (task.slug if task.slug in slugs() else links.OWN)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.slug)
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_only_what_differs_is_written(task, method):
    values = links.usual(task, method)
    said = links.write(task, values).partition("#")[0]
    assert said.count("=") == 3 + (method != links.usual(task)["method"])
    for name in BEFORE:  # always: a link without it is of a version that had no choice
        assert f"{name}={values[name]}" in said
    assert links.write(task, values | {"seed": 3}).partition("#")[0] == said + "&seed=3"


def test_a_link_of_an_earlier_version_ends_answers_with_nothing_as_its_runs_did():
    assert links.read("?task=plural&seed=3", PAGES).given == BEFORE | {"seed": 3}
    assert links.read("?task=plural&end=eos", PAGES).given == BEFORE | {"end": "eos"}
    assert links.read("?lesson=vectors", PAGES).given == {}
    task = TASKS[0]
    for end in ("none", "eos", "newline"):
        assert links.settings(task, links.read(links.write(task, links.usual(task) | {"end": end}), PAGES).given)["end"] == end


def test_the_usual_of_a_task_is_what_its_recipe_and_the_method_bring():
    task = TASKS[2]
    assert links.usual(task)["learning_rate"] == 0.5
    assert links.usual(task, "prompt")["learning_rate"] == default_of("learning_rate", "prompt")
    assert links.usual(task)["steps"] == links.usual(task, "prompt")["steps"] == 7
    assert set(links.usual(task)) == {spec.name for spec in fields(Recipe)} - {"task", "model", "dtype", "init_from"}


@given(some.text(max_size=200))
def test_any_text_is_read(text):
    link = links.read(text, PAGES)
    links.settings(TASKS[0], link.given)
    told = links.sentence(link.problems)
    assert bool(told) == bool(link.problems) and all(problem in told for problem in link.problems)
    assert all(name in links.ON_PAGE for name in link.given) and set(link.hide) <= set(links.HIDEABLE)


@pytest.mark.parametrize(
    "query, told",
    [
        ("virtual_tokens=0", "virtual tokens is 0: choose a whole number from 1 to 200"),
        ("virtual_tokens=many", "virtual tokens is many"),
        ("virtual_tokens=", "virtual tokens is"),
        ("learning_rate=nan", "learning rate is nan"),
        ("pull=inf", "pull is inf"),
        ("init=magic", "start from is 'magic': choose one of random"),
        ("task=../../etc/passwd", "there is no task '../../etc/passwd' here"),
        ("task=hub:a/b", "there is no task"),
        ("page=admin", "there is no page 'admin' here"),
        ("lesson=%3Cimg%3E", "there is no lesson '<img>' here"),
        ("token=-1", "token is '-1', not a whole number from 0 to 199"),
        ("token=٣", "token is '٣'"),
        ("step=1e3", "step is '1e3'"),
        ("hide=seed,nothing", "there is no part 'nothing' to hide"),
        ("model=x", "there is no setting 'model'"),
        ("dtype=float16", "there is no setting 'dtype'"),
        ("&" * 3 + "=&a=b", "there is no setting"),
        ("a=1&" * 200, "it has more than 100 parts"),
        ("x" * 50_000, "it has 50,001 characters, more than 40,000"),
    ],
)
def test_what_cannot_be_read_is_told_and_the_rest_is_used(query, told):
    link = links.read(f"?{query}", PAGES)
    assert told in links.sentence(link.problems)
    if len(query) < 200:
        rest = links.read(f"?seed=5&{query}&steps=9&hide=code", PAGES)
        assert rest.given == {"seed": 5, "steps": 9}
        assert "code" in rest.hide


def test_what_hosts_and_other_sites_add_is_passed_over():
    assert not links.read("?__theme=dark&__sign=abc&utm_source=x&fbclid=1&seed=2", PAGES).problems


def test_parts_of_the_page():
    link = links.read("?hide=header,seed,%20more&embed=true&lesson=what-is-it", PAGES)
    assert (link.hide, link.embed, link.lesson, link.page) == (("header", "seed", "more"), True, "what-is-it", "learn")
    assert links.read("?lesson=a&page=train", PAGES).page == "train"
    assert links.read("?lesson=a", ["train"]).problems
    assert all(f"#set-{name}" == links.HIDEABLE[name] for name in ON_PAGE)


def small_task():
    return task_from_json(task_to_json(label_task(name='<b>"pets"</b> & co', slug="pets")).encode(), "pets")


def test_a_small_task_travels_behind_the_sign():
    task = small_task()
    link = links.write(task, links.usual(task))
    query, _, fragment = link.partition("#")
    assert "pets" not in query
    assert task.train[0].input not in query
    assert links.unpack(links.read(link, PAGES).own) == task
    assert len(fragment) < links.LONGEST_FRAGMENT


def test_a_large_task_does_not():
    names = [hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(3000)]
    task = answer_task(train=tuple(replace(answer_task().train[0], input=name) for name in names))
    link = links.write(task, links.usual(task))
    assert link == "?task=own&end=newline&label_score=auto"


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(data)).decode().rstrip("=")


@pytest.mark.parametrize(
    "own",
    ["", "AAAA", "!!", "ä", packed(b"")[:-4], packed(b"x" * 2**21), packed(b"[1]"), packed(b'{"train": 1}'), packed(b"\xff"), "A" * 20_000],
    ids=["empty", "no zlib", "no base64", "no ascii", "cut off", "grows", "a list", "no rows", "no text", "long"],
)
def test_a_damaged_task_is_refused(own):
    with pytest.raises(LabError):
        links.unpack(own)


def test_opening_a_link_sets_the_session_and_says_what_it_could_not(monkeypatch):
    from app.pages.link_bar import LinkBar
    from app.sessions.session import Session

    bar = LinkBar.__new__(LinkBar)
    bar.pages, bar.tabs, bar.message = PAGES, "tabs", "message"
    bar.train = SimpleNamespace(
        set_up=lambda session, values: {"task": session.task, "values": values}, restore=lambda session: {"task": "untouched"}
    )
    session, task = Session(), small_task()
    opened = bar.open(session, f"?task=own&token=2&step=7&page=inspect&seed=x#own={links.pack(task)}")
    assert opened["task"] == session.task == task
    assert (session.chosen, session.step, opened["values"]["seed"]) == (2, 7, 0)
    assert opened["tabs"].selected == "inspect"
    assert "seed is x" in opened["message"]
    assert "too large for a link" in bar.open(session, "?task=own")["message"]
    opened = bar.open(session, "?task=news&method=prefix&init=labels")
    assert opened["task"].slug == session.task.slug == "news"
    assert "can&#39;t start from label words" in opened["message"]
    assert bar.open(session, "?page=compare")["task"] == "untouched"
    message = bar.open(session, "?%3Cimg%20src=x%20onerror=alert(1)%3E=1")["message"]
    assert "<img" not in message
