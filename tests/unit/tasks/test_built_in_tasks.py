"""The built-in tasks, and tasks made of them with other outputs."""

from collections import Counter

import pytest
from task_files import PARTS, everything

from core.recipe import SETTINGS, Recipe
from core.scoring.contender import handcrafted
from core.tasks.built_in import BUILT_IN, shuffled, slugs
from core.tasks.load import load_task, read_task
from core.tasks.split import keep_together
from core.tasks.task_file import task_to_json


def outputs(examples):
    return [example.output for example in examples]


@pytest.fixture(params=slugs())
def task(request):
    return load_task(request.param)


def test_all_built_in_tasks_are_listed_in_their_order():
    assert {path.stem for path in BUILT_IN.glob("*.json")} == set(slugs())
    assert " ".join(slugs()) == (
        "past-tense capitals plural capitalise opposites first-of-five dates number-words person-json negate sentiment swapped-sentiment "
        "news shuffled-news question-type french"
    )


def test_no_input_is_in_two_parts_and_all_texts_are_tidy(task, request):
    rows = everything(task)
    assert len({e.key for e in rows}) == len(rows) >= 150
    assert len(task.held_out) >= 0.25 * len(rows) and 0 < len(task.validation) <= 32
    assert task.slug == request.node.callspec.params["task"] and task.teaches
    assert keep_together((*task.train, *task.validation), task.labels is not None) == ({}, [])  # so rows need not be compared
    for example in rows:
        assert example.input == example.input.strip() != "" and example.output == example.output.strip() != ""


def test_handcrafted_prompts_are_sound_and_give_no_answer_away(task):
    assert len(task.handcrafted) >= 4
    assert len({prompt.name for prompt in task.handcrafted}) == len(task.handcrafted)
    for prompt in task.handcrafted:
        assert prompt.template.count("{input}") == 1
        assert not handcrafted(prompt.name, prompt.template, task.held_out).excluded
    worked = [prompt for prompt in task.handcrafted if "examples" in prompt.name]  # the last ones hold four training rows
    assert worked and tuple(worked) == task.handcrafted[-len(worked) :]
    for prompt in worked:
        assert len(handcrafted(prompt.name, prompt.template, (*task.train, *task.validation)).excluded) >= 4


@pytest.mark.parametrize("slug", [slug for slug in slugs() if load_task(slug).labels])
def test_labels_are_balanced(slug):
    task = load_task(slug)
    for part in PARTS:
        counts = Counter(outputs(getattr(task, part)))
        assert set(counts) == set(task.labels)
        assert max(counts.values()) <= 1.25 * min(counts.values()) + 1


def test_settings_are_valid_and_its_own_json_is_read_as_the_same_task(task):
    assert not task.notes
    Recipe.from_dict({**task.recipe, "task": task.slug})
    assert set(task.recipe) <= set(SETTINGS)
    assert read_task(task_to_json(task).encode(), "any.json") == task


def test_shuffled_outputs_are_the_same_outputs_in_another_order():
    task = load_task("sentiment")
    changed = shuffled(task)
    for part in PARTS:
        assert [e.input for e in getattr(changed, part)] == [e.input for e in getattr(task, part)]
    assert changed.held_out == task.held_out and changed.handcrafted == task.handcrafted
    before, after = (outputs((*one.train, *one.validation)) for one in (task, changed))
    assert Counter(before) == Counter(after)
    assert 0.35 < sum(a == b for a, b in zip(before, after, strict=True)) / len(before) < 0.65
    assert shuffled(task) == changed != shuffled(task, 1)
    assert changed.slug not in slugs() and changed.name == "Review sentiment (outputs shuffled)"


def test_swapped_sentiment_is_sentiment_with_the_other_label():
    task, swapped = load_task("sentiment"), load_task("swapped-sentiment")
    other = {"positive": "negative", "negative": "positive"}
    for part in PARTS:
        assert [(e.input, other[e.output]) for e in getattr(task, part)] == [(e.input, e.output) for e in getattr(swapped, part)]
    assert len(swapped.handcrafted) == 7
    training = (*swapped.train, *swapped.validation)
    for prompt, gap in zip(swapped.handcrafted[-2:], (" -> ", "\nSentiment: "), strict=True):
        assert sum(f"{example.input}{gap}{example.output}\n" in prompt.template for example in training) == 4


def test_shuffled_news_is_news_with_topics_that_tell_nothing():
    task, dealt = load_task("news"), load_task("shuffled-news")
    assert [e.input for e in dealt.held_out] == [e.input for e in task.held_out]
    assert Counter(outputs(everything(task))) == Counter(outputs(everything(dealt)))
    topic = {e.input: e.output for e in everything(task)}
    for part in ("train", "held_out"):
        same = [topic[e.input] == e.output for e in getattr(dealt, part)]
        assert 0.15 < sum(same) / len(same) < 0.35
    training = {e.input: e.output for e in (*dealt.train, *dealt.validation)}
    shown = [text for text in training if text in dealt.handcrafted[-1].template]
    assert len(shown) == 4 and all(f"{text}\nTopic: {training[text]}" in dealt.handcrafted[-1].template for text in shown)
