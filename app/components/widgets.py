"""Components that Gradio does not have, each a gr.HTML with a constant template: a plot that keeps its zoom, trusted HTML, counters.

A constant template matters: gr.HTML would read `${...}` and `{{...}}` in it as code, so it never holds a value. Their JavaScript is
in assets/page.js, which the page loads once: a copy in each component made the page twice as large.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

from app.view.html import Html
from core.files import ASSETS
from core.runs.record_json import without_nan

PLOTLY = Path(plotly.__file__).parent / "package_data"  # the whole of it
FLAT = ASSETS / "plotly"  # what draws flat figures, a third of that; as published, of the same version
SCRIPT = ASSETS / "page.js"

# Options of this page's events. The page shows progress itself. Without `show_progress_on` Gradio's page goes through all outputs of
# all events at every message, which took the browser 37 ms a training step and 140 ms a scrub.
SILENT: dict[str, Any] = {"show_progress": "hidden", "show_progress_on": []}
# Events that share a `concurrency_id` are begun in the order in which they came; Gradio draws lots between those that do not. And no
# press is dropped because the answer to the one before is still on its way, which is what Gradio's own "once" does.
QUIET: dict[str, Any] = {
    **SILENT, "concurrency_limit": None, "concurrency_id": "page", "api_visibility": "private", "trigger_mode": "multiple",
}  # fmt: skip
NEWEST = {**QUIET, "trigger_mode": "always_last"}  # of a control: of what it holds while an answer is on its way, the newest counts

FIGURE = (
    '<figure class="plot"><figcaption class="plot-title"></figcaption>'
    '<div class="plot-host" role="group"></div><p class="plot-note"></p>'
    '<details class="plot-data"><summary>Data as a table</summary><div></div></details></figure>'
)


def head(parts: Mapping[str, str]) -> str:
    """The page's scripts. parts: what a link's `hide=` can name, by name, as CSS selectors.

    The braces around the script keep its names out of the global scope. Plotly takes the browser long to read, so it is
    fetched before any component is made, and only a third of it: assets/page.js fetches the whole for a figure in three dimensions.
    """
    script = f"<script>{{{SCRIPT.read_text('utf-8')}}}\nlab.hide({json.dumps(parts)})</script>"
    whole, flat = (f"gradio_api/file={path}" for path in (PLOTLY / "plotly.min.js", FLAT / "plotly-cartesian.min.js"))
    return f'{script}<script async src="{flat}" data-whole="{whole}"></script>'


Changes = dict[Any, Any]  # what a handler returns: components with their new value or gr.update(...); others stay as they are


def begin_with(changes: Changes) -> None:
    """Build the page with `changes` in place."""
    for component, value in changes.items():
        update = value if isinstance(value, dict) and "__type__" in value else {"value": value}
        for name in update.keys() - {"__type__"}:
            setattr(component, name, component.postprocess(update[name]) if name == "value" else update[name])


def _own(function: str, template: str, value: str = "", **options: Any) -> gr.HTML:
    """A component made of a constant template, and a function of assets/page.js."""
    script = f"lab.{function}(element, props, trigger, watch)"
    return gr.HTML(value, html_template=template, js_on_load=script, apply_default_css=False, **options)


def plot(**options: Any) -> gr.HTML:
    """A plotly figure that updates in place (Plotly.react): zoom, hover and camera survive. Its value: see `drawn`.

    Its click event carries the number of the virtual token that was clicked (see `clicked_token`).
    """
    return _own("plot", FIGURE, **options)


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML made by app.view.html; a plain string is text, which is escaped. Its click event carries `data-token` of what was clicked."""
    made = _own("html", '<div class="html-host"></div>', trusted(value), **options)
    made.postprocess = trusted  # not in a subclass, for which Gradio would write a .pyi file into this folder
    return made


def trusted(value: str | None) -> str:
    """HTML as a plain string, for the browser: `Html` as it is, anything else escaped."""
    return "" if value is None else str(Html.escape(value))


def counters() -> gr.HTML:
    """A line that says every five seconds what the server is doing; screen readers skip it.

    It is in sight while the status above it is open, and where there is something that a visitor has to know.
    """
    return _own("counters", '<p class="status counters" aria-live="off"></p>', elem_id="counters")


def switch(**options: Any) -> gr.HTML:
    """The button for light and dark."""
    template = '<button type="button" class="switch" aria-pressed="false">dark</button>'
    return _own("light", template, elem_id="switch", **options)


def copied(**options: Any) -> gr.HTML:
    """Makes a link, copies it and says so. Its value: {link, home, said} as JSON."""
    template = '<p class="said" role="status"></p><input type="text" readonly hidden aria-label="link to this set-up">'
    return _own("link", template, elem_id="copied", **options)


def drawn(figure: dict[str, Any], caption: str = "") -> str:
    """What `plot` takes: a figure of app.view.figures as one string. Gradio streams nested lists as edits, which went wrong.

    caption: printed below the figure when it is saved as a file.
    """
    return json.dumps(without_nan({**figure, "caption": caption}), separators=(",", ":"), allow_nan=False)


def clicked(event: gr.EventData, what: str, most: int) -> int | None:
    """The number of the `what` (token, cell) that a click carries, below `most`, or None for anything else a browser may send."""
    data = getattr(event, "_data", None)
    number = data.get(what) if isinstance(data, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < most else None


def clicked_token(event: gr.EventData) -> int | None:
    """The virtual token that was clicked, or None."""
    return clicked(event, "token", 200)
