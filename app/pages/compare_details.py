"""The Compare page's details: pairs, rows, measures, confusion and intervals of the contenders that are scored."""

from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, Changes, clicked, drawn, html, plot
from app.sessions.contest import grid_columns, scores_in_sight, written_names
from app.sessions.contest_jobs import ask_all
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.view import figures, tables
from app.view.html import alert
from core.scoring.measures import confusion, expected_calibration_error, reliability
from core.scoring.score import Score

ALL = "all rows"
EMPTY: dict[str, Any] = {"title": "", "note": "Nothing to show yet.", "data": [], "layout": {"height": 120}}


class Details:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        self.contender = gr.Dropdown(label="details for", choices=[], elem_id="look")
        with gr.Tabs():
            with gr.Tab("Pairs", id="pairs"):
                self.verdict = html(elem_id="verdict")
            with gr.Tab("Rows", id="rows"):
                with gr.Row(elem_classes="settings"):
                    self.label = gr.Dropdown(label="right answer", choices=[ALL], value=ALL, elem_id="grid-label", min_width=140)
                    self.disputed = gr.Checkbox(True, label="most disputed first", elem_id="grid-disputed", min_width=140)
                    self.only = gr.Checkbox(False, label="only learned is right", elem_id="grid-only", min_width=140)
                self.grid = html(elem_id="grid")
                with gr.Row(elem_classes="buttons"):
                    self.export = gr.Button("All rows as CSV", elem_id="export-rows", scale=0, min_width=150, size="sm")
                    self.exported = html(elem_id="exported")
                self.cell = html(elem_id="cell")
            with gr.Tab("Measures", id="measures-tab"):
                self.reliability = plot(elem_id="reliability")
                self.measures = html(elem_id="measures")
            with gr.Tab("Confusion", id="confusion") as self.confusion_tab:
                self.confusion = plot(elem_id="confusion")
            with gr.Tab("Plot", id="plot"):
                self.intervals = plot(elem_id="intervals")
        self.of_contender = [self.contender, self.verdict, self.reliability, self.measures, self.confusion_tab, self.confusion]
        self.outputs = [*self.of_contender, self.label, self.grid, self.cell, self.intervals]

    # --- what it shows ----------------------------------------------------------------------------------------------

    def paint(self, session: Session, scores: dict[str, Score], grouped: list[Score]) -> Changes:
        """Changes of `outputs`. grouped: of the table of contenders."""
        labels, chosen = [ALL, *(session.task.labels or ())], session.compare
        return {
            **self._paint_contender(session, scores),
            self.label: gr.update(choices=labels, value=chosen.label if chosen.label in labels else ALL),
            self.grid: self._list_rows(session, chosen.label, chosen.disputed, chosen.only_learned),
            self.cell: "",
            self.intervals: drawn(figures.intervals(grouped, written_names(session.task))),
        }

    def _paint_contender(self, session: Session, scores: dict[str, Score]) -> Changes:
        """Changes of `of_contender`: pairs, calibration and confusion of the contender that is chosen."""
        task = session.task
        known = [score for score in scores.values() if score.results]
        if not known:
            return {
                self.contender: gr.update(choices=[], value=None),
                self.verdict: "",
                self.reliability: drawn(EMPTY),
                self.measures: "",
                self.confusion_tab: gr.update(visible=bool(task.labels)),
                self.confusion: drawn(EMPTY),
            }
        newest = next((score for score in reversed(known) if score.name in {run.name for run in session.runs_here}), None)
        best = max(known, key=lambda score: score.accuracy)
        score = scores.get(session.compare.detailed) or newest or best
        calibration, matrix = EMPTY, EMPTY
        if score.kind != "majority":
            sure, right = [result.confidence for result in score.results], [result.correct for result in score.results]
            calibration = figures.reliability(score.name, reliability(sure, right), expected_calibration_error(sure, right))
        if task.labels:
            said = [tables.label_said(result, task) for result in score.results]
            matrix = figures.confusion(score.name, confusion([result.output for result in score.results], said, task.labels), task.labels)
        return {
            self.contender: gr.update(choices=[score.name for score in known], value=score.name),
            self.verdict: tables.verdicts(score, known),
            self.reliability: drawn(calibration),
            self.measures: tables.measures(scores, bool(task.labels)),
            self.confusion_tab: gr.update(visible=bool(task.labels)),
            self.confusion: drawn(matrix),
        }

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, message: gr.HTML) -> None:
        """message: where the page puts a sentence."""
        self.message = message
        self.contender.input(self._pick, [session, self.contender], self.of_contender, **NEWEST)
        self.export.click(self._export, [session], [self.exported], **QUIET)
        filters = [self.label, self.disputed, self.only]
        for control in filters:
            control.input(self._list_rows, [session, *filters], [self.grid], **NEWEST)
        self.grid.click(self._ask_row, [session], [self.message, self.cell], **QUIET)

    def _pick(self, session: Session, name: Any) -> Changes:
        session.compare.detailed = str(name)
        return self._paint_contender(session, scores_in_sight(session))

    def _export(self, session: Session) -> str:
        return tables.download("row-by-row.csv", tables.grid_csv(list(scores_in_sight(session).values())), "save row-by-row.csv")

    def _list_rows(self, session: Session, label: Any, disputed: Any, only: Any) -> str:
        """The grid of rows and contenders, for these filters."""
        scores, chosen = grid_columns(session), session.compare
        chosen.label = label if label in (session.task.labels or ()) else ""
        chosen.disputed, chosen.only_learned = bool(disputed), bool(only)
        chosen.listed = tables.ordered_rows(scores, chosen.label, chosen.only_learned, chosen.disputed)
        return tables.grid(scores, chosen.listed, written_names(session.task))

    async def _ask_row(self, session: Session, event: gr.EventData) -> AsyncIterator[Changes]:
        """All answers to the row that was clicked."""
        number = clicked(event, "cell", len(session.compare.listed))
        if number is None:
            yield gr.skip()
            return
        task, text = session.task, session.compare.listed[number]
        wanted = next((example.output for example in task.held_out if example.input == text), "")
        async for answers in ask_all(self.lab, session, text):
            said = tables.next_words(text, answers.said, answers.considered, wanted, task.labels or ())
            yield {self.message: alert(answers.problem), self.cell: said}
