"""The scoreboard's figure, table and sentences: what they count, and that no text in them becomes markup."""

import json

import plotly.graph_objects as go
import pytest
from made_up import HOSTILE

from app.view import figures
from app.view import scoreboard as view
from core.truths.ranking import Place
from core.truths.result import Board, Head, PromptRead, Setting, lines

HEAD = Head("owner/tiny", "weights", "cpu", "float32", "truths", 40, 8)


@pytest.fixture(scope="module")
def board():
    """`behaviour` and `states` find the truth, `greedy` sees it in the text itself alone, `snapped` nowhere."""
    prompts = []
    for number in range(10):
        learned = {"snapped": 2 + number, "greedy": 2 + number, "states": number % 3, "behaviour": 0}
        control = dict.fromkeys(learned, 7)
        text = {"snapped": 7, "greedy": 0, "states": 0, "behaviour": 0}
        places = {
            source: {name: Place(better, 0, 14) for name, better in of.items()}
            for source, of in (("learned", learned), ("moved", control), ("start", control), ("text", text))
        }
        prompts.append(PromptRead(f"t{number}", Setting(8, "vocab", 0), (3.0, 0.5), places, {"greedy": HOSTILE}, (1.0, 1.0)))
    names = [one.truth for one in prompts]
    return Board(HEAD, dict.fromkeys(names, "task"), dict.fromkeys(names, HOSTILE), tuple(prompts), {"date": "2026-11-28"})


def test_the_sentences_say_what_was_found_and_what_was_not(board):
    said = view.found(board)
    assert said.startswith("1 of 3 readings find the truth (above chance, and above their control): activations.")
    assert "Not so: snapped text and greedy text." in said
    assert (
        "Even in the text itself the truth is not found by snapped text." in said
        and "puts the truth first for 100 % of the prompts" in said
    )
    assert view.title(board).endswith("1 of 3")


def test_the_table_has_a_row_for_each_reading_with_its_control_and_verdict(board):
    text = view.scoreboard_text(board)
    (states,) = [line for line in text.splitlines() if line.startswith("activations")]
    assert "finds the truth" in states and "46 %" in states and "100 %" in states
    (greedy,) = [line for line in text.splitlines() if line.startswith("greedy")]
    assert "finds nothing" in greedy
    made = str(view.scoreboard_table(board)) + str(view.origin(board))
    assert HOSTILE not in made and "28 Nov 2026" in made and "python -m app scoreboard" in made and made.count("<tr") == 5 + 11


def test_the_figure_has_the_truths_place_by_each_reading_next_to_its_controls_and_chance(board):
    labels = {one.reading: f"<b>{one.reading}</b>" for one in lines(board)}
    value = figures.scoreboard(lines(board), labels, view.title(board), 10, 10)
    made = go.Figure(data=value["data"], layout=value["layout"])
    assert "<b>" not in json.dumps([value["data"], value["layout"]])
    by_name = {trace.name: trace for trace in made.data}
    assert len(by_name) == 4 and all(len(trace.x) == 4 for trace in made.data)
    learned, control = by_name["the prompt that imitates"], by_name["its start, moved at random"]
    assert learned.x[0] == 100 and control.x[0] == pytest.approx(100 * 6 / 13, abs=0.01)  # the first row of the axis is the last reading
    assert learned.error_x.array[0] == 0 and max(learned.error_x.array) > 0
    assert made.layout.shapes[0].x0 == made.layout.shapes[0].x1 == 50
