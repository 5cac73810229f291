"""What the model says of its prompt: the vectors, or their states, inside a sentence about them, at every recorded step."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view.html import EMPTY, Html, details, dim, note, table, wide
from app.view.text import cut, visible
from core import LabError
from core.events import Event
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.prefix import prefix_of
from core.scoring.contender import Contender
from core.scoring.derived_contenders import moved, started
from core.ticket import Ticket
from core.truths.describe import Asked, Question, coarse_to_fine, describe, merged
from core.truths.frames import ASKED, FRAMES, MARK, frames_of, own_frame

MEANS = "means"
CHAT = "chat"
FRAME_WORDS = {**FRAMES, CHAT: f"In a chat: {ASKED}"}
NO_STATES = note(
    "A K/V prefix is keys and values inside every layer. It has no positions of its own, so there is nothing to put into a sentence or to "
    "patch: train a soft prompt for this."
)


class DescribesPanel(Panel):
    name, title, button, by_step = "describes", "What does the model say of its prompt?", "Ask at every step", False
    follows, text_first = True, True
    sees = (
        f"The model continues a sentence about its prompt: the learned vectors are at the {MARK}, or their states are written into a later "
        "layer there; step by step, next to the start, a random control and the same instruction in words."
    )
    doubt = "that an answer is what the prompt does: a small model continues any sentence fluently. Believe only what the controls do not get, too."

    def make_settings(self) -> dict[str, Any]:
        return {
            "frame": gr.Dropdown(
                _frames(), value=MEANS, label=f"sentence, or your own with {MARK}", allow_custom_value=True, elem_id="describes-frame",
                scale=3, min_width=260,
            ),
            "source": gr.Dropdown(_layers(1), value=0, label="states from layer", elem_id="describes-source", min_width=130),
            "layer": gr.Dropdown(_layers(1), value=0, label="written into layer", elem_id="describes-layer", min_width=130),
        }  # fmt: skip

    def refresh(self, session: Session, runs: list[SessionRun]) -> dict[str, Any]:
        lm = self.lab.lm(session)
        if lm is None:
            return {}
        return {
            "frame": gr.update(choices=_frames(bool(getattr(lm.tokenizer, "chat_template", None)))),
            "source": gr.update(choices=_layers(lm.layers + 1)),
            "layer": gr.update(choices=_layers(lm.layers)),
        }

    def key(self, look: Look) -> tuple:
        return (*super().key(look), true_text(look))

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        lm = lm.for_scoring
        before = self.known(look)  # of an attempt that was stopped
        known = {(one.source, one.step): one for one in before.items} if before else {}
        chosen = str(look.settings["frame"])
        frames = frames_of(lm)
        if chosen == CHAT and CHAT not in frames:
            raise LabError("This model has no chat template: choose another sentence.")
        frame = frames[chosen] if chosen in frames else own_frame(lm, chosen)
        question = Question(frame, _layer(look.settings["source"]), _layer(look.settings["layer"]))
        yield from describe(lm, question, _prompts(lm, look, question), known)

    def view(self, look: Look, findings: Findings | None) -> View:
        if not look.soft:
            return View(NO_STATES)
        said = {(one.source, one.step): one.text for one in findings.items} if findings else {}
        return View(_now(look, said) + _course(said)) if said else View()


def _prompts(lm: LanguageModel, look: Look, question: Question) -> list[Asked]:
    """All that is asked about: the start, the prompt and its control at every step, and the words."""
    text, frame = true_text(look)[0], question.frame
    last = look.run.last
    steps = [step for step in sorted(look.record.vectors) if 0 < step < last] + [last]

    def learned(step: int) -> Contender:
        return replace(look, step=step).soft_prompt

    def control(step: int) -> Contender:
        return moved(lm, learned(step), look.known_start)

    found: list[Asked] = []
    if look.start is not None:
        found.append(Asked("start", 0, lambda: started(lm, learned(last), look.known_start)))
    ids = lm.tokenise(text)
    if ids and len(frame.before) + len(ids) + len(frame.after) + question.most <= lm.window:
        words = prefix_of(METHODS["prompt"], lm.embed_ids(ids).cpu()).to(lm.device)
        found.append(Asked("text", 0, lambda: replace(learned(last), prefix=words)))
    for step in coarse_to_fine(steps, min(look.step, last)):
        found.append(Asked("learned", step, partial(learned, step)))
        if look.start is not None:
            found.append(Asked("moved", step, partial(control, step)))
    return found


def true_text(look: Look) -> tuple[str, str]:
    """A text that says what the prompt should do, and what it is: its teacher's words, or the first written prompt's."""
    recipe = look.run.recipe
    if recipe.loss == "imitate" and (words := _words(recipe.teacher)):
        return words, "its teacher’s words"
    written = next((words for one in look.task.handcrafted if (words := _words(one.template))), "")
    return written, "the task’s first written prompt (it was not trained to imitate that)"


def _words(template: str) -> str:
    """The words of a prompt before its input, or those after it where there are none."""
    before, _, after = template.partition("{input}")
    return before.strip() or after.strip()


def _now(look: Look, said: dict[tuple[str, int], str]) -> Html:
    """What is said at the step of the slider, or at the last one before it that was asked about."""
    asked = [step for source, step in said if source == "learned"]
    step = max((one for one in asked if one <= look.step), default=min(asked, default=0))
    words, what = true_text(look)
    untrained = look.step == 0 and ("start", 0) in said  # at step 0 the prompt is its start
    rows = [
        (name, visible(said[source, at]))
        for source, at, name in (
            ("learned", step, "the prompt" if look.record.loaded else f"the prompt after step {step}"),
            ("moved", step, "its start, moved as far at random"),
            ("start", 0, "its start, untrained"),
            ("text", 0, f"{what}: “{cut(words, 120)}”"),
        )
        if (source, at) in said and not (untrained and at)
    ]
    return wide(table(("in the sentence", "the model continues"), rows))


def _course(said: dict[tuple[str, int], str]) -> Html:
    """How the answer formed. Neighbouring steps with the same answers are one row."""
    steps = sorted(step for source, step in said if source == "learned")
    if len(steps) < 2:
        return EMPTY
    first = {0: (said["start", 0], said["start", 0])} if ("start", 0) in said else {}
    by_step = first | {step: (said["learned", step], said.get(("moved", step), "")) for step in steps}
    rows = [(_span(low, high), *(visible(text) or dim("…") for text in texts)) for low, high, texts in merged(by_step)]
    made = wide(table(("steps", "the prompt", "its start, moved as far at random"), rows, "Equal neighbours are one row"))
    different = len({texts[0] for texts in by_step.values()})
    return details(f"How the answer formed: {different} different answers at {len(by_step)} steps", made, open="")


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"


def _frames(chat: bool = True) -> list[tuple[str, str]]:
    """(words, value) of the sentences that are offered."""
    return [(visible(words), name) for name, words in FRAME_WORDS.items() if chat or name != CHAT]


def _layers(count: int) -> list[tuple[str, int]]:
    return [("0 (input)" if layer == 0 else str(layer), layer) for layer in range(count)]


def _layer(value: Any) -> int:
    """The number of a layer. LabError for anything else; which there are is the experiment's to say."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise LabError("A layer is not chosen: choose one from the list.")
    return value
