"""Runs with hostile names for the tests of panels, and what a panel shows of them."""

import json
import re

import plotly.graph_objects as go
from tiny_models import answer_task

from app.panels.between import LINE, START
from app.panels.findings import Findings, Shelf
from app.panels.look import Look
from app.panels.snap import ALL
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.tasks.task import Handcrafted

HOSTILE = "<img src=x onerror=alert(1)>"
TAGS = r"</?(abbr|table|caption|thead|tbody|tr|th|td|i|p|span|button|b|u|q|br|div|strong|details|summary|sub)( [^<>]*)?>"


class FakeLab:
    """All that panels ask of a lab here."""

    model, dtype = "tiny", "float32"

    def __init__(self, lm):
        self.lm, self.book, self._vocabulary = lm, Scorebook(), Vocabulary(lm)

    def vocabulary(self, lm):
        return self._vocabulary


def trained(lab, method="prompt", name=HOSTILE, **settings):
    """A run of hostile names, its nearest words hostile too."""
    task = answer_task(name=HOSTILE, handcrafted=(Handcrafted(HOSTILE, "Word: {input} gives"), Handcrafted("plain", "{input} ->")))
    recipe = Recipe(**(dict(task="tiny", method=method, virtual_tokens=3, steps=3) | settings))
    record = new_record(task, recipe)
    for _ in training_job(lab.lm, task, recipe, lab.vocabulary(lab.lm), lab.book, record, lambda: False):
        pass
    record.texts = {token: HOSTILE for token in record.texts}
    return SessionRun(name, record, task, recipe)


DEFAULTS = {
    "attention": {"layer": -1, "head": -1},
    "between": {"how": LINE, "other": START},
    "hears": {"whose": "the learned prompt"},
    "plane": {"basis": "vocabulary", "dimensions": 2, "extras": [], "layer": 1, "part": 1, "head": -1},
    "snap": {"how": ALL},
    "vectors": {"what": "leave out"},
    "wayward": {"sentence": "the fox", "gammas": "1", "steps": 2},
}


def shown(panel, run, items=None, whole=True, chosen=None, runs=(), step=3, **settings):
    """What `panel` shows of `run` with findings `items` (None: none): checked to hold no markup but its own."""
    session = Session(chosen=chosen, runs=[run, *runs])
    look = Look(session, run, step, DEFAULTS.get(panel.name, {}) | settings, tuple(runs))
    view = panel.view(look, None if items is None else Findings(items=list(items), complete=whole, total=9))
    inner = re.sub(TAGS, "", view.html)
    assert "<" not in inner and ">" not in inner
    if view.figure:
        assert go.Figure(data=view.figure["data"], layout=view.figure["layout"]).data
        assert "<img" not in json.dumps([view.figure["data"], view.figure["layout"]], default=float)
    return view


def made(panel, lab):
    return panel(lab, Shelf())
