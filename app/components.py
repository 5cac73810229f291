"""The components of our own, each a gr.HTML with a constant template: a plot that keeps its zoom, trusted HTML, counters.

A constant template matters: gr.HTML would read `${...}` and `{{...}}` in it as code, so no value ever goes into one.
"""

import json
import math
from pathlib import Path
from typing import Any

import gradio as gr
import plotly

PLOTLY = Path(plotly.__file__).parent / "package_data"

DRAW = """
const host = element.querySelector('.plot-host');
const figure = element.querySelector('.plot');
const draw = () => {
  figure.hidden = !props.value;
  if (!props.value || !window.Plotly || !host.offsetParent) return;  // out of sight: drawn once it is seen
  const value = JSON.parse(props.value);
  host.caption = value.caption || '';
  element.querySelector('.plot-title').textContent = value.title || '';
  element.querySelector('.plot-note').textContent = value.note || '';
  host.setAttribute('aria-label', (value.title || 'plot') + '. ' + (value.note || ''));
  const style = getComputedStyle(document.body);
  const ink = style.getPropertyValue('--body-text-color').trim() || '#444';
  const grid = style.getPropertyValue('--border-color-primary').trim() || '#ddd';
  const layout = value.layout;
  layout.font = {...layout.font, color: ink, family: style.getPropertyValue('--font') || 'sans-serif'};
  layout.paper_bgcolor = 'rgba(0,0,0,0)'; layout.plot_bgcolor = 'rgba(0,0,0,0)'; layout.autosize = true;
  layout.hoverlabel = {bgcolor: style.getPropertyValue('--background-fill-primary').trim() || '#fff', font: {color: ink}};
  const axis = (a) => ({gridcolor: grid, zerolinecolor: grid, linecolor: grid, automargin: true, ...a});
  if (layout.scene) for (const k of ['xaxis', 'yaxis', 'zaxis']) layout.scene[k] = axis(layout.scene[k]);
  else for (const k of ['xaxis', 'yaxis', ...Object.keys(layout).filter((k) => /^[xy]axis\\d/.test(k))]) layout[k] = axis(layout[k]);
  const data = value.data;
  Plotly.react(host, data, layout, config)
    .then(() => {
      if (host.dataset.wired) return;
      host.dataset.wired = '1';
      host.on('plotly_click', (event) => {
        const point = event.points.find((p) => Number.isInteger(p.customdata));
        if (point) trigger('click', {token: point.customdata});
      });
    });
};
// Buttons of plotly's own bar: the figure as a picture, and as one page that opens anywhere; both with title, note and recipe.
const words = () => [element.querySelector('.plot-title').textContent, element.querySelector('.plot-note').textContent, host.caption];
const give = (href, name) => { const link = document.createElement('a'); link.href = href; link.download = name; link.click(); };
const plain = {paper_bgcolor: '#fff', plot_bgcolor: '#fff', font: {color: '#222'}};
const wrap = (text, most) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').split(' ').reduce((lines, word) => {
  if ((lines.at(-1) + ' ' + word).length > most) lines.push(word); else lines[lines.length - 1] += ' ' + word;
  return lines;
}, ['']);
const picture = {
  name: 'png', title: 'Download as PNG', icon: {width: 1000, height: 1000, path: 'M80 200h220l60-100h280l60 100h220v640H80zM500 340a180 180 0 1 0 .1 0z'},
  click: async (gd) => {
    const [title, note, caption] = words();
    const width = Math.max(gd.clientWidth, 700), most = Math.floor(width / 6.6);
    const above = wrap(title, most), below = [...wrap(note, most), ...wrap(caption, most)];
    const margin = gd.layout.margin || {};
    const bottom = (margin.b || 40) + 24, top = 18 * above.length + 20;
    const line = (text, y, shift, anchor, size) => ({text, x: 0, xref: 'paper', xanchor: 'left', y, yref: 'paper', yanchor: anchor, yshift: shift, showarrow: false, align: 'left', font: {size, color: '#222'}});
    const layout = {
      ...gd.layout, ...plain, width, height: gd.clientHeight + top + 16 * below.length + 24,
      margin: {...margin, t: (margin.t || 8) + top, b: bottom + 16 * below.length},
      annotations: [...(gd.layout.annotations || []), line('<b>' + above.join('<br>') + '</b>', 1, 10, 'bottom', 14), line(below.join('<br>'), 0, -bottom, 'top', 11)],
    };
    give(await Plotly.toImage({data: gd.data, layout}, {format: 'png', width, height: layout.height, scale: 2}), 'figure.png');
  },
};
const save = {
  name: 'html', title: 'Download as HTML', icon: {width: 1000, height: 1000, path: 'M400 100h200v350h180L500 750 220 450h180zM150 800h700v100H150z'},
  click: async (gd) => {
    const source = await (await fetch(document.querySelector('script[src*="plotly.min.js"]').src)).text();
    const data = JSON.stringify({data: gd.data, layout: {...gd.layout, ...plain}}).replaceAll('<', '\\u003c');
    const page = document.implementation.createHTMLDocument(words()[0]);
    page.body.innerHTML = '<h1 style="font:600 18px sans-serif"></h1><div id="plot"></div><p style="font:14px sans-serif"></p><p style="font:12px sans-serif"></p>';
    [page.querySelector('h1'), ...page.querySelectorAll('p')].forEach((place, i) => { place.textContent = words()[i]; });
    const script = (text) => { const made = page.createElement('script'); made.textContent = text; page.body.append(made); };
    script(source);
    script(`const figure = ${data}; Plotly.newPlot('plot', figure.data, figure.layout, {responsive: true});`);
    const href = URL.createObjectURL(new Blob(['<!doctype html>' + page.documentElement.outerHTML], {type: 'text/html'}));
    give(href, 'figure.html');
    URL.revokeObjectURL(href);
  },
};
const config = {
  responsive: true, displaylogo: false, modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d', 'toImage'], modeBarButtonsToAdd: [picture, save],
};
const ready = () => (window.Plotly ? draw() : setTimeout(ready, 50));
ready();
// Values may come faster than they can be drawn: then only the newest is.
let due = false;
watch('value', () => {
  if (due) return;
  due = true;
  setTimeout(() => { due = false; draw(); }, 0);
});
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
  for (const table of host.querySelectorAll('table.csv')) {
    const button = document.createElement('button');
    Object.assign(button, {type: 'button', className: 'as-csv', textContent: 'CSV', title: 'Download this table as CSV'});
    (table.caption || table.createCaption()).append(' ', button);
  }
  if (focused !== undefined) host.querySelector(`[data-token="${CSS.escape(focused)}"]`)?.focus();
};
// A table as a file, without its caption. What a spreadsheet would take for a formula gets an apostrophe.
const cell = (text) => {
  const safe = /^[=+\\-@\\t\\r]/.test(text) && Number.isNaN(Number(text)) ? "'" + text : text;
  return '"' + safe.replaceAll('"', '""') + '"';
};
const csv = (table) => {
  const lines = [...table.rows].map((row) => [...row.cells].map((one) => cell(one.innerText.trim())).join(','));
  const href = URL.createObjectURL(new Blob([lines.join('\\r\\n') + '\\r\\n'], {type: 'text/csv'}));
  const link = document.createElement('a');
  link.href = href; link.download = 'table.csv'; link.click();
  URL.revokeObjectURL(href);
};
paint();
watch('value', paint);
// The text beside a button of this class; where the browser forbids that, it is selected, to be copied by hand.
const copy = async (button) => {
  const text = button.closest('.code').querySelector('pre');
  try {
    await navigator.clipboard.writeText(text.textContent);
    button.textContent = 'Copied';
  } catch {
    getSelection().selectAllChildren(text);
    button.textContent = 'Selected';
  }
  setTimeout(() => { button.textContent = 'Copy'; }, 2000);
};
element.addEventListener('click', (event) => {
  const button = event.target.closest('.as-csv');
  if (button) return csv(button.closest('table'));
  const copier = event.target.closest('.copy');
  if (copier) return copy(copier);
  const chip = event.target.closest('[data-token]');
  if (chip) trigger('click', {token: Number(chip.dataset.token)});
  const cell = event.target.closest('[data-cell]');
  if (cell) trigger('click', {cell: Number(cell.dataset.cell)});
});
"""


# What the device does, asked of /healthz: no place in the queue is held for it. A page in the background doesn't ask.
COUNT = """
const line = element.querySelector('.status');
const ask = async () => {
  if (!element.isConnected) return clearInterval(timer);
  if (document.hidden) return;
  try {
    const now = await (await fetch('healthz', {signal: AbortSignal.timeout(4000)})).json();
    const memory = now.memory ? Math.round(now.memory / 1e6).toLocaleString('en') + ' MB in use, ' : '';
    line.textContent = memory + now.running + ' running, ' + now.waiting + ' waiting';
  } catch (error) {
    line.textContent = 'the server does not answer';
  }
};
const timer = setInterval(ask, 5000);
ask();
"""

FIGURE = (
    '<figure class="plot"><figcaption class="plot-title"></figcaption>'
    '<div class="plot-host" role="img"></div><p class="plot-note"></p></figure>'
)


def plot(**options: Any) -> gr.HTML:
    """A plotly figure that updates in place (Plotly.react): zoom, hover and camera survive. Its value: see `drawn`.

    Its click event carries the number of the virtual token that was clicked (see `clicked_token`).
    """
    script = f'<script src="gradio_api/file={PLOTLY / "plotly.min.js"}"></script>'
    return gr.HTML(html_template=FIGURE, js_on_load=DRAW, head=script, apply_default_css=False, **options)


def counters() -> gr.HTML:
    """A line that says every five seconds what the server is doing; screen readers are spared it."""
    template = '<p class="status counters" aria-live="off"></p>'
    return gr.HTML(html_template=template, js_on_load=COUNT, apply_default_css=False, elem_id="counters")


def drawn(figure: dict[str, Any], caption: str = "") -> str:
    """What `plot` takes: a figure of app.figures as one string. Gradio streams nested lists as edits, which went wrong.

    caption: what stands below it once it has left the page, as a file.
    """
    return json.dumps(_finite({**figure, "caption": caption}), separators=(",", ":"), allow_nan=False)


def _finite(value: Any) -> Any:
    """`value` with null in place of NaN and infinity (of a run that diverged), which a browser can't read."""
    if isinstance(value, dict):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def html(value: str = "", **options: Any) -> gr.HTML:
    """HTML made by app.show, where every text is escaped. Its click event carries `data-token` of what was clicked."""
    return gr.HTML(value, html_template='<div class="html-host"></div>', js_on_load=PAINT, apply_default_css=False, **options)


def clicked(event: gr.EventData, what: str, most: int) -> int | None:
    """The number of the `what` (token, cell) that a click carries, below `most`, or None for anything else a browser may send."""
    data = getattr(event, "_data", None)
    number = data.get(what) if isinstance(data, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < most else None


def clicked_token(event: gr.EventData) -> int | None:
    """The virtual token that was clicked, or None."""
    return clicked(event, "token", 200)
