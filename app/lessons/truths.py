"""The lesson on readings with a known truth: one prompt that imitates an instruction, read live; and the recorded scoreboard."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, each
from app.panels.findings import Findings
from app.panels.look import View
from app.view import scoreboard as view
from app.view.html import Html, table, tag
from app.view.lesson import Outcome
from app.view.text import percent
from core.errors import LabError
from core.events import Done, Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.ticket import Ticket
from core.truths.readings import READINGS, REFERENCE
from core.truths.recorded import recorded
from core.truths.result import SETTINGS, SOURCES, Board, PromptRead, lines
from core.truths.scoreboard import STEPS, PromptDone, Stepped, board_of, scoreboard
from core.truths.truths import built_in_truths


class TruthExperiment(Experiment):
    """A prompt that imitates the instruction `truth`, trained and read; the outcome is the family of readings that put it first."""

    name, button = "truth", "Train it, and read it"

    def methods(self, settings: Settings) -> list[str]:
        return ["prompt"]

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        steps = int(settings.get("recipe", {}).get("steps", STEPS))
        yield Progress(steps + len(SOURCES) + 1)
        for event in scoreboard(lm, built_in_truths(), [settings["truth"]], SETTINGS[:1], steps):
            if isinstance(event, Stepped | Done):
                yield Done()
            elif isinstance(event, PromptDone):
                yield Finding(board_of(lm, built_in_truths(), [event.read], steps))
            elif event is None:
                yield None

    def view(self, settings: Settings, findings: Findings) -> View:
        for board in each(Board, findings):
            (read,) = board.prompts
            title = f"Where each reading ranks “{board.texts[read.truth]}”"
            said = [(label, read.said.get(name, "")) for name, label in view.SHOWN.items()]
            return View(_ranks(read) + table(("reading", "what it gave"), said), view.figure(board, title))
        return View()

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        (board,) = each(Board, findings)
        (read,) = board.prompts
        own = read.places["learned"]
        first = [name for name, place in own.items() if place.first == 1]
        families = {READINGS[name].family for name in first}
        words = families & {"vectors", "heard", "described"}
        values = {
            "text": board.texts[read.truth],
            "count": str(own[REFERENCE].of),
            "first": ", ".join(view.label(name) for name in first) or "none",
            "behaviour": str(own[REFERENCE].better + 1),
            "states": str(own["states"].better + 1),
            "kl_first": f"{read.losses[0]:.2f}",
            "kl_last": f"{read.losses[1]:.2f}",
        }
        return Outcome("words" if words else "states" if "states" in families else "behaviour" if REFERENCE in families else "none", values)


def _ranks(read: PromptRead) -> Html:
    """The rank of the truth by each reading, for the prompt and its controls."""
    sources = [source for source in SOURCES if source in read.places]
    rows = [(view.label(name), *(f"{read.places[source][name].rank:g}" for source in sources)) for name in read.places["learned"]]
    count = next(iter(read.places["learned"].values())).of
    caption = f"Rank of the truth among {count} candidates: 1 is first, {(count + 1) / 2:g} is chance"
    return table(("reading", *(SOURCES[source] for source in sources)), rows, caption, numbers=range(1, 1 + len(sources)))


class RecordedTruthsExperiment(Experiment):
    """The recorded scoreboard: all truths, all readings."""

    name, button = "truths", "Show the recorded scoreboard"

    def methods(self, settings: Settings) -> list[str]:
        return []

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        board = recorded()
        if board is None:
            raise LabError("No scoreboard is recorded here: make one with python -m app scoreboard --out assets/scoreboard.json.")
        yield Progress(1)
        yield Finding(board)

    def view(self, settings: Settings, findings: Findings) -> View:
        for board in each(Board, findings):
            return View(tag("p", view.found(board)) + view.scoreboard_table(board) + view.origin(board), view.figure(board))
        return View()

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        (board,) = each(Board, findings)
        rows = [one for one in lines(board) if one.reading != REFERENCE]
        finds = [one for one in rows if one.verdict == "finds"]
        vectors = [one for one in finds if one.reading in READINGS and READINGS[one.reading].family == "vectors"]
        reference = next(one for one in lines(board) if one.reading == REFERENCE)
        values = {
            "finds": str(len(finds)),
            "count": str(len(rows)),
            "names": ", ".join(view.label(one.reading) for one in finds) or "none",
            "vectors": str(len(vectors)),
            "behaviour": percent(reference.by_source["learned"].first),
            "truths": str(len(board.truths)),
            "prompts": str(len(board.prompts)),
        }
        share = len(finds) / len(rows)
        return Outcome("few" if share <= 0.2 else "most" if share >= 0.8 else "some", values)
