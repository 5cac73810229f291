"""The section on readings against known truths: it shows the recorded table, and is left out where none is recorded."""

import gradio as gr

from app.pages import scoreboard
from core.truths.ranking import Place
from core.truths.result import Board, Head, PromptRead, Setting


def texts(board, monkeypatch):
    """What the section's components hold, by their id."""
    monkeypatch.setattr(scoreboard, "recorded", lambda: board)
    with gr.Blocks() as page:
        scoreboard.build()
    return {block.elem_id: getattr(block, "value", "") for block in page.blocks.values() if getattr(block, "elem_id", None)}


def test_the_section_shows_what_is_recorded_and_is_left_out_where_nothing_is(monkeypatch):
    places = {source: {"states": Place(0, 0, 5), "behaviour": Place(0, 0, 5)} for source in ("learned", "moved", "start", "text")}
    made = PromptRead("french", Setting(8, "vocab", 0), (2.0, 0.1), places, {"greedy": "<b>La mer"}, (1.0, 1.0))
    head = Head("tiny", "w", "cpu", "float32", "t", 40, 8)
    found = texts(Board(head, {"french": "language"}, {"french": "Translate"}, (made,)), monkeypatch)
    assert "0 of 1 readings" in found["scoreboard-finding"] and "&lt;b&gt;La mer" in found["scoreboard-table"]
    assert "activations" in found["scoreboard-plot"]
    assert texts(None, monkeypatch) == {}
