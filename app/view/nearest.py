"""The nearest token of every vector with the control's, and what they show."""

import numpy as np

from app.view.html import EMPTY, Html, bold, dim, join, lines, note, row, table, tag, td, vector_button, wide
from app.view.text import cut, percent, token
from core.inspection.nearest import share_larger, share_smaller
from core.runs.record import RunRecord


def chips(record: RunRecord, step: int, chosen: int | None) -> Html:
    """The nearest token of every vector at a step with the control's, and what they show."""
    if not record.method.in_embedding_space:
        return note(
            "A K/V prefix is keys and values inside every layer, not vectors among the word embeddings: it has no nearest tokens. "
            "The plot shows its values in the middle layer among those of real words."
        )
    if not record.readings:
        return EMPTY
    buttons = [_chip(record, step, i, chosen == i) for i in range(len(record.readings[step].ids))]
    group = tag("div", *buttons, class_="chips", role="group", aria_label="nearest token of each vector")
    return group + note(nearest_verdict(record, step))


def _chip(record: RunRecord, step: int, i: int, chosen: bool) -> Html:
    reading, start = record.readings[step], record.readings[0]
    ids, cosines = reading.ids[i], reading.cosine[i]
    words = [token(record.texts[one]) for one in ids]
    near = ", ".join(f"{word} {cosine:.2f}" for word, cosine in zip(words, cosines, strict=True))
    control = f"{token(record.texts[reading.control_ids[0][i]])} {reading.control_cosine[0][i]:.2f}"
    return vector_button(
        i,
        tag("small", i + 1),
        tag("span", words[0]),
        tag("em", f"{cosines[0]:.2f}"),
        tag("i", control, title="the control: the same start, moved equally far in a random direction"),
        class_="chip" if ids[0] == start.ids[i][0] else "chip changed",
        aria_pressed=chosen,
        title=f"vector {i + 1}: {near}; moved {reading.moved[i]:.2f}",
    )


def numbers(count: int, chosen: int | None) -> Html:
    """A button for every virtual token: the chosen one is lit everywhere."""
    buttons = [vector_button(i, aria_pressed=chosen == i) for i in range(count)]
    return tag("div", *buttons, class_="numbers", role="group", aria_label="virtual token")


def unchanged(record: RunRecord, step: int) -> tuple[int, int, int]:
    """How many vectors are nearest to the same token as at the start, how many of the control's are, and how many vectors there are."""
    reading, first = record.readings[step], [ids[0] for ids in record.readings[0].ids]
    kept = sum(ids[0] == was for ids, was in zip(reading.ids, first, strict=True))
    control = sum(now == was for now, was in zip(reading.control_ids[0], first, strict=True))
    return kept, control, len(first)


def nearest_verdict(record: RunRecord, step: int) -> Html:
    """What the nearest tokens show, in words: the learned prompt compared with the control."""
    if not record.start_known:
        return Html(
            "This prompt's start is not known (no recipe, or other weights), so there is no control: its nearest tokens alone show little."
        )
    if step == 0:
        return Html(
            "Before training each vector is where it starts. Large: its nearest token (cosine). Small and violet: the control, once it moves."
        )
    kept, control, total = unchanged(record, step)
    words = Html(
        "{} of {} vectors are still nearest to the same token as at the start; "
        "so are {} of {} vectors pushed equally far at <b>random</b> (violet). "
    ).format(kept, total, control, total)
    if kept == total and control == total:
        return words + "So the nearest tokens show only where training started, not what was learned."
    if abs(kept - control) <= max(1, total // 5):
        return words + "The control does about the same, so this reading shows little about what was learned."
    if kept < control:
        return words + "Training changed more of them than a random move of the same lengths would: its direction matters here."
    return words + "Training changed fewer of them than a random move of the same lengths would."


def nearest_table(record: RunRecord, step: int, chosen: int | None = None, buttons: bool = True) -> Html:
    """Every vector's nearest tokens by cosine and by distance, each with how unusual that is, next to the controls'.

    buttons: whether a vector's number is a button that marks it.
    """
    reading, start, usual = record.readings[step], record.readings[0], record.usual
    near = share_smaller(np.array([row[0] for row in reading.cosine]), usual.cosine) if usual else None
    close = share_larger(np.array(reading.distance), usual.l2) if usual else None
    long = share_smaller(reading.norm, usual.norms) if usual else None
    rows = []
    for i, ids in enumerate(reading.ids):
        by_cosine = join((_near(record, one, cosine) for one, cosine in zip(ids, reading.cosine[i], strict=True)), " ")
        random = _near(record, record.gaussian_ids[i], record.gaussian_cosine[i]) if record.gaussian_ids else "–"
        cells = [
            vector_button(i) if buttons else i + 1,
            lines(by_cosine, _than("nearer", near, i)),
            lines(_near(record, reading.by_l2[i], reading.distance[i]), _than("nearer", close, i)),
            bold(_word(record, start.ids[i][0])) if record.start_known else "–",
            td(_controls(record, step, i), class_="control"),
            td(random, class_="control"),
            lines(f"{reading.norm[i]:.2f}", _than("longer", long, i)),
            f"{reading.moved[i]:.2f}",
        ]
        rows.append(row(cells, numbers=(6, 7), class_="lit" if chosen == i else None))
    heads = ["vector", "nearest (cosine)", "nearest (L2)", "at the start", "moved at random", "random vector", "norm", "moved"]
    explained = (
        "“Nearer than 40 %”: 40 % of the vocabulary’s words are farther from their own nearest neighbour. Violet, moved at random: the start "
        "moved equally far, with its nearest token and the number of draws in which that is still the start’s. Random vector: drawn with the "
        "vocabulary’s mean and covariance."
    )
    made = wide(table(heads, rows, f"step {step}", numbers=(6, 7), class_="tokens csv"))
    return note(nearest_verdict(record, step), " ", _ever(record)) + made + tag("p", explained, class_="note dim")


def _word(record: RunRecord, id: int) -> str:
    return cut(token(record.texts[id]), 24)


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
