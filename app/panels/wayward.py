"""Wayward prompts: vectors whose nearest tokens spell any sentence, and that still do the task."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings, by_steps
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import inspect_figures, show
from core import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.wayward import Wayward, choose, sweep
from core.runs.record import score_row
from core.runs.run import Scored
from core.scoring.score import Score
from core.ticket import Ticket

SENTENCE = "Write a short poem about cats and dogs now"
MOST_WEIGHTS = 6


class WaywardPanel(Panel):
    name, title, button, by_step = "wayward", "Make the vectors spell any sentence", "Train them", False
    sees = (
        "Wayward prompts (Khashabi et al. 2021): trained on this task while they are pulled to your sentence, some started at it, some elsewhere. "
        "Filled markers spell your sentence exactly."
    )
    doubt = "that the sentence has anything to do with the task. The words near a prompt do not show what it does."

    def make_settings(self) -> dict[str, Any]:
        return {
            "sentence": gr.Textbox(SENTENCE, label="your sentence", max_length=400, elem_id="wayward-sentence", scale=3, min_width=260),
            "gammas": gr.Textbox(
                "0 1 10",
                label="pull (γ), several",
                max_length=80,
                elem_id="wayward-gammas",
                min_width=150,
            ),
            "steps": gr.Number(60, label="steps", elem_id="wayward-steps", min_width=80),
        }

    def key(self, look: Look) -> tuple:
        return (str(look.run.recipe), *super().key(look))

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        steps, recipe = look.settings["steps"], look.run.recipe
        whole = isinstance(steps, int | float) and float(steps).is_integer()
        if not whole:
            raise LabError("The number of steps is empty or not whole: give a whole number.")
        recipe = recipe.but(steps=int(steps), model=self.lab.model, dtype=self.lab.dtype)
        events = sweep(lm, look.task, recipe, str(look.settings["sentence"]), weights(look.settings["gammas"]), self.lab.book)
        yield from by_steps(events, recipe.steps)

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View("<p class='note'>A K/V prefix has no nearest tokens: train a soft prompt for this.</p>")
        if not findings:
            return View("")
        runs = [item for item in findings.items if isinstance(item, Wayward)]
        scored = [item.score for item in findings.items if isinstance(item, Scored) and item.final]
        written = [row["accuracy"] for row in look.record.lines if row["kind"] == "handcrafted"]
        figure = inspect_figures.wayward(runs, max(written, default=None))
        return View(_told(runs, scored, look) + _table(runs, look.chosen) + _bars(scored, look.written), figure)


def weights(text: Any) -> list[float]:
    """The weights typed in, separated by spaces or commas. LabError for what is no number, or too many."""
    words = str(text or "").replace(",", " ").split()
    try:
        found = [float(word) for word in words]
    except ValueError:
        found = []
    if not found or len(found) > MOST_WEIGHTS:
        raise LabError(f"The pull is not 1 to {MOST_WEIGHTS} numbers: write some like 0 0.01 0.1, with spaces between them.")
    return found


def _told(runs: list[Wayward], scored: list[Score], look: Look) -> str:
    best = choose([run for run in runs if run.start != "free"])
    if best is None:
        return ""
    final = next((score for score in scored if score.name == best.contender.name), None)
    if final is None:
        return (
            f"<p class='note big'>So far: a prompt whose nearest tokens spell <q>{show.safe(best.text.strip())}</q> gets "
            f"<b>{show.percent(best.score.accuracy)}</b> of {best.score.n} validation rows right.</p>"
        )
    low, high = (100 * end for end in final.interval)
    return (
        f"<p class='note big'>This prompt’s nearest tokens spell <q>{show.safe(best.text.strip())}</q>, and it gets "
        f"<b>{show.percent(final.accuracy)}</b> of {final.n} held-out rows of “{show.safe(look.task.name)}” right ({low:.0f}–{high:.0f}).</p>"
    )


def _table(runs: list[Wayward], chosen: int | None) -> str:
    if not runs:
        return ""
    lines = []
    for run in runs:
        tokens = "".join(
            f"<span class='tok{' lit-token' if chosen == i else ''}'>{show.safe(show.token(text))}</span> "
            for i, text in enumerate(run.tokens)
        )
        lines.append(
            f"<tr><th scope='row'>{show.safe(run.contender.name)}</th><td>{tokens}</td><td class='num'>{run.kept} of {len(run.tokens)}</td>"
            f"<td class='num'>{run.by_l2} of {len(run.tokens)}</td><td class='num'>{run.distance:.2f}</td><td class='num'>{show.percent(run.score.accuracy)}</td></tr>"
        )
    heads = "".join(
        f"<th scope='col' class='num'>{name}</th>" for name in ("kept (cosine)", "kept (L2)", "squared distance", "validation rows right")
    )
    return (
        f"<div class='wide'><table class='said csv'><caption>What each prompt spells</caption><thead><tr><th scope='col'>prompt</th>"
        f"<th scope='col'>its nearest tokens</th>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def _bars(scored: list[Score], written: list[str]) -> str:
    rows = [score_row(score, samples=False) for score in scored]
    return show.bars(rows, "On held-out rows, scored once; the prompt was chosen on validation rows", written) if rows else ""
