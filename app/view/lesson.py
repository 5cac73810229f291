"""A lesson: its texts from assets/lessons, a session's progress, and a prediction compared with the result.

The texts are part of this project and may contain markup; the values filled into them are escaped.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from app.view.html import Html, button, join, tag
from core.files import ASSETS
from core.scoring.measures import CHANCE
from core.scoring.score import Score, compare

LESSONS = ASSETS / "lessons"
ORDER = ("vectors", "sizes", "starts", "reading", "truths", "prefix", "holds", "proof")
MOST_KEPT = 20_000  # characters of progress that a browser may bring


@dataclass(frozen=True)
class Part:
    """One prediction and one experiment.

    run: the experiment's name in app.lessons, with its settings. By outcome: choices, the words that predict it; outcomes, the text that
    reports it; because, its explanation. why: the explanation that holds for all.
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
class Outcome:
    """An experiment's result: its name, and the values that are filled into the text's {places}."""

    name: str
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
        bets, done = (dict(found) if isinstance(found := data.get(name), dict) else {} for name in ("bets", "done"))
        for part in (part for lesson in lessons() for part in lesson.parts):
            bet, outcome = bets.get(part.key), done.get(part.key)
            if isinstance(bet, str) and bet in part.choices:
                self.bets.setdefault(part.key, bet)
            if part.key in self.bets and isinstance(outcome, str) and outcome in part.outcomes:
                self.done.setdefault(part.key, outcome)
        at = data.get("at")
        if isinstance(at, list) and len(at) == 2 and self.at == (0, 0):
            self.go(*at)

    def go(self, lesson: Any, part: Any = None) -> bool:
        """Open a lesson by its id, at this part or at its first part that isn't done. False where there is no such lesson."""
        for number, one in enumerate(lessons()):
            if one.id == lesson:
                numbers = range(len(one.parts))
                first = next((i for i in numbers if one.parts[i].key not in self.done), 0)
                self.at = (number, first if part is None else part if type(part) is int and part in numbers else 0)
                return True
        return False

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


def _read(path: Path) -> Lesson:
    data = json.loads(path.read_text("utf-8"))
    parts = []
    for number, part in enumerate(data.pop("parts")):
        for name in ("text", "why"):
            part[name] = tuple(map(Html, part[name]))
        for name in ("outcomes", "because"):
            part[name] = {outcome: Html(text) for outcome, text in part.get(name, {}).items()}  # noqa: S704 (a file of this project)
        parts.append(Part(lesson=path.stem, number=number, settings=part.pop("with", {}), **part))
    return Lesson(path.stem, parts=tuple(parts), **data)


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


def paragraphs(texts: Sequence[Html]) -> Html:
    return join(tag("p", text) for text in texts)


def verdict(part: Part, bet: str, outcome: Outcome) -> Html:
    """The prediction, the result, and whether they agree."""
    mark, word, kind = ("✓", "As you predicted.", "right") if bet == outcome.name else ("✗", "Surprise!", "wrong")
    bold = tag("strong", tag("span", mark, aria_hidden=True), f" {word}")
    return tag(
        "div",
        tag("p", bold, " You predicted: ", tag("q", part.choices[bet])),
        tag("p", part.outcomes[outcome.name].format_map(outcome.values), class_="happened"),
        class_=f"outcome {kind}",
        role="status",
    )


def contents(progress: Progress) -> Html:
    """The list of lessons with the progress of each; the open one is marked."""
    items = []
    for number, lesson in enumerate(lessons()):
        done = [part for part in lesson.parts if part.key in progress.done]
        right = sum(progress.bets.get(part.key) == progress.done[part.key] for part in done)
        done_words = f"{lesson.minutes} minutes" if not done else f"{len(done)} of {len(lesson.parts)} done, {right} predicted correctly"
        words = tag("b", f"{number + 1}. {lesson.title}") + tag("small", done_words)
        here = True if number == progress.at[0] else None
        items.append(tag("li", button(words, class_="lesson", data_cell=number, aria_current=here)))
    return tag("ol", *items, class_="lessons")


def head(progress: Progress) -> Html:
    """The open lesson's title, and a numbered button for each part."""
    lesson = progress.lesson
    buttons = []
    for one in lesson.parts:
        words = f"{'✓ ' if one.key in progress.done else ''}{one.number + 1}"
        here = "step" if one is progress.part else None
        buttons.append(button(words, class_="number", data_cell=one.number, aria_current=here, title=one.title))
    address = tag("a", "link", class_="dim", href=f"?lesson={lesson.id}", title="this lesson’s own address")
    parts = tag("div", *buttons, class_="numbers", role="group", aria_label="parts of this lesson")
    return tag("h2", lesson.title, " ", address) + tag("p", lesson.lead, class_="dim") + parts


def reasons(part: Part, outcome: Outcome) -> Html:
    """The explanation that fits this outcome."""
    because = [part.because[outcome.name]] if outcome.name in part.because else []
    return tag("h4", "Why") + paragraphs([text.format_map(outcome.values) for text in (*because, *part.why)])


def reading(part: Part) -> Html:
    return tag("h3", f"{part.number + 1}. {part.title}") + paragraphs(part.text)


def link(lesson: str, words: str) -> Html:
    """A link to a lesson, in a new tab, so that work on this page continues."""
    address = tag("a", f"Lesson: {words}", href=f"?lesson={lesson}", target="_blank", rel="noopener")
    return tag("p", address, class_="lesson-link")
