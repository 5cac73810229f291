"""Which readings can be believed? The recorded scoreboard of readings against known truths. Nothing in it can be changed."""

import gradio as gr

from app.components.widgets import drawn, html, plot
from app.view import scoreboard
from app.view.html import tag
from core.truths.recorded import recorded

ASKED = "Which readings can be believed?"
SEES = (
    "A prompt was trained to do what a known instruction does, such as “Translate into French:”. Then each reading "
    "was asked which instruction it was, among wrong ones."
)
DOUBT = "that a reading which fails here fails on a larger model, or that one which works here also works for skills without words."


def build() -> None:
    """The section, or nothing where no scoreboard is recorded."""
    board = recorded()
    if board is None:
        return
    with gr.Accordion(ASKED, open=False, elem_id="panel-scoreboard", elem_classes="panel"):
        html(tag("p", SEES, " ", tag("b", "Don’t conclude"), " ", DOUBT, class_="note sees"))
        html(tag("p", tag("b", "Measured: "), scoreboard.found(board)), elem_id="scoreboard-finding", elem_classes="prose")
        plot(value=drawn(scoreboard.figure(board)), elem_id="scoreboard-plot")
        html(scoreboard.scoreboard_table(board) + scoreboard.origin(board), elem_id="scoreboard-table")
