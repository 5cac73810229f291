"""The report: all numbers of the run stand in it as text, it fetches nothing, and no text in it is markup."""

import copy
import json
import re
from dataclasses import replace

import plotly.graph_objects as go
import pytest
from tiny_models import answer_task, make

from app.view.report import report
from core import Recipe, train
from core.runs.readings import Vocabulary
from core.runs.record_json import record_from_json
from core.runs.record_writer import loaded_record
from core.runs.saved_adapter import from_files
from core.scoring.row_results import RowResult

EVIL = "<img src=x onerror=hit()></script><script>hit()</script>"


@pytest.fixture(scope="module", params=["prompt", "prefix"])
def made(request):
    recipe = Recipe(method=request.param, steps=4, batch_size=4, virtual_tokens=4)
    return train(make("llama"), answer_task(), recipe, progress=False)


def body(text: str) -> str:
    """The report without its scripts and style."""
    return re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)


def test_it_holds_the_runs_numbers_and_plotly_once(made):
    text = report(made.record)
    assert text.count("plotly.js v") == 1 and len(text) < 6_000_000
    assert "default-src 'none'" in text and not re.search(r"<(link|img|iframe)\b|src=|href=", body(text))
    for score in made.scores.values():
        assert f"{100 * score.accuracy:.0f} %" in body(text)
    for wanted in (made.lm.weights_hash, "What this report does not show", "virtual tokens", "scored once"):
        assert wanted in body(text)
    assert "has no nearest tokens" in text if made.record.kind == "prefix" else "moved at random" in body(text)
    figures = [json.loads(data) for data in re.findall(r'data-for="[^"]+">(.*?)</script>', text)]
    assert len(figures) == 2
    for figure in figures:
        go.Figure(figure)  # plotly knows everything in it


def test_no_text_in_it_is_markup(made):
    record = copy.deepcopy(made.record)
    record.task |= {"name": EVIL, "handcrafted": [EVIL]}
    record.recipe |= {"init": "text", "init_text": EVIL, "template": EVIL}
    record.base = dict.fromkeys(record.base, EVIL)
    record.texts = dict.fromkeys(record.texts, EVIL)
    record.stopped, record.recorded = EVIL, {EVIL: EVIL}
    record.skipped = {EVIL: EVIL}
    evil = {"name": EVIL, "results": (RowResult(EVIL, EVIL, True, True, 0.0, 1, EVIL),)}
    record.scores = [replace(score, **evil) for score in record.scores]
    record.lines = [replace(score, **evil) for score in record.lines]
    record.validation = {step: replace(score, **evil) for step, score in record.validation.items()}
    text = report(record)
    assert "<img" not in body(text) and "hit()" in body(text)
    assert text.count("</script>") == report(made.record).count("</script>")


def test_a_plain_adapter_gives_what_can_be_read(made):
    files = {name: data for name, data in made.files().items() if name.startswith("adapter")}
    record = loaded_record(made.lm, answer_task(), from_files(files, made.lm, "x"), Vocabulary(made.lm))
    text = body(report(record))
    assert "No prompt was scored" in text and "there are no curves" in text and "not scored here" in text
    assert "moved at random</th>" not in text or "start is not known" in text


def test_a_recording_can_be_reported(pytestconfig):
    path = pytestconfig.rootpath / "assets" / "recordings" / "past-tense.json"
    text = body(report(record_from_json(path.read_text("utf-8"))))
    assert "95 %" in text and "2026" in text
