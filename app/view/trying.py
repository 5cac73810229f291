"""Try it: what the frozen model answers with each kind of prompt, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.view.html import Html, bold, dim, join, note, tag
from app.view.text import cut, percent, visible, whole_token
from core.scoring.trying import Tried

NAMES = {"none": "no prompt", "instruction": "instruction", "examples": "worked examples"}


@dataclass(frozen=True)
class Row:
    """One prompt's answer. role: none, instruction, examples or learned. front: its text with {input}. right: None where the right
    answer is not known. tried: None while there is no answer; then `waits` says why."""

    role: str
    name: str
    front: str
    tried: Tried | None = None
    right: bool | None = None
    waits: str = "…"


def rows(shown: Sequence[Row], text: str) -> Html:
    """The rows, each with the prompt, its answer, and the next tokens behind their small bars."""
    return tag("ul", *(_row(row, text) for row in shown), class_="tried", aria_label="Answers with each kind of prompt")


def _row(row: Row, text: str) -> Html:
    learned = row.role == "learned"
    squares = tag("i", row.front, class_="squares", aria_hidden=True) if learned else tag("code", _front(row.front, text))
    prompt = tag("span", bold(row.name), squares, class_="front", title=None if learned else row.front.replace("{input}", text))
    return tag("li", prompt, _answer(row), _next(row.tried), class_=f"try {row.role}")


def _front(front: str, text: str) -> str:
    return cut(visible(front.replace("{input}", text)).replace("⏎", " ⏎ "), 60)


def _answer(row: Row) -> Html:
    tried = row.tried
    if tried is None:
        return tag("span", dim(row.waits), class_="answer waits")
    if tried.problem:
        return tag("span", dim(tried.problem), class_="answer waits")
    mark = {True: tag("b", "✓", aria_label="right"), False: tag("b", "✗", aria_label="wrong"), None: None}[row.right]
    kind = {True: " right", False: " wrong", None: ""}[row.right]
    return tag("span", mark, " " if mark else None, cut(tried.said, 60) or "∅", class_=f"answer{kind}", title=tried.said)


def _next(tried: Tried | None) -> Html | None:
    """The likeliest next tokens: three small bars, which open as a list. The list is a title, too, for a mouse."""
    if tried is None or not tried.likeliest:
        return tag("span", class_="next")
    words = ", ".join(f"{whole_token(text)} {percent(share)}" for text, share in tried.likeliest)
    bars = tag(
        "span", *(tag("b", style=f"height:{max(8, 100 * share):.0f}%") for _, share in tried.likeliest), class_="mini", aria_hidden=True
    )
    listed = [
        tag(
            "li",
            tag("code", cut(whole_token(text), 20)),
            tag("span", tag("b", style=f"width:{100 * share:.0f}%")),
            tag("em", percent(share)),
        )
        for text, share in tried.likeliest
    ]
    summary = tag("summary", bars, title=f"likeliest next: {words}", aria_label=f"likeliest next tokens: {words}")
    return tag("details", summary, tag("ol", *listed, class_="nexts"), class_="next")


def below(right: str | None, told: Sequence[str]) -> Html:
    """The right answer, where it is known, and what else there is to say."""
    known = join(["Right answer: ", bold(right), ". "]) if right else "The right answer is known for rows of the task only. "
    return note(known, " ".join(told))


def vectors_bar(chosen: int | None, muted: Sequence[int], count: int, words: str) -> Html:
    """Below the picture: what a press does, and buttons to mute the chosen vector and to bring back what was muted."""
    pressed: list[Html] = []
    if chosen is not None and chosen < count:
        on = chosen in muted
        pressed.append(_button(f"{'Unmute' if on else 'Mute'} vector {chosen + 1}", chosen, on))
    if muted:
        pressed.append(_button("Unmute all", count, False))
    if not pressed:
        return note(words)
    gone = ", ".join(str(i + 1) for i in sorted(muted))
    said = f"Left out: {gone}. The later vectors move up." if muted else "Muting leaves a vector out; see what the answer becomes."
    return tag("p", join(pressed, " "), " ", dim(said), class_="note")


def _button(words: str, cell: int, on: bool) -> Html:
    return tag("button", words, type="button", class_="switch", data_cell=cell, aria_pressed=on)
