"""A prompt in words that does the same: a text is searched for whose predictions are those of the learned prompt."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.components.widgets import Changes
from app.panels.findings import Findings
from app.panels.fits import whole
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from app.view.html import EMPTY, Html, dim, join, note, table, tag, wide
from app.view.text import percent, span, visible
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.text_rounds import Round
from core.probes.text_search import Found, Verdict, numbers_in_words, text_search, verdict_in_words
from core.ticket import Ticket

CANDIDATES = (8, 16, 32, 64)
ROWS = 8
MOST_SHOWN = 400  # signs of a text
SEARCH, CONTINUE = "Search", "Continue"
STARTS = {"words": "from the nearest words", "random": "from random tokens"}


class TextSearchPanel(Panel):
    name, title, button, text_first = "textsearch", "Is there a text that does the same?", SEARCH, True
    sees = (
        "Starting from the nearest words and, as control, from random tokens, one token after the other is swapped so that the model’s predictions "
        "on training rows come closer to those with the learned prompt; then both texts are scored on the held-out rows."
    )
    doubt = "that no text does better: this is one short search, and other candidates, rows or seeds find other texts."

    def make_settings(self) -> dict[str, Any]:
        return {
            "rounds": gr.Number(40, label="rounds of each search", elem_id="textsearch-rounds", min_width=130),
            "candidates": gr.Dropdown(
                [(str(count), count) for count in CANDIDATES],
                value=16,
                label="texts per round",
                elem_id="textsearch-candidates",
                min_width=110,
            ),
            "seed": gr.Number(0, label="seed", elem_id="textsearch-seed", min_width=80),
        }

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        rounds, candidates, seed = (whole(look.settings[name], name) for name in ("rounds", "candidates", "seed"))
        before = self.known(look)  # of a search that was stopped
        done = [item for item in before.items if isinstance(item, Round)] if before else []
        yield from text_search(lm, look.task, look.learned, self.lab.book, rounds, candidates, ROWS, seed, done)

    def paint(self, session: Session, runs: list[SessionRun], message: str = "", working: bool = False) -> Changes:
        """As for all panels; the button says whether a stopped search will continue."""
        changes = super().paint(session, runs, message, working)
        known = self.known(self.look(session, runs[0], runs)) if runs and runs[0].record.readings else None
        begun = known is not None and not known.complete and bool(known.items)
        changes[self.go] = gr.update(interactive=not working, value=CONTINUE if begun and not working else SEARCH)
        return changes

    def view(self, look: Look, findings: Findings | None) -> View:
        about = EMPTY if look.soft else note("A K/V prefix has no nearest words: the search starts from random tokens only.")
        rounds = [item for item in findings.items if isinstance(item, Round)] if findings else []
        found = next((item for item in findings.items if isinstance(item, Found)), None) if findings else None
        if not rounds:
            return View(about)
        told = _told(found) if found else _so_far(rounds)
        return View(about + told, figures.text_search(rounds))


def _so_far(rounds: list[Round]) -> Html:
    latest = {one.start: one for one in rounds}
    lines = (
        tag("p", dim(f"Round {one.number}, {STARTS[start]}, {one.kl:.2f} nats: "), tag("q", visible(one.text)))
        for start, one in latest.items()
    )
    return join(lines)


def _told(found: Found) -> Html:
    heads = ["prompt", "text", "tokens", "KL, training rows", "KL, held-out rows", "held-out rows right", "loss per token"]
    caption = f"All on the same {found.verdicts[0].score.n} held-out rows. A text is read as one string with the template and the input"
    told = tag("p", verdict_in_words(found), class_="note big") + note(numbers_in_words(found))
    return told + wide(table(heads, map(_row, found.verdicts), caption, numbers=range(2, 7)))


def _row(one: Verdict) -> list[object]:
    right = join([tag("strong", percent(one.score.accuracy)), " ", dim(span(one.score.interval))])
    text = tag("q", visible(one.text)[:MOST_SHOWN]) if one.text else "–"
    numbers = (one.kl, one.likeness.kl if one.likeness else None)
    divergences = ["–" if value is None else f"{value:.2f}" for value in numbers]
    return [one.score.name, text, one.tokens, *divergences, right, "–" if one.surprise is None else f"{one.surprise:.1f}"]
