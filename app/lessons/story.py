"""The first lesson: handcrafted prompts, then a learned prompt, on the same held-out rows."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, record_of
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.bars import bars
from app.view.headline import headline
from app.view.html import EMPTY, Html, table, tag, td
from app.view.lesson import Told, amount, apart, versus
from app.view.samples import said, samples
from app.view.tables import prompts
from app.view.text import cut, percent
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import Scored, baselines, common_rows, contest
from core.runs.record import RunRecord
from core.scoring.contender import Contender
from core.scoring.score import Score
from core.tasks.task import Task
from core.ticket import Ticket


class WrittenExperiment(Experiment):
    """No prompt and instructions (part `instructions`), then worked examples too."""

    name, button = "written", "Ask the model"

    def entrants(self, settings: Settings) -> list[Contender]:
        return [one for one in baselines(self.task(settings)) if settings["part"] == "examples" or not one.examples]

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        task, entrants = self.task(settings), self.entrants(settings)
        yield Progress(len(entrants))
        for event in contest(lm, task, entrants, common_rows(task.held_out, baselines(task)), self.lab.book, "held_out"):
            yield Finding(event.score) if isinstance(event, Scored) and event.final else None

    def view(self, settings: Settings, findings: Findings) -> View:
        scores = [score for score in findings.items if isinstance(score, Score)]
        names = [prompt.name for prompt in self.task(settings).handcrafted]
        scored = bars(scores, "Right answers, all on the same held-out rows", names)
        return View(scored + shown_prompts(self.task(settings), {score.name for score in scores}) + first_answers(scores))

    def told(self, settings: Settings, findings: Findings) -> Told:
        scores = [score for score in findings.items if isinstance(score, Score)]
        nothing = next(score for score in scores if score.kind == "none")
        plain = best([score for score in scores if score.kind == "handcrafted" and not score.examples]) or nothing
        values = {"none": percent(nothing.accuracy), "instruction": percent(plain.accuracy), "n": str(plain.n)}
        values["name"] = plain.name
        if settings["part"] == "instructions":
            return Told(amount(plain.accuracy), values)
        worked = best([score for score in scores if score.examples]) or nothing
        values |= {"examples": percent(worked.accuracy), "difference": apart(worked, plain)}
        return Told(versus(worked, plain), values)


class TrainExperiment(Experiment):
    """A learned prompt compared with handcrafted ones. ask: `written` (against the best of them), or `amount` (how many are right)."""

    name, button = "train", "Train it"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(self.recipe(settings).steps)
        yield from self.trained(lm, settings, ticket)

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None or not record.readings:
            return View()
        told = tag("p", headline(record), class_="headline")
        scored = bars(record.scores, "Right answers on held-out rows, scored once, at the end", record.task["handcrafted"])
        return View(told + scored + samples(record, record.step), figures.curves(record))

    def told(self, settings: Settings, findings: Findings) -> Told:
        record = record_of(findings)
        assert record is not None
        learned, written, nothing = scores_of(record)
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
        return Told(amount(learned.accuracy) if settings["ask"] == "amount" else versus(learned, written), values)


def scores_of(record: RunRecord) -> tuple[Score, Score, Score]:
    """Scores on held-out rows: the learned prompt, the best handcrafted one (picked after seeing these scores), no prompt."""
    scores = list(record.held_out.values())
    learned = next(score for score in scores if score.learned)
    nothing = next(score for score in scores if score.kind == "none")
    return learned, best([score for score in scores if score.kind == "handcrafted"]) or nothing, nothing


def best(scores: list[Score]) -> Score | None:
    return max(scores, key=lambda score: score.accuracy, default=None)


def shown_prompts(task: Task, names: set[str]) -> Html:
    """The full text of the prompts in `names`."""
    shown = [prompt for prompt in task.handcrafted if prompt.name in names]
    return prompts(shown) if shown else EMPTY


def first_answers(scores: list[Score], most: int = 6) -> Html:
    """The answers of the best of `scores` on its first rows."""
    top = best(scores)
    if top is None:
        return EMPTY
    rows = [[td(cut(one.input, 60)), td(cut(one.output, 30), class_="dim"), said(one)] for one in top.results[:most]]
    caption = f"What it says with the best of these, “{top.name}”"
    return table(["input", "right answer", "it says"], rows, caption, class_="said")
