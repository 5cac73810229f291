"""PCA: where the vectors are and how they got there, in a plane that says what it was fitted on and what it hides."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View, fingerprint
from app.panels.panel import Panel
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view import figures
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import baselines
from core.runs.pca_paths import Slice, view, word_groups
from core.ticket import Ticket

WALK, WORDS = "a random walk of the same step lengths", "words of prompts and answers"


class PlanePanel(Panel):
    name, title, open, follows, automatic, by_step = "plane", "Where the vectors are (PCA)", True, True, True, False
    sees = "The vectors, and their paths through training, in the plane with the largest differences among the vectors that you choose."
    doubt = (
        "that points that look close are close: a flat picture hides most of each vector’s hundreds of dimensions. And a random walk looks "
        "just as smooth in its own plane."
    )

    def make_settings(self) -> dict[str, Any]:
        bases = [("the vocabulary", "vocabulary"), ("this run’s path", "path"), ("the runs’ own vectors", "vectors")]
        return {
            "basis": gr.Dropdown(bases, value="vocabulary", label="plane fitted on", elem_id="plane-basis", min_width=160),
            "dimensions": gr.Radio([("2D", 2), ("3D", 3)], value=2, label="show", elem_id="dimensions", min_width=120),
            "extras": gr.CheckboxGroup([WALK, WORDS], value=[], label="also", elem_id="plane-extras", min_width=260),
            "layer": gr.Slider(0, 29, value=15, step=1, label="layer", elem_id="layer", visible=False, min_width=160),
            "part": gr.Radio([("keys", 0), ("values", 1)], value=1, label="of", elem_id="part", visible=False, min_width=130),
            "head": gr.Dropdown([("all", -1)], value=-1, label="head", elem_id="head", visible=False, min_width=90),
        }

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        record = runs[0].record if runs else None
        settings = self.look(session, runs[0], runs).settings if runs else self.settings(session)
        prefix = record is not None and not record.method.in_embedding_space
        layers = record.base.get("layers", 30) if record else 30
        vectors = record.vectors.get(0) if record else None
        heads = vectors.shape[3] if prefix and vectors is not None else 0
        return {
            "layer": gr.update(visible=prefix, maximum=max(layers - 1, 1), value=settings["layer"] if runs else 0),
            "part": gr.update(visible=prefix, value=settings["part"]),
            "head": gr.update(visible=prefix, choices=[("all", -1), *((str(i), i) for i in range(heads))]),
        }

    def look(self, session: Session, run: SessionRun, runs: list[SessionRun]) -> Look:
        look = super().look(session, run, runs)
        last = run.record.base.get("layers", 30) - 1
        layer = min(int(look.settings["layer"]), last) if self.name in session.inspect.settings else (last + 1) // 2
        kept = {} if self.name in session.inspect.settings else {"part": run.record.part}
        return replace(look, settings={**look.settings, **kept, "layer": layer})

    def key(self, look: Look) -> tuple:
        settings = {name: value for name, value in look.settings.items() if name != "dimensions"}
        return (*(sorted((name, str(value)) for name, value in settings.items())), look.record.step, *map(_named, look.beside))

    def as_recorded(self, look: Look) -> bool:
        """Whether the run has read its own path along the way as it is asked for here."""
        plain = look.settings["basis"] == "vocabulary" and not look.settings["extras"] and not look.beside
        asked = tuple(look.settings[name] for name in ("layer", "part", "head"))
        middle = asked == (look.record.base.get("layers", 30) // 2, look.record.part, -1)
        return plain and (look.soft or middle)

    def needed(self, look: Look) -> bool:
        return not self.as_recorded(look)

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        which = Slice()
        if not look.soft:
            layer, head = min(int(look.settings["layer"]), lm.layers - 1), int(look.settings["head"])
            which = Slice(layer, 0 if look.settings["part"] == 0 else 1, head if 0 <= head < lm.kv_heads else None)
        words = word_groups(lm, look.task, baselines(look.task)[1:4]) if WORDS in look.settings["extras"] else ()
        others = {run.name: run.record for run in look.beside}
        yield Progress(1)
        yield Finding(view(lm, self.lab.vocabulary(lm), look.record, look.settings["basis"], which, others, words))

    def view(self, look: Look, findings: Findings | None) -> View:
        dimensions = 3 if look.settings["dimensions"] == 3 else 2
        if self.as_recorded(look) or not (findings and findings.items):
            return View(figure=figures.plane(look.record, look.step, look.chosen, dimensions, control=True))
        what = "vectors" if look.soft else "keys" if look.settings["part"] == 0 else "values"
        walk = WALK in look.settings["extras"]
        return View(figure=figures.paths(findings.items[-1], look.step, look.chosen, dimensions, walk, what))


def _named(run: SessionRun) -> tuple[str, bytes]:
    """What is drawn of a compared run; runs of other sessions may have the same name."""
    return run.name, fingerprint(run.record.vectors.get(0), run.record.final_vectors())
