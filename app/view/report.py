"""A run as one HTML file that opens anywhere: recipe, comparison, curves, readings with their controls, and what it does not show.

The page is assets/report.html; tables and figures in it are those of the app's pages. plotly.js is in the file once.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2
import plotly

from app.view import figures
from app.view.bars import bars
from app.view.headline import headline, imitated, recipe_line
from app.view.html import Html
from app.view.nearest import chips, nearest_table
from app.view.samples import samples, skipped
from app.view.text import in_order, percent
from core.files import ASSETS
from core.recipe import SETTINGS
from core.runs.record import RunRecord
from core.runs.record_json import without_nan

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


def report(record: RunRecord) -> str:
    """The whole file, as text. All that the record says is escaped."""
    page = jinja2.Environment(
        autoescape=True, trim_blocks=True, undefined=jinja2.StrictUndefined, finalize=lambda one: in_order(one) if type(one) is str else one
    )
    page.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    scores = [replace(score, seconds=record.seconds) if score.learned else score for score in record.scores]
    last = len(record.readings) - 1
    caption = f"Right answers on the {record.task['held_out']} held-out rows, scored once"
    return page.from_string((ASSETS / "report.html").read_text("utf-8")).render(
        record=record,
        title=f"{record.task['name']}: a {record.method.label}",
        finding=_finding(record),
        imitated=imitated(record),
        recipe_line=recipe_line(record),
        comparison=bars(scores, caption, record.task["handcrafted"], full=True),
        skipped=skipped(record),
        difference=record.difference,
        curves=_figure("curves", figures.curves(record)) if record.step else None,
        nearest=nearest_table(record, last, buttons=False) if record.method.in_embedding_space else chips(record, 0, None),
        plane=_figure("plane", _plane(record)),
        samples=samples(record, record.step),
        facts=_facts(record),
        style=(ASSETS / "report.css").read_text("utf-8"),
        script=(ASSETS / "report.js").read_text("utf-8"),
        plotly=PLOTLY.read_text("utf-8"),
    )


def _finding(record: RunRecord) -> Html:
    if record.scores or record.validation:
        return headline(record)
    count = record.recipe["virtual_tokens"]
    words = Html("<b>{}:</b> a {} of {} virtual tokens from a file, not scored here")
    return words.format(record.task["name"], record.method.label, count)


def _figure(name: str, figure: dict[str, Any]) -> dict[str, Any]:
    """A figure as the page takes it."""
    plot = without_nan({"data": figure["data"], "layout": figure["layout"]})
    return {"name": name, "title": figure["title"], "note": figure["note"], "plot": plot, "height": figure["layout"]["height"]}


def _plane(record: RunRecord) -> dict[str, Any]:
    figure = figures.plane(record, len(record.readings) - 1, control=record.method.in_embedding_space and record.start_known)
    shown = percent(sum(record.explained[:2]))
    moved = [float(distance) for distance in record.readings[-1].moved]
    if record.start_known and len(record.readings) > 1:
        figure["title"] = f"Vectors moved by {min(moved):.2f} to {max(moved):.2f}; this plane shows {shown} of the variance of real words"
    paths = "" if record.step and len(record.readings) == record.step + 1 else " The path between was not kept."
    figure["note"] = (
        f"PCA of {'the vocabulary' if record.method.in_embedding_space else 'the values of real words in the middle layer'} (grey). Hollow: the start; filled: "
        f"the end; violet crosses: the start moved equally far at random. Points that look close may be far apart.{paths if record.start_known else ''}"
    )
    return figure


def _facts(record: RunRecord) -> list[tuple[str, object, str]]:
    """Name, value and help of each known fact about the run, and of each setting of its recipe."""
    base = record.base
    known = [
        ("base model", base.get("name", "")),
        ("its weights (SHA-256)", base.get("weights", "")),
        ("trained on", ", ".join(str(base[name]) for name in ("device", "dtype") if base.get(name))),
        ("numbers learned", f"{record.parameters:,}"),
        ("seconds of training", f"{record.seconds:.1f}" if record.seconds else "not known"),
        ("ended", record.stopped or ("after its last step" if record.step else "not known")),
        ("vectors of step", f"{record.kept}, chosen on validation rows" if record.recipe.get("keep") == "best" and record.kept else ""),
        ("recorded", ", ".join(record.recorded.values()) if record.recorded else ""),
    ]
    settings = [
        (setting.label, record.recipe[name], setting.help)
        for name, setting in SETTINGS.items()
        if record.recipe.get(name) not in ("", None)
    ]
    return [*((name, value, "") for name, value in known if value), *settings]
