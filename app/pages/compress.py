"""Compare's button that compresses a written prompt: a run on the Train page then learns to predict what the model does after it."""

from functools import partial
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, Changes, html
from app.pages.train import TrainPage
from app.sessions.contest import prompt_named
from app.sessions.jobs import Paint
from app.sessions.session import Session
from app.view.html import alert, note
from core import LabError
from core.scoring.imitation import template_for

ABOUT = "Compressing trains a prompt on the Train page, with its settings, to predict what the model does after the words of this one."


class Compress:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self) -> None:
        self.button = gr.Button("Compress this prompt", elem_id="compress", min_width=160)
        html(note(ABOUT))

    def wire(
        self, session: gr.State, base: Any, message: Any, train: TrainPage, tabs: gr.Tabs, paint_others: Paint, other_outputs: list[Any]
    ) -> None:
        """base: the choice of the written prompt. message: where a sentence goes. paint_others: what other pages show after the run."""
        controls = list(train.controls.values())
        outputs = [tabs, message, *train.set_up_outputs]
        taken = self.button.click(partial(self.take, train, tabs, message), [session, base, *controls], outputs, **QUIET)
        begun = taken.success(train.begin, [session, *controls], train.outputs, **QUIET)
        begun.then(paint_others, [session], other_outputs, **QUIET)  # the run is over

    def take(self, train: TrainPage, tabs: gr.Tabs, message: Any, session: Session, name: Any, *values: Any) -> Changes:
        """The settings of the run, in the controls of the Train page, which is opened."""
        try:
            if session.training:
                raise LabError("A run is training: stop it, or wait until it ends.")
            teacher = prompt_named(session, name).template
        except LabError as error:
            raise gr.Error(str(error), print_exception=False) from error
        template = template_for(session.task, teacher)
        changed = {"loss": "imitate", "teacher": teacher, "template": "" if template == session.task.template else template}
        settings = dict(zip(train.controls, values, strict=True)) | changed
        return {tabs: gr.Tabs(selected="train"), message: alert(""), **train.set_up(session, settings)}
