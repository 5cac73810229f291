"""Compare's tables and plots: what they count, what they export, and that no text in them becomes markup."""

import csv
import io
import re

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import INPUTS, a_score

from app.sessions.jobs import ContestProgress
from app.view import figures, tables
from app.view.bars import bars
from app.view.tables import verdicts
from core.events import Progress
from core.runs.contest import Scored
from core.scoring.measures import reliability
from core.scoring.row_results import RowResult
from core.scoring.score import Score

SCORES = [a_score("run 1", "11111100", "prompt", seconds=3.0), a_score("plain", "11000000"), a_score("few", "11110011")]


def test_a_group_is_one_row_with_its_mean_and_range():
    rows = ("11110000", "11111100", "11000000")
    several = {f"order {n}": a_score(f"order {n}", right, group="4 examples") for n, right in enumerate(rows)}
    rows = tables.grouped({"plain": SCORES[1], **several})
    assert [score.name for score in rows] == ["plain", "4 examples: mean of 3"]
    assert rows[1].accuracy == pytest.approx(0.5) and rows[1].interval == (0.25, 0.75)
    assert rows[1].members == ("order 0", "order 1", "order 2")
    assert tables.grouped({"order 0": several["order 0"]})[0].name == "order 0"  # one is no group


def test_the_table_shows_the_best_first_and_what_each_costs():
    made = bars(tables.grouped({score.name: score for score in SCORES}), "caption", ["plain", "few"], full=True)
    assert made.index("run 1") < made.index(">few") < made.index(">plain")
    assert "trained" in made and ">10<" in made and ">3<" in made


def test_rows_are_those_that_are_asked_for():
    everything = tables.ordered_rows(SCORES, "", False, False)
    assert everything == INPUTS
    assert tables.ordered_rows(SCORES, "yes", False, False) == [text for n, text in enumerate(INPUTS) if n % 2]
    assert tables.ordered_rows(SCORES, "", True, False) == ["row 4", "row 5"]
    disputed = tables.ordered_rows(SCORES, "", False, True)
    assert set(disputed[-2:]) == {"row 0", "row 1"} and len(disputed) == 8  # on these all agree


def test_a_cell_carries_its_row():
    made = tables.grid(SCORES, ["row 3", "row 0"], [])
    assert made.count('data-cell="0"') == 3 and made.count('data-cell="1"') == 3
    assert 'class="right"' in made and 'class="wrong"' in made
    assert "No rows match" in tables.grid(SCORES, [], [])
    random = a_score("control: random vectors", "11111111", "prompt")
    assert tables.ordered_rows([*SCORES, random], "", True, False) == ["row 4", "row 5"]  # a control has learned nothing
    missing = a_score("short", "1111", "prompt")
    assert "does not count" in tables.grid([*SCORES, missing], INPUTS, [])


def test_what_is_measured_besides():
    answers = tables.measures({score.name: score for score in SCORES}, labelled=False)
    assert "tokens agreeing" in answers and "75 %" in answers and "0.05" in answers  # |0.75 - 0.8|
    assert "first choice" in tables.measures({score.name: score for score in SCORES}, labelled=True)


def test_verdicts_speak_of_every_pair():
    made = verdicts(SCORES[0], SCORES)
    assert made.count("<tr>") == 3 and "rows" in made and "+50" in made
    assert "at least two" in verdicts(SCORES[0], SCORES[:1])


@given(st.lists(st.lists(st.text(max_size=20) | st.integers(), min_size=2, max_size=2), max_size=6))
def test_a_csv_holds_every_cell_and_no_formula(rows):
    made = tables.as_csv(["a", "b"], rows)
    back = list(csv.reader(io.StringIO(made, newline="")))
    for row, read in zip(rows, [cells for cells in back[1:] if cells], strict=False):
        if all(isinstance(cell, str) and "\r" not in cell and cell for cell in row):
            assert [cell.removeprefix("'") for cell in read] == [cell.removeprefix("'") for cell in row]
    assert not any(cell.startswith(("=", "+", "@")) for cells in back[1:] for cell in cells if not cell.lstrip("+-").isdigit())


def test_the_exports_are_csv_and_safe():
    evil = a_score("=1+1", "11110000")
    made = list(csv.DictReader(io.StringIO(tables.contenders_csv({evil.name: evil}))))
    assert made[0]["name"] == "'=1+1" and float(made[0]["accuracy"]) == 0.5
    assert len(list(csv.reader(io.StringIO(tables.grid_csv([evil]))))) == 9
    link = tables.download("<b>.csv", "a,b", "this & that")
    assert "<b>" not in link and "this &amp; that" in link


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_becomes_markup(text, said):
    score = Score(
        text, "prompt", 0.5, (0.2, 0.8), 0.5, 1, 0.5, 0.5, 3, 10, (RowResult(text, said, True, True, 0.5, 1, said, 0.8),), 0.5, 0.5
    )
    made = tables.grid([score], [text], [text]) + tables.next_words(text, {text: said}, {text: ([(said, 0.5)], [0.5])}, said, (said,))
    made += tables.measures({text: score}, False) + verdicts(score, [score, SCORES[0]])
    inner = re.sub(r"</?(table|caption|thead|tbody|tr|th|td|i|p|span|button)( [^<>]*)?>", "", made)
    assert "<" not in inner and ">" not in inner


def test_plotly_knows_everything_in_these_figures():
    rows = tables.grouped({score.name: score for score in SCORES})
    bins = reliability([r.confidence for r in SCORES[0].results], [r.correct for r in SCORES[0].results])
    counts = np.array([[3, 1], [0, 4]])
    for value in (
        figures.intervals(rows, ["plain"]),
        figures.reliability("run 1", bins, 0.05),
        figures.confusion("run 1", counts, ["<b>yes</b>", "no"]),
    ):
        made = go.Figure(data=value["data"], layout=value["layout"])
        assert made.data and "<b>" not in str(value["data"]) + str(value["layout"])
    assert figures.intervals(rows, [])["title"] == "Highest on these rows: few, run 1 (75 %)"  # of two equal ones none is ahead
    assert "7 of 8" in figures.confusion("run 1", counts, ["yes", "no"])["title"]


def test_progress_says_how_many_and_how_long():
    clock = ContestProgress(8)
    clock.take(Progress(2))
    assert clock.words() == "0 of 2 contenders scored"
    clock.began -= 10
    clock.take(Scored("held_out", SCORES[0]))
    assert clock.words() == "1 of 2 contenders scored, about 10 s left"
