"""The scoreboard in words and as a table: for the page, and in plain text for the command line."""

from collections.abc import Sequence
from typing import Any

from app.view.figures.scoreboard import counted, scoreboard
from app.view.html import Html, details, dim, note, table, tag, wide
from app.view.text import cut, day, in_list, percent, short_name, span
from core.display import text_table
from core.truths.readings import READINGS, REFERENCE
from core.truths.recorded import COMMAND
from core.truths.result import SOURCES, Board, Line, lines

SHOWN = {"snapped": "snapped text", "greedy": "continues", "says": "in the frames"}  # texts that are shown of a prompt
RANKED = ("nearest", "chat", "states", REFERENCE)  # readings whose rank is shown of a prompt
HEADS = ("reading", "ranked above", "95 %", "first", "1/rank", "control", "gain over control", "95 %", "text itself", "verdict")
VERDICTS = {"finds": "finds the truth", "nothing": "finds nothing", "misled": "points elsewhere"}


def label(reading: str) -> str:
    """A reading's name for people."""
    return READINGS[reading].label if reading in READINGS else reading


def found(board: Board) -> str:
    """What was found, in sentences."""
    rows = [one for one in lines(board) if one.reading != REFERENCE]
    finds, others = ([label(one.reading) for one in rows if (one.verdict == "finds") is wanted] for wanted in (True, False))
    said = f"{len(finds)} of {len(rows)} readings find the truth (above chance, and above their control)"
    said += f": {in_list(finds)}." if finds else "."
    if finds and others:
        said += f" Not so: {in_list(others)}."
    blind = [label(one.reading) for one in rows if not one.works]
    if blind:
        said += f" Even in the text itself the truth is not found by {in_list(blind)}."
    reference = next((one for one in lines(board) if one.reading == REFERENCE), None)
    if reference:
        said += (
            f" The reference, {label(REFERENCE)}, puts the truth first for {percent(reference.by_source['learned'].first)} of the prompts."
        )
    return said


def figure(board: Board, words: str = "") -> dict[str, Any]:
    """Where each reading ranks the truth. words: the title, by default what was found."""
    labels = {name: label(name) for name in board.readings}
    return scoreboard(lines(board), labels, words or title(board), len(board.truths), len(board.prompts))


def title(board: Board) -> str:
    """The figure's title."""
    rows = [one for one in lines(board) if one.reading != REFERENCE]
    finds = sum(one.verdict == "finds" for one in rows)
    return f"Readings that find what a prompt was made to mean: {finds} of {len(rows)}"


def scoreboard_table(board: Board) -> Html:
    """A row for each reading, and below it what was read off each truth's first prompt."""
    rows = [(tag("span", label(one.reading), title=_about(one)), *_cells(one)) for one in lines(board)]
    caption = counted(len(board.truths), len(board.prompts))
    made = wide(table(HEADS, rows, caption, numbers=range(1, 9)))
    made += note(*(f"{sentence} " for sentence in remarks(board)))
    return made + details("What the readings said, prompt by prompt", wide(_examples(board)), class_="made")


def _about(one: Line) -> str:
    return READINGS[one.reading].about if one.reading in READINGS else ""


def _cells(one: Line) -> list[str]:
    own, text = one.by_source["learned"], one.by_source.get("text")
    control = one.by_source["moved"]
    return [
        percent(own.beaten),
        span(own.beaten_interval),
        percent(own.first),
        f"{own.reciprocal:.2f} ({own.chance:.2f})",
        percent(control.beaten),
        f"{100 * one.gain:+.0f}",
        f"{100 * one.gain_interval[0]:+.0f} to {100 * one.gain_interval[1]:+.0f}",
        percent(text.beaten) if text else "–",
        VERDICTS[one.verdict],
    ]


def remarks(board: Board) -> Sequence[str]:
    """What must be known to read the numbers."""
    return (
        "Ranked above: the share of wrong candidates that rank below the truth; chance is 50 %.",
        "1/rank: mean, with chance in brackets.",
        f"Control: {SOURCES['moved']} by equal distances.",
        "Text itself: the truth’s own tokens as vectors, which any reading should find.",
        "A reading finds the truth where it is above chance and above its control, each by a whole 95 % interval (bootstrap over truths).",
    )


def _examples(board: Board) -> Html:
    """The first prompt of each truth: its rank by a few readings, and what those that give text gave."""
    firsts = {one.truth: one for one in reversed(board.prompts)}
    readings = [name for name in RANKED if name in board.readings]
    rows = []
    for truth in board.truths:
        one = firsts[truth]
        ranks = [f"{one.places['learned'][name].rank:g}" for name in readings]
        rows.append((board.texts[truth], *ranks, *(cut(one.said.get(name, ""), 160) for name in SHOWN)))
    heads = ("truth", *(f"rank: {label(name)}" for name in readings), *SHOWN.values())
    return table(heads, rows, numbers=range(1, 1 + len(readings)))


def origin(board: Board) -> Html:
    """Where a recorded result comes from."""
    date = board.made.get("date", "")
    return note(
        f"Recorded {day(date)} with {short_name(board.head.model)}, {board.head.steps} steps a prompt, {board.head.device}, {board.head.dtype}",
        dim(" · ", tag("code", COMMAND)),
    )


def scoreboard_text(board: Board) -> str:
    """The same in plain text."""
    rows = [(label(one.reading), *_cells(one)) for one in lines(board)]
    return "\n".join([text_table(HEADS, rows), "", found(board), *remarks(board)])
