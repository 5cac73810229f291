"""The nearest token of every vector with the control's, and what they show."""

from app.view.html import EMPTY, Html, note, tag
from app.view.text import token
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
    return tag(
        "button",
        tag("small", i + 1),
        tag("span", words[0]),
        tag("em", f"{cosines[0]:.2f}"),
        tag("i", control, title="the control: the same start, moved equally far in a random direction"),
        type="button",
        class_="chip" if ids[0] == start.ids[i][0] else "chip changed",
        data_token=i,
        aria_pressed=chosen,
        title=f"vector {i + 1}: {near}; moved {reading.moved[i]:.2f}",
    )


def numbers(count: int, chosen: int | None) -> Html:
    """A button for every virtual token: the chosen one is lit everywhere."""
    buttons = [tag("button", i + 1, type="button", class_="number", data_token=i, aria_pressed=chosen == i) for i in range(count)]
    return tag("div", *buttons, class_="numbers", role="group", aria_label="virtual token")


def nearest_verdict(record: RunRecord, step: int) -> Html:
    """What the nearest tokens show, in words: the learned prompt compared with the control."""
    if not record.start_known:
        return Html(
            "This prompt's start is not known (no recipe, or other weights), so there is no control: its nearest tokens alone show little."
        )
    reading, start = record.readings[step], record.readings[0]
    total = len(reading.ids)
    first = [ids[0] for ids in start.ids]
    kept = sum(ids[0] == was for ids, was in zip(reading.ids, first, strict=True))
    control = sum(now == was for now, was in zip(reading.control_ids[0], first, strict=True))
    if step == 0:
        return Html(
            "Before training each vector is where it starts. Large: its nearest token (cosine). Small and violet: the control, once it moves."
        )
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
