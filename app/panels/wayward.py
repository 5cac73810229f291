"""Wayward prompts: vectors whose nearest tokens spell any sentence, and that still do the task."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings, by_steps
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.bars import bars
from app.view.html import EMPTY, Html, join, note, table, tag, wide
from app.view.text import percent, span, token
from core import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.wayward import Wayward, choose, sweep
from core.runs.contest import Scored
from core.scoring.score import Score, best_handcrafted
from core.ticket import Ticket

SENTENCE = "Write a short poem about cats and dogs now"
MOST_WEIGHTS = 6


class WaywardPanel(Panel):
    name, title, open, button, by_step = "wayward", "Make the vectors spell any sentence", True, "Train them", False
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
        recipe = recipe.but(steps=int(steps), model=lm.name, dtype=self.lab.dtype)
        events = sweep(lm, look.task, recipe, str(look.settings["sentence"]), weights(look.settings["gammas"]), self.lab.book)
        yield from by_steps(events, recipe.steps)

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View(note("A K/V prefix has no nearest tokens: train a soft prompt for this."))
        if not findings:
            return View()
        runs = [item for item in findings.items if isinstance(item, Wayward)]
        scored = [item.score for item in findings.items if isinstance(item, Scored) and item.final]
        written = best_handcrafted(look.record.lines)
        figure = figures.wayward(runs, written.accuracy if written else None)
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


def _told(runs: list[Wayward], scored: list[Score], look: Look) -> Html:
    best = choose([run for run in runs if run.start != "free"])
    if best is None:
        return EMPTY
    reads = tag("q", best.text.strip())
    final = next((score for score in scored if score.name == best.contender.name), None)
    if final is None:
        words = Html("So far: a prompt whose nearest tokens spell {} gets <b>{}</b> of {} validation rows right.")
        words = words.format(reads, percent(best.score.accuracy), best.score.n)
    else:
        words = Html("This prompt’s nearest tokens spell {}, and it gets <b>{}</b> of {} held-out rows of “{}” right ({}).")
        words = words.format(reads, percent(final.accuracy), final.n, look.task.name, span(final.interval))
    return tag("p", words, class_="note big")


def _table(runs: list[Wayward], chosen: int | None) -> Html:
    if not runs:
        return EMPTY
    rows = []
    for run in runs:
        tokens = (tag("span", token(text), class_="tok lit-token" if chosen == i else "tok") + " " for i, text in enumerate(run.tokens))
        near = [f"{kept} of {len(run.tokens)}" for kept in (run.kept, run.by_l2)]
        rows.append([run.contender.name, join(tokens), *near, f"{run.distance:.2f}", percent(run.score.accuracy)])
    heads = ["prompt", "its nearest tokens", "kept (cosine)", "kept (L2)", "squared distance", "validation rows right"]
    return wide(table(heads, rows, "What each prompt spells", numbers=range(2, 6)))


def _bars(scored: list[Score], written: list[str]) -> Html:
    return bars(scored, "On held-out rows, scored once; the prompt was chosen on validation rows", written)
