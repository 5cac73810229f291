"""What the panel salience says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

import numpy as np
import pytest
from panel_cases import HOSTILE, found_by, look_at, made, shown

from app.panels.salience import OWN, RIGHT, SaliencePanel, contender_of
from app.sessions.session import Session
from core.errors import LabError
from core.events import Progress
from core.probes.salience import Salience

FOUND = Salience(
    HOSTILE, ("1", "2", HOSTILE, " go"), ("vector", "vector", "words", "input"), HOSTILE, -0.5,
    np.array([1.0, 0.0, 0.2, -0.1]), np.array([2.0, 0.0, 1.0, -1.0]),
)  # fmt: skip
CONTROL = replace(FOUND, control=True, log_probability=-4.5, without=np.zeros(4))


def test_the_strongest_positions_are_told_beside_the_random_prompt(lab, run):
    view = shown(made(SaliencePanel, lab), run, [FOUND, CONTROL], chosen=1)
    assert "<b>vector 1</b> (−2.0 nats without it)" in view.html and "is less likely, by <b>4.0 nats</b>" in view.html
    assert "50 %" in view.html and "25 %" in view.html and view.html.count('<th scope="row">') == 2 and "–" in view.html
    figure = view.figure
    assert [trace["name"] for trace in figure["data"]] == ["left out", "gradient × input", "left out, after a random prompt"]
    assert figure["data"][0]["y"] == [2, 0, 1, -1] and figure["layout"]["shapes"][0]["x0"] == 0.5
    assert "depends most on vector 1: without it, 2.00 nats less" in figure["title"]
    so_far = shown(made(SaliencePanel, lab), run, [FOUND], whole=False)
    assert "random prompt" not in so_far.html and len(so_far.figure["data"]) == 2


def test_a_written_prompt_can_be_explained_on_any_input(lab, soft, prefix):
    for run in (soft, prefix):
        progress, mine, control = found_by(SaliencePanel, lab, run, input="nine")
        assert isinstance(progress, Progress) and control.control and "".join(mine.names).endswith("nine")
    _, mine, _ = found_by(SaliencePanel, lab, soft, whose=HOSTILE, input="quick")
    assert mine.contender == HOSTILE and "vector" not in mine.kinds and "words" in mine.kinds
    assert contender_of(look_at("salience", soft, whose="gone")).name == "learned"


def test_the_right_answer_is_that_of_the_row(lab, soft):
    row = soft.task.held_out[-1]
    _, mine, _ = found_by(SaliencePanel, lab, soft, input=row.input, answer=RIGHT)
    assert mine.answer == row.output
    with pytest.raises(LabError, match="right answer to this input is not known"):
        found_by(SaliencePanel, lab, soft, input="no such row", answer=RIGHT)


def test_its_settings_offer_what_the_run_has(lab, soft):
    panel = made(SaliencePanel, lab)
    panel.defaults = {"whose": "gone", "input": "", "answer": OWN}
    found = panel.refresh(Session(), [soft])
    assert found["whose"]["value"] == "the learned prompt" and HOSTILE in found["whose"]["choices"]
    assert found["input"]["value"] == soft.task.held_out[0].input and len(found["input"]["choices"]) == len(soft.task.held_out)
    assert panel.refresh(Session(), []) == {}
