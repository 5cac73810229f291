"""The first lesson: handcrafted prompts, then a learned prompt, on the same held-out rows."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, each, record_of
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.bars import bars
from app.view.headline import headline
from app.view.html import EMPTY, Html, table, tag, td
from app.view.lesson import Outcome, amount, apart, versus
from app.view.samples import said, samples
from app.view.tables import prompts
from app.view.text import cut, percent
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import baselines
from core.scoring.contender import Contender
from core.scoring.score import Score, best_handcrafted
from core.ticket import Ticket


class WrittenExperiment(Experiment):
    """No prompt and instructions (part `instructions`), then worked examples too."""

    name, button = "written", "Ask the model"

    def entrants(self, settings: Settings) -> list[Contender]:
        return [one for one in baselines(self.task(settings)) if settings["part"] == "examples" or not one.examples]

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        task, entrants = self.task(settings), self.entrants(settings)
        yield Progress(len(entrants))
        for score in self.scored(lm, task, entrants):
            yield Finding(score) if score else None

    def view(self, settings: Settings, findings: Findings) -> View:
        scores = each(Score, findings)
        written = self.task(settings).handcrafted
        scored = bars(scores, "Right answers, all on the same held-out rows", [prompt.name for prompt in written])
        names = {score.name for score in scores}
        shown = [prompt for prompt in written if prompt.name in names]
        return View(scored + (prompts(shown) if shown else EMPTY) + first_answers(scores))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        scores = each(Score, findings)
        nothing = next(score for score in scores if score.kind == "none")
        plain = best_handcrafted(score for score in scores if not score.examples) or nothing
        values = {"none": percent(nothing.accuracy), "instruction": percent(plain.accuracy), "n": str(plain.n), "name": plain.name}
        if settings["part"] == "instructions":
            return Outcome(amount(plain.accuracy), values)
        worked = best_handcrafted(score for score in scores if score.examples) or nothing
        values |= {"examples": percent(worked.accuracy), "difference": apart(worked, plain)}
        return Outcome(versus(worked, plain), values)


class TrainExperiment(Experiment):
    """A learned prompt compared with handcrafted ones. ask: `written` (against the best of them), or `amount` (how many are right)."""

    name, button = "train", "Train it"

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None:
            return View()
        found = tag("div", headline(record), class_="headline")
        scored = bars(record.scores, "Right answers on held-out rows, scored once, at the end", record.task["handcrafted"])
        return View(found + scored + samples(record, record.step), figures.curves(record))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        record = record_of(findings)
        assert record is not None
        scores = record.held_out.values()
        learned = next(score for score in scores if score.learned)
        nothing = next(score for score in scores if score.kind == "none")
        written = best_handcrafted(scores) or nothing
        values = {
            "learned": percent(learned.accuracy),
            "n": str(learned.n),
            "none": percent(nothing.accuracy),
            "written": percent(written.accuracy),
            "name": written.name,
            "difference": apart(learned, written),
            "vectors": str(record.recipe["virtual_tokens"]),
            "steps": str(record.step),
            "seconds": f"{record.seconds:.0f}",
            "positions": f"{learned.positions}",
            "written_positions": f"{written.positions}",
            "first_loss": f"{sum(record.losses[:5]) / len(record.losses[:5]):.2f}",
            "last_loss": f"{sum(record.losses[-5:]) / len(record.losses[-5:]):.2f}",
            "loss": f"{learned.token_loss:.2f}" if learned.token_loss is not None else "–",
        }
        return Outcome(amount(learned.accuracy) if settings["ask"] == "amount" else versus(learned, written), values)


def first_answers(scores: list[Score], most: int = 6) -> Html:
    """The answers of the best of `scores` on its first rows."""
    if not scores:
        return EMPTY
    top = max(scores, key=lambda score: score.accuracy)
    rows = [[td(cut(one.input, 60)), td(cut(one.output, 30), class_="dim"), said(one)] for one in top.results[:most]]
    caption = f"What it says with the best of these, “{top.name}”"
    return table(["input", "right answer", "it says"], rows, caption, class_="said")
