"""A lesson: its texts from assets/lessons, a session's progress, and a prediction compared with the result.

The texts are part of this project and may contain markup; the values filled into them are escaped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from app.view.html import Html, join, tag
from core.files import ASSETS
from core.scoring.score import Score, compare

LESSONS = ASSETS / "lessons"
ORDER = ("vectors", "sizes", "starts", "reading", "prefix")
MOST_KEPT = 20_000  # characters of progress that a browser may bring
CHANCE = 0.05  # with a paired p of this or more, a difference is too close to call


@dataclass(frozen=True)
class Part:
    """One prediction and one experiment. choices: outcome -> the words that predict it. outcomes: outcome -> the text that reports it.

    because: the explanation of an outcome, by its name. why: the explanation that holds for all.
    run: the experiment's name in app.lessons; settings: its arguments.
    """

    lesson: str
    number: int
    title: str
    text: tuple[Html, ...]
    question: str
    choices: dict[str, str]
    run: str
    settings: dict[str, Any]
    outcomes: dict[str, Html]
    because: dict[str, Html]
    why: tuple[Html, ...]

    @property
    def key(self) -> str:
        return f"{self.lesson}/{self.number}"


@dataclass(frozen=True)
class Lesson:
    """A lesson as it is read. id: its link, ?lesson=id."""

    id: str
    title: str
    minutes: int
    lead: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Told:
    """What an experiment found: the name of an outcome, and what fills the text's {places}."""

    outcome: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Progress:
    """A session's place, predictions and finished parts. at: lesson and part. mine: keys of experiments that it ran."""

    at: tuple[int, int] = (0, 0)
    bets: dict[str, str] = field(default_factory=dict)
    done: dict[str, str] = field(default_factory=dict)  # the outcome, by the part's key
    mine: set[Any] = field(default_factory=set)
    running: Any = None  # the key of the experiment that this session waits for
    turn: int = 0  # grows when another handler takes over painting

    def to_json(self) -> str:
        """What the browser keeps."""
        lesson = lessons()[self.at[0]]
        return json.dumps({"at": [lesson.id, self.at[1]], "bets": self.bets, "done": self.done}, separators=(",", ":"))

    def take(self, text: Any) -> None:
        """Restore the progress that a browser kept. Unknown names are ignored."""
        try:
            data = json.loads(text) if isinstance(text, str) and len(text) <= MOST_KEPT else {}
        except (ValueError, RecursionError):
            return
        if not isinstance(data, dict):
            return
        bets, done, at = (data.get(name) for name in ("bets", "done", "at"))
        for part in (part for lesson in lessons() for part in lesson.parts):
            bet = bets.get(part.key) if isinstance(bets, dict) else None
            if isinstance(bet, str) and bet in part.choices:
                self.bets.setdefault(part.key, bet)
            outcome = done.get(part.key) if isinstance(done, dict) else None
            if part.key in self.bets and isinstance(outcome, str) and outcome in part.outcomes:
                self.done.setdefault(part.key, outcome)
        if isinstance(at, list) and len(at) == 2 and self.at == (0, 0):
            self.go(at[0], at[1])

    def go(self, lesson: Any, part: Any = None) -> bool:
        """To a lesson by its id, to this part of it or its first one that isn't done. False, and nothing, where there is none."""
        number = next((i for i, one in enumerate(lessons()) if one.id == lesson), None) if isinstance(lesson, str) else None
        if number is None:
            return False
        parts = lessons()[number].parts
        if part is None:
            part = next((one.number for one in parts if one.key not in self.done), 0)
        if not isinstance(part, int) or isinstance(part, bool) or not 0 <= part < len(parts):
            part = 0
        self.at = (number, part)
        return True

    @property
    def lesson(self) -> Lesson:
        return lessons()[self.at[0]]

    @property
    def part(self) -> Part:
        return self.lesson.parts[self.at[1]]


@cache
def lessons() -> tuple[Lesson, ...]:
    """All lessons, in the order in which they are read."""
    return tuple(_read(LESSONS / f"{name}.json") for name in ORDER if (LESSONS / f"{name}.json").is_file())


def _ours(text: str) -> Html:
    """A text of assets/lessons, which may contain markup."""
    return Html(text)  # noqa: S704 (a file of this project)


def _read(path: Path) -> Lesson:
    data = json.loads(path.read_text("utf-8"))
    parts = [
        Part(
            lesson=path.stem,
            number=number,
            title=part["title"],
            text=tuple(map(_ours, part["text"])),
            question=part["question"],
            choices=part["choices"],
            run=part["run"],
            settings=part.get("with", {}),
            outcomes={name: _ours(text) for name, text in part["outcomes"].items()},
            because={name: _ours(text) for name, text in part.get("because", {}).items()},
            why=tuple(map(_ours, part["why"])),
        )
        for number, part in enumerate(data["parts"])
    ]
    return Lesson(path.stem, data["title"], data["minutes"], data["lead"], tuple(parts))


# --- outcomes, by what was measured ----------------------------------------------------------------------------------


def versus(a: Score, b: Score) -> str:
    """ahead, behind or tie: A compared with B on their common rows (exact McNemar test, p < 0.05)."""
    found = compare(a, b)
    if found.p >= CHANCE:
        return "tie"
    return "ahead" if found.difference > 0 else "behind"


def apart(a: Score, b: Score) -> str:
    """The difference between A and B as words, points and the paired test."""
    found = compare(a, b)
    low, high = (100 * end for end in found.interval)
    points = f"{100 * found.difference:+.0f} points ({low:+.0f} to {high:+.0f}; paired, p = {found.p:.2g})"
    if found.p >= CHANCE:
        return f"too close to call on {found.n} rows: {points}"
    return f"clearly {'better' if found.difference > 0 else 'worse'}: {points}"


def amount(share: float) -> str:
    """A share as one of three: few (below a third), some, most (above two thirds).

    >>> amount(0.2), amount(0.5), amount(0.7)
    ('few', 'some', 'most')
    """
    return "few" if share < 1 / 3 else "some" if share <= 2 / 3 else "most"


# --- HTML ------------------------------------------------------------------------------------------------------------


def paragraphs(texts: Sequence[Html]) -> Html:
    return join(tag("p", text) for text in texts)


def verdict(part: Part, bet: str, told: Told) -> Html:
    """The prediction, the result, and whether they agree."""
    mark, word, kind = ("✓", "As you predicted.", "right") if bet == told.outcome else ("✗", "Surprise!", "wrong")
    bold = tag("strong", tag("span", mark, aria_hidden=True), f" {word}")
    return tag(
        "div",
        tag("p", bold, " You predicted: ", tag("q", part.choices[bet])),
        tag("p", part.outcomes[told.outcome].format_map(told.values), class_="happened"),
        class_=f"outcome {kind}",
        role="status",
    )


def contents(progress: Progress) -> Html:
    """The list of lessons with the progress of each; the open one is marked."""
    items = []
    for number, lesson in enumerate(lessons()):
        done = [part for part in lesson.parts if part.key in progress.done]
        right = sum(progress.bets.get(part.key) == progress.done[part.key] for part in done)
        told = f"{lesson.minutes} minutes" if not done else f"{len(done)} of {len(lesson.parts)} done, {right} predicted correctly"
        words = tag("b", f"{number + 1}. {lesson.title}") + tag("small", told)
        here = True if number == progress.at[0] else None
        items.append(tag("li", tag("button", words, type="button", class_="lesson", data_cell=number, aria_current=here)))
    return tag("ol", *items, class_="lessons")


def head(progress: Progress) -> Html:
    """The open lesson's title, and a numbered button for each part."""
    lesson = progress.lesson
    dots = [
        tag(
            "button",
            f"{'✓ ' if one.key in progress.done else ''}{one.number + 1}",
            type="button",
            class_="number",
            data_cell=one.number,
            aria_current="step" if one is progress.part else None,
            title=one.title,
        )
        for one in lesson.parts
    ]
    address = tag("a", "link", class_="dim", href=f"?lesson={lesson.id}", title="this lesson’s own address")
    parts = tag("div", *dots, class_="numbers", role="group", aria_label="parts of this lesson")
    return tag("h2", lesson.title, " ", address) + tag("p", lesson.lead, class_="dim") + parts


def reasons(part: Part, told: Told) -> Html:
    """The explanation that fits this outcome."""
    texts = [*([part.because[told.outcome]] if told.outcome in part.because else []), *part.why]
    return tag("h4", "Why") + paragraphs([text.format_map(told.values) for text in texts])


def reading(part: Part) -> Html:
    return tag("h3", f"{part.number + 1}. {part.title}") + paragraphs(part.text)


def link(lesson: str, words: str) -> Html:
    """A link to a lesson, in a new tab, so that work on this page continues."""
    address = tag("a", f"Lesson: {words}", href=f"?lesson={lesson}", target="_blank", rel="noopener")
    return tag("p", address, class_="lesson-link")
