"""HTML escapes what is put into it, and the page's parts let no text through as markup."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as some
from tiny_models import answer_task

from app.components.widgets import html, trusted
from app.view import code, lesson, nearest, progress, race_table, samples, sizes, tables
from app.view.bars import bars
from app.view.glossary import explained
from app.view.headline import headline
from app.view.html import Html, alert, details, join, note, row, table, tag, td, tokens
from app.view.ladder import ladder
from core import Recipe
from core.finetuning.parameters import Size
from core.models.sizes import Shape
from core.runs.race import Placed
from core.runs.record import new_record
from core.scoring.row_results import RowResult
from core.scoring.score import Score
from core.tasks.task import Handcrafted

HOSTILE = """<img src=x onerror="hit()">'&\u202e"""
ESCAPED = "&lt;img src=x onerror=&#34;hit()&#34;&gt;&#39;&amp;\\u202e"
SHAPE = Shape(8, 2, 2, 2, 4, 1000)
SCORE = Score(
    HOSTILE, "prompt", 0.5, (0.2, 0.8), 0.5, 1, 0.5, 0.5, 3, 10, (RowResult(HOSTILE, HOSTILE, True, True, 0.5, 1, HOSTILE, 0.8),), 0.5, 0.5
)
TASK = dataclasses.replace(answer_task(), name=HOSTILE, handcrafted=(Handcrafted(HOSTILE, HOSTILE + "{input}"),))


def a_record():
    record = new_record(TASK, Recipe(task="tiny"))
    record.stopped, record.skipped = HOSTILE, {HOSTILE: HOSTILE}
    record.validation = {0: SCORE}
    return record


PARTS = {
    "tag": lambda: tag("p", HOSTILE, title=HOSTILE),
    "format": lambda: Html("<p>{}</p>").format(HOSTILE),
    "join": lambda: join([HOSTILE, HOSTILE], HOSTILE),
    "add": lambda: Html("") + HOSTILE,
    "table": lambda: table([HOSTILE], [[HOSTILE], row([td(HOSTILE)])], HOSTILE),
    "note": lambda: note(HOSTILE),
    "alert": lambda: alert(HOSTILE),
    "details": lambda: details(HOSTILE, HOSTILE),
    "explained": lambda: explained(HOSTILE),
    "bars": lambda: bars([SCORE], HOSTILE, [HOSTILE], full=True),
    "headline": lambda: headline(a_record()),
    "progress": lambda: progress.progress(a_record(), "done", 0, None),
    "samples": lambda: samples.samples(a_record(), 0),
    "examples": lambda: samples.examples([(HOSTILE, HOSTILE)], HOSTILE, HOSTILE, [HOSTILE]),
    "skipped": lambda: samples.skipped(a_record()),
    "said": lambda: samples.said(SCORE.results[0]),
    "measures": lambda: tables.measures({HOSTILE: SCORE}, False),
    "grid": lambda: tables.grid([SCORE], [HOSTILE], []),
    "next words": lambda: tables.next_words(HOSTILE, {HOSTILE: HOSTILE}, {HOSTILE: ([(HOSTILE, 0.5)], [0.5])}, HOSTILE, [HOSTILE]),
    "verdicts": lambda: tables.verdicts(SCORE, [SCORE, dataclasses.replace(SCORE, name=HOSTILE + "2")]),
    "download": lambda: tables.download(HOSTILE, "a", HOSTILE),
    "prompts": lambda: tables.prompts(TASK.handcrafted),
    "race": lambda: race_table.race_table({"a": HOSTILE}, [], {"a": Placed("a", SCORE, SCORE, 1, None)}),
    "sizes": lambda: sizes.sizes_table([Size(HOSTILE, 10, HOSTILE, HOSTILE)]),
    "diagram": lambda: sizes.diagram(SHAPE, 2, HOSTILE),
    "lesson's link": lambda: lesson.link(HOSTILE, HOSTILE),
    "code": lambda: code._block(HOSTILE, HOSTILE),
}


@pytest.mark.parametrize("part", PARTS)
def test_hostile_text_comes_out_escaped(part):
    made = PARTS[part]()
    assert isinstance(made, Html)
    assert "&lt;img src=x onerror=&#34;hit()&#34;" in made and "<img" not in made and "\u202e" not in made
    assert not re.search(r"'|onerror=\"", re.sub(r'="[^"<>]*"', "", made).replace("(paired", ""))


def test_hostile_tokens_and_prompts_are_shown_sign_by_sign():
    assert "<img" not in tokens([HOSTILE]) and "&lt;img␣src" in tokens([HOSTILE])
    rungs = ladder([SCORE], TASK, a_record())
    assert "<img" not in rungs and "&lt;img" in rungs
    assert nearest.chips(a_record(), 0, None) == ""


@given(some.text())
def test_any_text_in_an_element_can_be_read_back(text):
    made = tag("p", text, title=text)
    assert made.count("<") == 2 and made.count('"') == 2
    assert trusted(text) == str(Html.escape(text)) and trusted(made) == str(made)


def test_a_component_takes_a_plain_string_as_text():
    assert html(HOSTILE).value == ESCAPED and html(tag("b", "x")).value == "<b>x</b>"
    assert html().postprocess(HOSTILE) == ESCAPED and type(html().postprocess(tag("b", "x"))) is str
