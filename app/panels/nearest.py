"""Nearest tokens of each vector, now and at every step, next to those of the control, moved equally far at random."""

import numpy as np

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import inspect_figures, show
from app.view.show import cut, safe, token
from core.inspection.nearest import share_larger, share_smaller
from core.runs.record import RunRecord

NO_WORDS = (
    "<p class='note'>A K/V prefix is keys and values inside every layer, not word embeddings, so it has no nearest tokens. "
    "See where its keys and values lie among those of real words instead.</p>"
)


class NearestPanel(Panel):
    name, title, open, follows, text_first = "nearest", "Nearest tokens", True, True, True
    sees = (
        "The words whose embeddings are nearest to each vector, how near that is for this vocabulary, and whether the nearest word ever "
        "changed during training."
    )
    doubt = (
        "that these words say what a vector does: the control (violet) starts at the same words, moves equally far at random, has learned "
        "nothing, and mostly has the same nearest words."
    )

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View(NO_WORDS)
        return View(table(look.record, look.step, look.chosen), inspect_figures.strip(look.record, look.step, look.chosen))


def table(record: RunRecord, step: int, chosen: int | None) -> str:
    """Every vector's nearest tokens by cosine and by distance, each with how unusual that is, beside the controls'."""
    reading, start = record.readings[step], record.readings[0]
    usual = record.usual
    near = _percents(share_smaller(np.array([row[0] for row in reading.cosine]), usual.cosine)) if usual else None
    close = _percents(share_larger(np.array(reading.distance), usual.l2)) if usual else None
    long = _percents(share_smaller(reading.norm, usual.norms)) if usual else None
    rows = []
    for i, ids in enumerate(reading.ids):
        by_cosine = " ".join(f"<b>{_word(record, t)}</b> {c:.2f}" for t, c in zip(ids, reading.cosine[i], strict=True))
        cells = [
            by_cosine + (f"<br><span class='dim'>nearer than {near[i]}</span>" if near else ""),
            f"<b>{_word(record, reading.by_l2[i])}</b> {reading.distance[i]:.2f}"
            + (f"<br><span class='dim'>nearer than {close[i]}</span>" if close else ""),
            f"<b>{_word(record, start.ids[i][0])}</b>" if record.start_known else "–",
            _controls(record, step, i),
            f"<b>{_word(record, record.gaussian_ids[i])}</b> {record.gaussian_cosine[i]:.2f}" if record.gaussian_ids else "–",
        ]
        numbers = [
            f"{reading.norm[i]:.2f}" + (f"<br><span class='dim'>longer than {long[i]}</span>" if long else ""),
            f"{reading.moved[i]:.2f}",
        ]
        lit = " class='lit'" if chosen == i else ""
        rows.append(
            f"<tr{lit}><th scope='row'><button type='button' class='number' data-token='{i}'>{i + 1}</button></th>"
            + "".join(
                f"<td{' class=' + chr(39) + 'control' + chr(39) if place in (3, 4) else ''}>{cell}</td>" for place, cell in enumerate(cells)
            )
            + "".join(f"<td class='num'>{number}</td>" for number in numbers)
            + "</tr>"
        )
    heads = ("nearest (cosine)", "nearest (L2)", "at the start", "moved at random", "random vector")
    head = "".join(f"<th scope='col'>{name}</th>" for name in heads)
    told = (
        "“Nearer than 40 %”: 40 % of the vocabulary’s words are farther from their own nearest neighbour. Violet, moved at random: the start "
        "moved equally far, with its nearest token and the number of draws in which that is still the start’s. Random vector: drawn with the "
        "vocabulary’s mean and covariance."
    )
    return (
        f"<p class='note'>{show.nearest_verdict(record, step)} {_ever(record)}</p>"
        f"<div class='wide'><table class='tokens csv'><caption>step {step}</caption><thead><tr><th scope='col'></th>{head}"
        f"<th scope='col' class='num'>norm</th><th scope='col' class='num'>moved</th></tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"<p class='note dim'>{told}</p>"
    )


def _word(record: RunRecord, id: int) -> str:
    return safe(cut(token(record.texts[id]), 16))


def _percents(shares: np.ndarray) -> list[str]:
    return [show.percent(float(share)) for share in shares]


def _controls(record: RunRecord, step: int, vector: int) -> str:
    if not record.start_known:
        return "–"
    reading = record.readings[step]
    draws = reading.control_ids
    kept = sum(draw[vector] == record.readings[0].ids[vector][0] for draw in draws)
    first = f"<b>{_word(record, draws[0][vector])}</b> {reading.control_cosine[0][vector]:.2f}"
    return f"{first}<br><span class='dim'>{kept} of {len(draws)} still the start’s</span>"


def _ever(record: RunRecord) -> str:
    """Whether any nearest token changed at any step, for the vectors and for the control."""
    if len(record.readings) < 2 or not record.start_known or record.loaded:
        return ""
    first = [ids[0] for ids in record.readings[0].ids]
    changed = {i for reading in record.readings for i, ids in enumerate(reading.ids) if ids[0] != first[i]}
    control = {i for reading in record.readings for i, now in enumerate(reading.control_ids[0]) if now != first[i]}
    return (
        f"Over all {record.step} steps, the nearest token ever changed for {len(changed)} of {len(first)} vectors; for the first random "
        f"draw, for {len(control)}."
    )
