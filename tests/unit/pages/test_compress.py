"""The button that compresses a written prompt: what the run's settings are, and what is refused."""

import gradio as gr
import pytest
from tiny_models import answer_task

from app.pages.compress import Compress
from app.pages.train import TrainPage
from app.sessions.session import Session
from core.recipe import Recipe
from core.tasks.task import Handcrafted


@pytest.fixture(scope="module")
def parts(lab):
    with gr.Blocks():
        train, button, message = TrainPage(lab, None), Compress(), gr.HTML()
        with gr.Tabs() as tabs:
            pass
    return train, button, tabs, message


def pressed(parts, session, name):
    train, button, tabs, message = parts
    values = [Recipe().to_dict()[field] for field in train.controls]
    changes = button.take(train, tabs, message, session, name, *values)
    return {field: changes[control] for field, control in train.controls.items()}, changes[tabs]


def test_the_train_page_gets_the_prompt_as_the_teacher_and_a_template_whose_answers_begin_alike(parts):
    quoted = Handcrafted("quoted", 'Words.\n"{input}" becomes "')
    session = Session(task=answer_task(handcrafted=(*answer_task().handcrafted, quoted)))
    controls, tabs = pressed(parts, session, "example")
    assert tabs.selected == "train" and controls["loss"]["value"] == "imitate" and controls["template"]["value"] == ""
    assert (
        controls["teacher"]["value"] == "jump -> yes\n{input} ->" and controls["teacher"]["visible"] and controls["continuation"]["visible"]
    )
    assert not controls["end"]["visible"] and controls["steps"]["value"] == Recipe().steps
    controls, _ = pressed(parts, session, "quoted")
    assert controls["template"]["value"] == '"{input}" becomes "'


def test_an_unknown_prompt_and_a_press_during_a_run_are_refused(lab, parts):
    session = Session(task=answer_task())
    with pytest.raises(gr.Error, match="no written prompt of this name"):
        pressed(parts, session, "<b>")
    run = lab.start(session, Recipe(task="tiny", steps=9000, batch_size=4, virtual_tokens=3))
    try:
        with pytest.raises(gr.Error, match="A run is training: stop it"):
            pressed(parts, session, "example")
    finally:
        lab.engine.cancel(run.ticket)
