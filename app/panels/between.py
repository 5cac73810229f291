"""Between prompts: the straight line from one to another, vectors moved from one into another, and the similarity of all vectors."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View, fingerprint
from app.panels.panel import Panel
from app.sessions.contest import contender_at, prefix_of_run
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from app.view.html import EMPTY, Html, row, table, td, vector_button, wide
from app.view.text import percent
from core import LabError
from core.events import Event, Finding, Progress
from core.inspection.between import barrier, cosines
from core.inspection.control import array_moved_at_random
from core.models.language_model import LanguageModel
from core.probes.between import Along, Patched, path_between, transplant, written_prefix
from core.probes.vectors import put_in
from core.runs.contest import baselines
from core.scoring.contender import Contender
from core.ticket import Ticket

LINE, MOVE, ALIKE = "walk in a straight line", "put its vectors into the other", "cosines of all vectors"
START, WRITTEN = "its own start", "words of: "


class BetweenPanel(Panel):
    name, title, button = "between", "Between prompts", "Go"
    sees = (
        "Accuracy along the straight line from this prompt to another; or which of its vectors, put into a prompt for another task, carry the "
        "behaviour with them: that tests cause, where nearest tokens only show similarity."
    )
    doubt = "that a vector carries a task alone: vectors are trained together. The dotted control shows the cost of losing the other prompt’s vectors."

    def make_settings(self) -> dict[str, Any]:
        return {
            "how": gr.Dropdown([LINE, MOVE, ALIKE], value=LINE, label="do", elem_id="between-how", min_width=220),
            "other": gr.Dropdown([START], value=START, label="the other prompt", elem_id="between-other", min_width=260, scale=2),
        }

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        others = [run.name for run in session.runs_here if run not in runs[:1] and prefix_of_run(run) is not None and not run.busy]
        written = (
            [WRITTEN + prompt.name for prompt in runs[0].task.handcrafted] if runs and runs[0].record.method.in_embedding_space else []
        )
        choices = [START, *others, *written]
        now = self.settings(session)["other"]
        return {"other": gr.update(choices=choices, value=now if now in choices else START)}

    def key(self, look: Look) -> tuple:
        if look.settings["how"] == ALIKE:
            return (ALIKE, *((run.name, fingerprint(run.record.final_vectors())) for run in _same_kind(look)))
        other = _run(look)
        made = contender_at(other, len(other.record.readings) - 1).prefix.snapshot().tobytes() if other else str(look.settings["other"])
        return (look.settings["how"], look.settings["other"], made)

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        how, mine = look.settings["how"], look.learned
        if how == ALIKE:
            yield from _alike(lm, look)
            return
        run = _run(look)
        if how == MOVE:
            if run is None:
                raise LabError(
                    "Vectors can only be put into another learned prompt: choose another run, best one for another task and of the same length."
                )
            control = None
            if (start := look.start) is not None:
                control = array_moved_at_random(start, mine.prefix.snapshot())
            yield from transplant(lm, (look.task, run.task), mine, _contender(run), self.lab.book, control=control)
            return
        yield from path_between(lm, look.task, mine, self._other(lm, look, run, mine), self.lab.book)

    def _other(self, lm: LanguageModel, look: Look, run: SessionRun | None, mine: Contender) -> Contender:
        if run is not None:
            return _contender(run)
        name = str(look.settings["other"])
        if name == START:
            if look.start is None:
                raise LabError("This prompt's start is not known: choose another prompt to walk to.")
            return put_in(lm, mine, "its start", look.start)
        prompt = next((one for one in baselines(look.task) if WRITTEN + one.name == name), None)
        if prompt is None:
            raise LabError("There is no such prompt here: choose one from the list.")
        return put_in(lm, mine, prompt.name, written_prefix(lm, prompt.template, mine.prefix.virtual_tokens))

    def view(self, look: Look, findings: Findings | None) -> View:
        if not findings or not findings.items:
            return View()
        names = ("this prompt", str(look.settings["other"]))
        if look.settings["how"] == ALIKE:
            values, groups, sizes = findings.items[-1]
            return View(figure=figures.cosines(values, groups, sizes, look.chosen))
        if look.settings["how"] == MOVE:
            run = _run(look)
            found = [item for item in findings.items if isinstance(item, Patched)]
            tasks = (f"“{look.task.name}” right", f"“{run.task.name}” right" if run else "")
            return View(_moves(found, tasks, look.chosen), figures.transplant(found, tasks, look.chosen))
        points = sorted((item for item in findings.items if isinstance(item, Along)), key=lambda one: one.share)
        losses = [one.score.loss for one in points if one.score.loss is not None]
        return View(figure=figures.along(points, names, barrier(losses) if findings.complete else None))


def _run(look: Look) -> SessionRun | None:
    return next((run for run in look.session.runs_here if run.name == look.settings["other"] and prefix_of_run(run) is not None), None)


def _contender(run: SessionRun) -> Contender:
    return contender_at(run, len(run.record.readings) - 1)


def _same_kind(look: Look) -> list[SessionRun]:
    """This run first, then the session's others of its kind that are done."""
    runs = [
        run for run in look.session.runs_here if run.record.kind == look.record.kind and prefix_of_run(run) is not None and not run.busy
    ]
    return [look.run, *(run for run in runs if run is not look.run)]


def _alike(lm: LanguageModel, look: Look) -> Iterator[Event | None]:
    groups = []
    for run in _same_kind(look):
        end = run.record.final_vectors()
        if end is not None:
            groups.append((run.name, run.record.method.to_rows(end)))
    yield Progress(1)
    mean = lm.vocabulary.mean(dim=0).cpu().numpy() if look.soft else None
    alike = cosines([values for _, values in groups], mean)
    yield Finding((alike, [name for name, _ in groups], [len(values) for _, values in groups]))


def _moves(found: list[Patched], names: tuple[str, str], chosen: int | None) -> Html:
    single = [one for one in found if len(one.which) == 1]
    if not single:
        return EMPTY
    control = {one.which: one for one in single if one.source == "control"}
    rows = []
    for one in sorted((one for one in single if one.source == "learned"), key=lambda one: one.which):
        vector, other = one.which[0], control.get(one.which)
        own = [percent(score.accuracy) for score in (one.from_task, one.into_task)]
        beside = [percent(score.accuracy) for score in (other.from_task, other.into_task)] if other else ["–", "–"]
        cells = [vector_button(vector), *own, *(td(cell, class_="num control") for cell in beside)]
        rows.append(row(cells, numbers=(1, 2), class_="lit" if chosen == vector else None))
    heads = ["vector", *names, f"{names[0]}, random", f"{names[1]}, random"]
    return wide(table(heads, rows, "One vector put in alone", numbers=(1, 2, 3, 4)))
