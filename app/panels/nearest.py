"""Nearest tokens of each vector, now and at every step, next to those of the control, moved equally far at random."""

import numpy as np

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import Html, bold, dim, join, lines, note, row, table, tag, td, vector_button, wide
from app.view.nearest import nearest_verdict
from app.view.text import cut, percent, token
from core.inspection.nearest import share_larger, share_smaller
from core.runs.record import RunRecord

NO_WORDS = note(
    "A K/V prefix is keys and values inside every layer, not word embeddings, so it has no nearest tokens. "
    "See where its keys and values lie among those of real words instead."
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
        return View(nearest_table(look.record, look.step, look.chosen), figures.strip(look.record, look.step, look.chosen))


def nearest_table(record: RunRecord, step: int, chosen: int | None) -> Html:
    """Every vector's nearest tokens by cosine and by distance, each with how unusual that is, beside the controls'."""
    reading, start, usual = record.readings[step], record.readings[0], record.usual
    near = share_smaller(np.array([row[0] for row in reading.cosine]), usual.cosine) if usual else None
    close = share_larger(np.array(reading.distance), usual.l2) if usual else None
    long = share_smaller(reading.norm, usual.norms) if usual else None
    rows = []
    for i, ids in enumerate(reading.ids):
        by_cosine = join((_near(record, one, cosine) for one, cosine in zip(ids, reading.cosine[i], strict=True)), " ")
        random = _near(record, record.gaussian_ids[i], record.gaussian_cosine[i]) if record.gaussian_ids else "–"
        cells = [
            vector_button(i),
            lines(by_cosine, _than("nearer", near, i)),
            lines(_near(record, reading.by_l2[i], reading.distance[i]), _than("nearer", close, i)),
            bold(_word(record, start.ids[i][0])) if record.start_known else "–",
            td(_controls(record, step, i), class_="control"),
            td(random, class_="control"),
            lines(f"{reading.norm[i]:.2f}", _than("longer", long, i)),
            f"{reading.moved[i]:.2f}",
        ]
        rows.append(row(cells, numbers=(6, 7), class_="lit" if chosen == i else None))
    heads = ["", "nearest (cosine)", "nearest (L2)", "at the start", "moved at random", "random vector", "norm", "moved"]
    told = (
        "“Nearer than 40 %”: 40 % of the vocabulary’s words are farther from their own nearest neighbour. Violet, moved at random: the start "
        "moved equally far, with its nearest token and the number of draws in which that is still the start’s. Random vector: drawn with the "
        "vocabulary’s mean and covariance."
    )
    made = wide(table(heads, rows, f"step {step}", numbers=(6, 7), class_="tokens csv"))
    return note(nearest_verdict(record, step), " ", _ever(record)) + made + tag("p", told, class_="note dim")


def _word(record: RunRecord, id: int) -> str:
    return cut(token(record.texts[id]), 16)


def _near(record: RunRecord, id: int, distance: float) -> Html:
    return bold(_word(record, id)) + f" {distance:.2f}"


def _than(word: str, shares: np.ndarray | None, i: int) -> Html | None:
    return dim(f"{word} than {percent(float(shares[i]))}") if shares is not None else None


def _controls(record: RunRecord, step: int, vector: int) -> Html:
    if not record.start_known:
        return Html("–")
    reading = record.readings[step]
    draws = reading.control_ids
    kept = sum(draw[vector] == record.readings[0].ids[vector][0] for draw in draws)
    first = _near(record, draws[0][vector], reading.control_cosine[0][vector])
    return lines(first, dim(f"{kept} of {len(draws)} still the start’s"))


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
