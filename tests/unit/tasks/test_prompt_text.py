"""The gap before an answer, and worked examples, in any script."""

import pytest

from core.scoring.contender import handcrafted
from core.tasks.built_in import built_in, slugs
from core.tasks.prompt_text import gap, join, with_examples
from core.tasks.task import Example


@pytest.mark.parametrize(
    "template, wanted",
    [
        ("The past tense of {input} is", " "),
        ("{input} ->  ", " "),
        ('"{input}" becomes "', ""),
        ("Q: {input}\nA:\n", ""),
        ("{input}是", ""),
        ("翻译：{input}\n答案：", ""),
        ("{input} คือ", ""),
        ("苹果是水果，{input}是", ""),  # as its own worked example
        ("苹果: 水果\n{input}:", " "),
        ("go:went\n{input}:", ""),
        ("go -> went\n{input} ->", " "),
        ("Q: go\nA:\nwent\n\nQ: {input}\nA:", "\n"),
        ("It is an island that is far. {input} is", " "),
        ("An island. {input} is", " "),  # the letters in another word are no example
        ("From 10:30 on. {input}:", " "),
        ("Label it.\n\n{input}\nLabel:", " "),
    ],
)
def test_the_gap_is_that_of_the_template_or_of_its_worked_examples(template, wanted):
    assert gap(template) == wanted
    if not template.rstrip(" ").endswith("{input}"):
        assert join(template, "x")[1] == join(template, "苹果")[1] == wanted


def test_after_a_bare_input_the_gap_is_that_of_its_script():
    assert join("{input}", "go") == ("go", " ") and join("{input}", "苹果") == ("苹果", "")


@pytest.mark.parametrize("slug", slugs())
def test_built_in_prompts_have_the_gap_that_their_recordings_were_made_with(slug):
    task = built_in(slug)
    for template in (task.template, *(prompt.template for prompt in task.handcrafted)):
        last = template.rstrip(" ")[-1]
        assert gap(template) == ("" if last.isspace() or (last == '"' and template.count('"') % 2) else " ")


def test_worked_examples_that_are_made_have_the_gap_that_is_then_scored():
    for template in ("{input}是", "{input} ->", "{input}:", "Q: {input}\nA:"):
        made = with_examples(template, [Example("苹果", "水果"), Example("狗", "动物")])
        assert gap(made) == gap(template)


@pytest.mark.parametrize(
    "template, row, shown",
    [
        ("苹果是水果，{input}是", ("苹果", "水果"), True),
        ("苹果是水果，{input}是", ("香蕉", "水果"), False),
        ("ＯＫ -> yes\n{input} ->", ("ok", "yes"), True),
        ("แมวคือสัตว์ {input}คือ", ("แมว", "สัตว์"), True),
        ("hello means hi; {input} means", ("hell", "hi"), False),
    ],
)
def test_worked_examples_in_any_script_do_not_count(template, row, shown):
    example = Example(*row)
    assert bool(handcrafted("a", template, [example]).excluded) == shown
