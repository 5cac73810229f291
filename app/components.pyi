"""The two components of our own, both on gr.HTML with a constant template: a plot that keeps its zoom, and trusted HTML.

A constant template matters: gr.HTML would read `${...}` and `{{...}}` in it as code, so no value ever goes into one.
"""

from pathlib import Path
from typing import Any

import gradio as gr
import plotly

PLOTLY = Path(plotly.__file__).parent / "package_data"

DRAW = """
const host = element.querySelector('.plot-host');
const draw = () => {
  const value = props.value;
  if (!value || !value.layout || !window.Plotly) return;
  element.querySelector('.plot-title').textContent = value.title || '';
  element.querySelector('.plot-note').textContent = value.note || '';
  host.setAttribute('aria-label', (value.title || 'plot') + '. ' + (value.note || ''));
  const style = getComputedStyle(document.body);
  const ink = style.getPropertyValue('--body-text-color').trim() || '#444';
  const grid = style.getPropertyValue('--border-color-primary').trim() || '#ddd';
  const layout = structuredClone(value.layout);
  layout.font = {...layout.font, color: ink, family: style.getPropertyValue('--font') || 'sans-serif'};
  layout.paper_bgcolor = 'rgba(0,0,0,0)'; layout.plot_bgcolor = 'rgba(0,0,0,0)'; layout.autosize = true;
  layout.hoverlabel = {bgcolor: style.getPropertyValue('--background-fill-primary').trim() || '#fff', font: {color: ink}};
  const axis = (a) => ({gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, ...a});
  if (layout.scene) for (const k of ['xaxis', 'yaxis', 'zaxis']) layout.scene[k] = axis(layout.scene[k]);
  else for (const k of ['xaxis', 'yaxis', ...Object.keys(layout).filter((k) => /^[xy]axis\\d/.test(k))]) layout[k] = axis(layout[k]);
  const data = structuredClone(value.data);
  Plotly.react(host, data, layout, {responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d']})
    .then(() => {
      if (host.dataset.wired) return;
      host.dataset.wired = '1';
      host.on('plotly_click', (event) => {
        const point = event.points.find((p) => Number.isInteger(p.customdata));
        if (point) trigger('click', {token: point.customdata});
      });
    });
};
const ready = () => (window.Plotly ? draw() : setTimeout(ready, 50));
ready();
watch('value', draw);
new MutationObserver(draw).observe(document.body, {attributes: true, attributeFilter: ['class']});
// A plot drawn in a hidden tab has no width yet: draw again once it is seen.
new IntersectionObserver((entries) => { if (entries.some((e) => e.isIntersecting)) ready(); }).observe(host);
"""

PAINT = """
const host = element.querySelector('.html-host');
const paint = () => {
  const focused = host.contains(document.activeElement) ? document.activeElement.dataset.token : undefined;
  const html = props.value || '';
  if (host.painted === html) return;
  host.painted = html;
  host.innerHTML = html;
  if (focused !== undefined) host.querySelector(`[data-token="${CSS.escape(focused)}"]`)?.focus();
};
paint();
watch('value', paint);
element.addEventListener('click', (event) => {
  const chip = event.target.closest('[data-token]');
  if (chip) trigger('click', {token: Number(chip.dataset.token)});
});
"""

from gradio.events import Dependency

class Plot(gr.HTML):
    """A plotly figure that updates in place (Plotly.react): zoom, hover and camera survive. Value: see app.figures.

    Its click event carries the number of the virtual token that was clicked: `event.token`.
    """

    def __init__(self, value: dict[str, Any] | None = None, **options: Any):
        template = '<figure class="plot"><figcaption class="plot-title"></figcaption><div class="plot-host" role="img"></div><p class="plot-note"></p></figure>'
        super().__init__(
            value,  # type: ignore[arg-type]
            html_template=template,
            js_on_load=DRAW,
            head=f'<script src="gradio_api/file={PLOTLY / "plotly.min.js"}"></script>',
            apply_default_css=False,
            **options,
        )

    def postprocess(self, value: Any) -> str | None:
        # One string: Gradio streams nested lists as edits, and those went wrong when traces came in between.
        return value if value is None or isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


class Html(gr.HTML):
    """HTML made by app.show, where every text is escaped. Its click event carries `data-token` of what was clicked."""

    def __init__(self, value: str = "", **options: Any):
        super().__init__(value, html_template='<div class="html-host"></div>', js_on_load=PAINT, apply_default_css=False, **options)
    from typing import Callable, Literal, Sequence, Any, TYPE_CHECKING
    from gradio.blocks import Block
    if TYPE_CHECKING:
        from gradio.components import Timer
        from gradio.components.base import Component


def clicked_token(event: gr.EventData) -> int | None:
    """The virtual token that a click carries, or None for anything else a browser may send."""
    token = getattr(event, "_data", {}).get("token") if isinstance(getattr(event, "_data", None), dict) else None
    return token if isinstance(token, int) and not isinstance(token, bool) and 0 <= token < 200 else None