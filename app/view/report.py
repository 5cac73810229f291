"""A run as one HTML file that opens anywhere: recipe, comparison, curves, readings beside their controls, what it can't tell.

Tables and figures are the page's own (app.view.show, app.view.figures); the file contains plotly.js once. No Gradio, no model.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import plotly

from app.view import figures, show
from app.view.show import percent, safe, token
from core.files import ASSETS
from core.inspection.nearest import share_smaller
from core.methods import METHODS
from core.recipe import SETTINGS
from core.runs.record import RunRecord
from core.runs.run_file import without_nan

PLOTLY = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"
LIVE = "This prompt comes from a file without a record of its training, so there are no curves and no answers on validation rows."
CAVEATS = (
    ("Held-out rows", "were scored once, at the end; the live curve uses validation rows. Neither was trained on."),
    ("The best handcrafted prompt", "was picked after seeing these rows, which flatters it."),
    ("Intervals", "show how much accuracy varies with other rows like these (Wilson, 95 %), not with other seeds or other texts. One run is one seed."),
    ("Nearest tokens", "are shown with a control: the same start moved equally far in random directions. If both read the same, they show nothing of what was learned."),
    ("A plane", "hides most of each vector’s hundreds of dimensions: points that look close may be far apart."),
    ("A prompt belongs to its weights:", "with other weights of the same name, for example quantised ones, these scores don’t hold."),
)  # fmt: skip


def report(record: RunRecord) -> str:
    """The whole file, as text. Whatever the record says is shown as text."""
    title = figures.plain(f"{record.task['name']}: a {record.method.label}")
    scored = bool(record.scores)
    parts = [
        f"<header><p class='kind'>Soft Prompt Lab · report of a run</p><h1>{_finding(record)}</h1><p class='dim'>{safe(show.recipe_line(record))}</p></header>",
        _section("comparison", "Comparison with handcrafted prompts", _comparison(record)) if scored else _missing("No prompt was scored on held-out rows."),
        _section("curves", "While it learned", _figure(figures.curves(record), "curves")) if record.step else _missing(LIVE),
        _section("nearest", "Nearest words, beside a control", _nearest(record)),
        _section("plane", "Where the vectors went", _figure(_plane(record), "plane")),
        _section("samples", "What it says", f"<div class='wide'>{show.samples(record, record.step)}</div>") if record.validation else "",
        _section("recipe", "The recipe", _recipe(record)),
        _section("caveats", "What this report can’t tell", _caveats()),
    ]  # fmt: skip
    style, script = (ASSETS / "report.css").read_text("utf-8"), (ASSETS / "report.js").read_text("utf-8")
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width, initial-scale=1'>"
        # Nothing is fetched, whatever the texts contain: the file is also read without a network.
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:\">"
        f"<meta name='color-scheme' content='light dark'><title>{title}</title><style>{style}</style></head>"
        f"<body><main>{''.join(parts)}</main><noscript><p>Plots need JavaScript; all numbers are also in the tables.</p></noscript>"
        f"<script>{PLOTLY.read_text('utf-8')}</script><script>{script}</script></body></html>"
    )


def _finding(record: RunRecord) -> str:
    if record.scores or record.validation:
        return show.headline(record)
    count = record.recipe["virtual_tokens"]
    return f"<b>{safe(record.task['name'])}:</b> a {record.method.label} of {count} virtual tokens from a file, not scored here"


def _section(name: str, title: str, body: str) -> str:
    return f"<section id='{name}'><h2>{title}</h2>{body}</section>"


def _missing(text: str) -> str:
    return f"<p class='missing'>{text}</p>"


def _figure(figure: dict[str, Any], name: str) -> str:
    """A figure with its title and note, and its data where the script finds them. No text ends the element that holds it."""
    data = json.dumps(without_nan({"data": figure["data"], "layout": figure["layout"]}), separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        data = data.replace(sign, f"\\u{ord(sign):04x}")
    height = int(figure["layout"].get("height", 380))
    return (
        f"<figure><figcaption><b>{safe(figure['title'])}</b></figcaption><div class='plot' id='plot-{name}' style='height:{height}px' role='img' "
        f"aria-label=\"{safe(figure['title'])}\"></div><p class='note'>{safe(figure['note'])}</p>"
        f"<script type='application/json' data-for='plot-{name}'>{data}</script></figure>"
    )


def _comparison(record: RunRecord) -> str:
    written = record.task["handcrafted"]
    rows = [{**row, "seconds": record.seconds} if row["kind"] in METHODS else row for row in record.scores]
    table = show.bars(rows, f"Right answers on the {record.task['held_out']} held-out rows, scored once", written, full=True)
    return f"<div class='wide'>{table}</div>{show.skipped(record)}{_difference(record)}"


def _difference(record: RunRecord) -> str:
    found = record.difference
    if not found:
        return ""
    low, high = (100 * end for end in found["interval"])
    return (
        f"<p class='note'>The learned prompt against the best handcrafted one, on the {found['n']} rows that both were asked: right alone on "
        f"{found['wins']}, wrong alone on {found['losses']}; {100 * found['difference']:+.0f} points (95 % interval {low:+.0f} to {high:+.0f}, bootstrap "
        f"over rows; exact McNemar p = {found['p']:.2g}).</p>"
    )


def _nearest(record: RunRecord) -> str:
    """Every vector's nearest tokens at the end, beside its start's and the controls', as a table."""
    if not record.method.in_embedding_space:
        return show.chips(record, 0, None)
    reading, start, usual = record.readings[-1], record.readings[0], record.usual
    far = share_smaller(np.array([row[0] for row in reading.cosine]), usual.cosine) if usual else None
    long = share_smaller(reading.norm, usual.norms) if usual else None
    lines = []
    for i, (ids, cosines) in enumerate(zip(reading.ids, reading.cosine, strict=True)):
        words = " ".join(f"<b>{_word(record, one)}</b> {cosine:.2f}" for one, cosine in zip(ids, cosines, strict=True))
        draws = [draw[i] for draw in reading.control_ids]
        kept = sum(one == start.ids[i][0] for one in draws)
        cells = [
            words
            + (f"<br><span class='dim'>nearer than {percent(far[i])} of words are to their nearest</span>" if far is not None else ""),
            _word(record, start.ids[i][0]) if record.start_known else "–",
            f"{_word(record, draws[0])} {reading.control_cosine[0][i]:.2f}<br><span class='dim'>the start’s in {kept} of {len(draws)} draws</span>"
            if record.start_known
            else "–",
        ]
        numbers = [
            f"{reading.norm[i]:.2f}" + (f"<br><span class='dim'>longer than {percent(long[i])}</span>" if long is not None else ""),
            f"{reading.moved[i]:.2f}" if record.start_known else "–",
        ]
        lines.append(
            f"<tr><th scope='row'>{i + 1}</th><td>{cells[0]}</td><td>{cells[1]}</td><td class='control'>{cells[2]}</td>"
            + "".join(f"<td class='num'>{number}</td>" for number in numbers)
            + "</tr>"
        )
    return (
        f"<p class='verdict'>{show.nearest_verdict(record, len(record.readings) - 1)}</p><div class='wide'><table class='tokens'><caption>At the end. "
        "Moved at random: the start, moved as far as training moved it, but in random directions.</caption><thead><tr><th scope='col'>vector</th>"
        "<th scope='col'>nearest (cosine)</th><th scope='col'>at the start</th><th scope='col'>moved at random</th><th scope='col' class='num'>norm</th>"
        f"<th scope='col' class='num'>moved (L2)</th></tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _word(record: RunRecord, one: int) -> str:
    return safe(token(record.texts[one]))


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


def _recipe(record: RunRecord) -> str:
    base = record.base
    facts = [
        ("base model", base.get("name", "")),
        ("its weights (SHA-256)", base.get("weights", "")),
        ("trained on", ", ".join(str(base[name]) for name in ("device", "dtype") if base.get(name))),
        ("numbers learned", f"{record.parameters:,}"),
        ("seconds of training", f"{record.seconds:.1f}" if record.seconds else "not known"),
        ("ended", record.stopped or ("after its last step" if record.step else "not known")),
        *((("recorded", ", ".join(record.recorded.values())),) if record.recorded else ()),
    ]
    head = "".join(f"<tr><th scope='row'>{safe(name)}</th><td>{safe(value)}</td><td></td></tr>" for name, value in facts if value)
    rows = "".join(
        f"<tr><th scope='row'>{safe(setting.label)}</th><td>{safe(record.recipe[name])}</td><td class='dim'>{safe(setting.help)}</td></tr>"
        for name, setting in SETTINGS.items()
        if record.recipe.get(name) not in ("", None)
    )
    return f"<div class='wide'><table class='facts'><tbody>{head}{rows}</tbody></table></div>"


def _caveats() -> str:
    return "<ul>" + "".join(f"<li><b>{name}</b> {text}</li>" for name, text in CAVEATS) + "</ul>"
