"""How much fits in one vector: a few vectors learn to make the frozen model say a sentence, and it comes back as they train."""

from collections.abc import Iterator
from typing import Any

import gradio as gr

from app.panels.findings import Findings
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view import figures
from app.view.html import EMPTY, Html, dim, join, note, table, tag, wide
from app.view.text import visible
from core import LabError
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.fits import Aim, Fit, Said, fit
from core.ticket import Ticket

SENTENCE = "A stitch in time saves nine, but only if you have a needle."
COUNTS = (1, 2, 4, 8)


class FitsPanel(Panel):
    name, title, open, button, of_run = "fits", "How much fits in one vector?", True, "Fill the vectors", False
    text_first = True
    sees = (
        "A few vectors are trained until the frozen model says your sentence by itself; the same number of random tokens is learned alongside. "
        "In colour: what already comes back."
    )
    doubt = "that the sentence is stored in the vectors alone: the model supplies all that it can guess, which is why random tokens are usually harder."

    def make_settings(self) -> dict[str, Any]:
        return {
            "sentence": gr.Textbox(SENTENCE, label="your sentence", max_length=600, elem_id="fits-sentence", scale=3, min_width=260),
            "vectors": gr.Dropdown(
                [(str(count), count) for count in COUNTS], value=2, label="vectors", elem_id="fits-vectors", min_width=90
            ),
            "steps": gr.Number(200, label="steps, at most", elem_id="fits-steps", min_width=110),
            "seed": gr.Number(0, label="seed", elem_id="fits-seed", min_width=80),
        }

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        vectors, steps, seed = (whole(look.settings[name], name) for name in ("vectors", "steps", "seed"))
        yield from fit(lm, str(look.settings["sentence"] or ""), vectors, steps, seed)

    def view(self, look: Look, findings: Findings | None) -> View:
        items = findings.items if findings else []
        aim = next((item for item in items if isinstance(item, Aim)), None)
        found = [item for item in items if isinstance(item, Fit)]
        if aim is None or not found:
            return View()
        return View(told(aim, found) + _bounds(aim), figures.fits(aim, found))


def whole(value: Any, name: str) -> int:
    """A whole number that was typed. LabError for anything else; bounds are the experiment's."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and float(value).is_integer()
    if not good or not 0 <= value < 2**31:
        raise LabError(
            f"The number of {name} is empty or not whole: give a whole number."
            if name != "seed"
            else "The seed is no whole number: give one."
        )
    return int(value)


def told(aim: Aim, found: list[Fit]) -> Html:
    """How much comes back so far, which tokens, and what the model says by itself."""
    return _counted(aim, found) + _words(aim, found[-1]) + _texts(aim, found)


def _counted(aim: Aim, found: list[Fit]) -> Html:
    total, last = len(aim.texts), found[-1]
    who = "One vector makes" if aim.vectors == 1 else f"{aim.vectors} vectors make"
    done = next((one.step for one in found if one.sentence.recovered == total), None)
    if done is None:
        words = Html(
            "After step {}, {} the model say <b>{} of {}</b> tokens of your sentence; of as many random tokens, <b>{}</b>. First choices after the right tokens: {} and {}."
        )
        counts = (last.sentence.recovered, total, last.control.recovered, last.sentence.right, last.control.right)
        said = words.format(last.step, who[0].lower() + who[1:], *counts)
    else:
        control = next((one.step for one in found if one.control.recovered == total), None)
        random = f"all {total} after step {control}" if control is not None else f"{last.control.recovered} after step {last.step}"
        words = Html(
            "{} the model say <b>all {} tokens</b> of your sentence, for the first time after step {}; of {} random tokens, <b>{}</b>."
        )
        said = words.format(who, total, done, total, random)
    return tag("p", said, class_="note big")


def _words(aim: Aim, last: Fit) -> Html:
    """The tokens of both targets, those in colour that are the first choice after the right ones."""

    def marked(texts: tuple[str, ...], hits: tuple[bool, ...]) -> Html:
        return join(tag("b", visible(text), class_="right") if hit else dim(visible(text)) for text, hit in zip(texts, hits, strict=False))

    both = (("Your sentence: ", aim.texts, last.sentence.hits), ("Random tokens: ", aim.control, last.control.hits))
    return join(tag("p", dim(name), marked(texts, hits)) for name, texts, hits in both if hits)


def _texts(aim: Aim, found: list[Fit]) -> Html:
    """What comes back, at the newest step at which the model was let speak."""
    spoken = [one for one in found if one.sentence.text is not None]
    if not spoken:
        return EMPTY
    step, total = spoken[-1].step, len(aim.texts)
    both = (("your sentence", spoken[-1].sentence), ("random tokens", spoken[-1].control))
    told = [tag("p", dim(f"After step {step}, for {name}, the model says: "), _text(said)) for name, said in both]
    rows = [[name, f"{said.recovered} of {total}", f"{said.right} of {total}", f"{said.bits:.0f}"] for name, said in both]
    caption = (
        "Come back: before the first wrong one. First choice: where the right ones are before them. Bits: how surprising all of it still is"
    )
    return join(told) + wide(table(["", "come back", "first choice", "bits"], rows, caption, numbers=(1, 2, 3)))


def _text(said: Said) -> Html:
    right = tag("b", visible(said.text or ""), class_="right") if said.text else EMPTY
    return join([right, dim(visible(said.wrong))]) if said.wrong else right


def _bounds(aim: Aim) -> Html:
    total = len(aim.texts)
    told = (
        f"In bits: {total} tokens of a vocabulary of {aim.vocabulary:,} hold at most {total} × log₂ {aim.vocabulary:,} = {aim.bits:,.0f} bits; "
        f"{aim.vectors} × {aim.d_model:,} numbers of 32 bits hold {aim.room:,}."
    )
    room = " So there is room: the limit is what the frozen model can read out of a vector, and what training finds in so many steps."
    return note(told + (room if aim.room > aim.bits else ""))
