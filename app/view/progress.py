"""Where a run is, and the recorded runs to choose from."""

from collections.abc import Sequence

from app.view.html import EMPTY, Html, bold, button, details, join, tag
from app.view.text import day, short_name
from core.recipe import Recipe
from core.runs.record import RunRecord
from core.runs.recordings import RecordedRun


def progress(record: RunRecord, status: str, others: int, left: float | None, wait: float | None = None) -> Html:
    """Where the run is, as a bar and words. others: sessions before this one, or that share the device with it. left: seconds
    to its end. wait: seconds to its beginning."""
    steps = record.recipe["steps"]
    words = _made(record) if record.recorded else _words(record, status, others, left, wait)
    return track(record.step / max(steps, 1), words)


def track(share: float, words: object) -> Html:
    """A bar of so much that is done, with words."""
    done = tag("div", tag("b", style=f"width:{100 * share:.1f}%"), class_="track")
    return tag("div", done, tag("span", words), class_="progress", role="status")


def _words(record: RunRecord, status: str, others: int, left: float | None, wait: float | None) -> str:
    done, steps = record.step, record.recipe["steps"]
    if record.loaded:
        return f"Loaded from a file: {record.parameters:,} parameters."
    if status == "waiting":
        soon = f", about {max(1, round(wait))} s" if wait is not None else ""
        return f"Waiting for the device: {others} before you{soon}." if others else "Starting …"
    if status == "paused":
        return f"Paused at step {done} of {steps}."
    if status == "running" and (done >= steps or record.scores):
        return f"Step {done} of {steps}. Scoring the held-out rows, once …"
    if status == "running":
        share = f", sharing the device with {others} other{'s' if others > 1 else ''}" if others else ""
        return f"Step {done} of {steps}{f', about {left:.0f} s left' if left is not None else ''}{share}."
    if status == "cancelled":
        return f"Stopped at step {done} of {steps}, without scoring the held-out rows."
    if status == "failed":
        return "This run ended early."
    words = f"{done} steps, {record.seconds:.0f} s of training, {record.parameters:,} trained parameters."
    if record.recipe.get("keep") == "best" and record.kept:
        words += f" Kept: the vectors of step {record.kept}, which validation rows chose."
    if record.stopped:
        words += f" You stopped it at step {done}." if record.stopped.startswith("stopped") else f" Ended early: {record.stopped}."
    return words


def _made(record: RunRecord) -> Html:
    """The date and model of a recording, with the other details folded."""
    made, base = record.recorded, record.base
    rest = f"weights {base['weights'][:12]}, {base['device']}, {base['dtype']}, {record.seconds:.0f} s of training, "
    rest += f"{made['version']}, {made['libraries']}, {made['machine']}"
    return join([f"Recorded {day(made['date'])} with {short_name(base['name'])} · ", details("details", rest, class_="made")])


def gallery(recordings: Sequence[RecordedRun], shown: Recipe | None) -> Html:
    """The recorded runs to choose from, each with what it shows; the one whose recipe is shown is marked."""
    if not recordings:
        return EMPTY
    stories = [
        button(bold(one.title), tag("span", one.told), class_="story", data_cell=i, aria_pressed=one.recipe == shown)
        for i, one in enumerate(recordings)
    ]
    group = tag("div", *stories, class_="gallery", role="group", aria_label="Recorded runs")
    return tag("p", "Recorded runs", class_="gallery-name") + group
