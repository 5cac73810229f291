"""Runs with hostile names for the tests of panels, and what a panel shows of them."""

import json
import re

import plotly.graph_objects as go
from made_up import trained_record
from tiny_models import answer_task

from app.panels.between import LINE, START
from app.panels.findings import Findings, Shelf
from app.panels.keys_values import WHOLE
from app.panels.look import Look
from app.panels.snap import ALL
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from core.recipe import Recipe
from core.tasks.task import Handcrafted

HOSTILE = "<img src=x onerror=alert(1)>"
TAGS = r"</?(abbr|table|caption|thead|tbody|tr|th|td|i|p|span|button|b|u|q|br|div|strong|details|summary|sub)( [^<>]*)?>"


def trained(lab, method="prompt", name=HOSTILE, **settings):
    """A run of hostile names, its nearest words hostile too."""
    task = answer_task(name=HOSTILE, handcrafted=(Handcrafted(HOSTILE, "Word: {input} gives"), Handcrafted("plain", "{input} ->")))
    recipe = Recipe(**(dict(task="tiny", method=method, virtual_tokens=3, steps=3) | settings))
    record = trained_record(lab.engine.lm, task, recipe)
    record.texts = {token: HOSTILE for token in record.texts}
    return SessionRun(name, record, task, recipe)


DEFAULTS = {
    "attention": {"layer": -1, "head": -1},
    "between": {"how": LINE, "other": START},
    "describes": {"frame": "means", "source": 0, "layer": 0},
    "fits": {"sentence": "the fox", "vectors": 1, "steps": 3, "seed": 0},
    "hears": {"whose": "the learned prompt"},
    "keysvalues": {"how": WHOLE, "other": START},
    "plane": {"basis": "vocabulary", "dimensions": 2, "extras": [], "layer": 1, "part": 1, "head": -1},
    "salience": {"whose": "the learned prompt", "input": "", "answer": "the answer that it gives"},
    "snap": {"how": ALL},
    "textsearch": {"rounds": 2, "candidates": 4, "seed": 0},
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


def look_at(name, run, beside=(), session=None, **settings):
    """What the panel of this name is asked to show of `run` after step 3, with its usual settings but for those given."""
    return Look(session or Session(), run, 3, DEFAULTS.get(name, {}) | settings, beside)


def found_by(panel, lab, run, **settings):
    """All that the panel's experiment yields for `run`."""
    job = made(panel, lab).job(lab.engine.lm, look_at(panel.name, run, **settings), None)
    return [event for event in job if event is not None]
