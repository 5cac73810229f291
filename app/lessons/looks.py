"""The fourth lesson: the nearest tokens of a soft prompt, compared with controls, and the accuracy of these tokens alone."""

from collections.abc import Iterator
from dataclasses import replace

from app.lessons.experiment import Experiment, Settings, each, record_of
from app.panels.findings import Findings
from app.panels.look import View
from app.panels.snap import kept
from app.sessions.contest import learned_contender
from app.view import figures
from app.view.bars import bars
from app.view.html import join, tag
from app.view.lesson import Outcome, versus
from app.view.nearest import chips, nearest_table, unchanged
from app.view.samples import samples
from app.view.text import percent
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.probes.wayward import Wayward, look
from core.runs.contest import baselines
from core.scoring.contender import Contender
from core.scoring.derived_contenders import moved, snapped, started
from core.scoring.score import Score
from core.ticket import Ticket


def how_many(share: float) -> str:
    """A share of the vectors, or of a gain, as one of three.

    >>> how_many(0.2), how_many(0.5), how_many(0.8)
    ('few', 'some', 'most')
    """
    return "few" if share <= 0.2 else "most" if share >= 0.8 else "some"


class NearestExperiment(Experiment):
    """Train, and count the vectors whose nearest token changed, for the prompt and its control."""

    name, button = "nearest", "Train it, and look"

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None:
            return View()
        if not record.finished:
            return View(chips(record, record.step, None), figures.curves(record))
        return View(nearest_table(record, record.step), figures.strip(record, record.step, None))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        record = record_of(findings)
        assert record is not None
        last = record.readings[-1]
        still, control, count = unchanged(record, len(record.readings) - 1)
        values = {
            "changed": str(count - still),
            "control": str(count - control),
            "count": str(count),
            "learned": percent(next(score.accuracy for score in record.scores if score.learned)),
            "moved": f"{float(last.moved.mean()):.2f}",
            "norm": f"{float(last.norm.mean()):.2f}",
        }
        return Outcome(how_many((count - still) / count), values)


class SnapExperiment(Experiment):
    """The nearest word instead of each vector of the prompt trained before, compared with an equally long random move."""

    name, button = "snap", "Snap it, and score"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(self.recipe(settings).steps + 6)
        run = yield from self.trained(lm, settings, ticket)
        task, mine = run.task, replace(learned_contender(run), name="learned")
        words, text = snapped(lm, mine)
        yield Finding(text)
        start = run.record.vectors[0]
        entrants = [mine, words, moved(lm, mine, start), started(lm, mine, start), baselines(task)[0]]
        for score in self.scored(lm, task, entrants):
            yield Finding(score) if score else None

    def view(self, settings: Settings, findings: Findings) -> View:
        scores = {score.name: score for score in each(Score, findings)}
        reads = join(tag("p", "Snapped, the prompt reads: ", tag("q", text), class_="headline") for text in each(str, findings))
        return View(reads + bars(scores.values(), "The same held-out rows for all", []) + kept(scores))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        mine, words, control, _, nothing = each(Score, findings)  # in the order of `job`
        scores = {"learned": mine, "snapped": words, "control": control, "none": nothing}
        values = {name: percent(score.accuracy) for name, score in scores.items()}
        if versus(mine, nothing) != "ahead":
            return Outcome("unclear", values)
        return Outcome(how_many((words.accuracy - nothing.accuracy) / (mine.accuracy - nothing.accuracy)), values)


class WaywardExperiment(Experiment):
    """A prompt that starts at a sentence which has nothing to do with the task (settings: sentence), trained on the task."""

    name, button = "wayward", "Train it from the sentence"

    def whole(self, lm: LanguageModel, settings: Settings) -> Settings:
        """The settings with as many vectors as the sentence has tokens."""
        sentence = settings["sentence"]
        recipe = {"init": "text", "init_text": sentence, "virtual_tokens": max(1, len(lm.tokenise(sentence)))}
        return {**settings, "recipe": {**settings.get("recipe", {}), **recipe}}

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(self.recipe(settings).steps + 5)
        run = yield from self.trained(lm, self.whole(lm, settings), ticket)
        task, mine = run.task, replace(learned_contender(run), name="learned")
        start = run.record.vectors[0]
        itself = replace(started(lm, mine, start), name="the sentence itself")
        entrants: list[Contender] = [mine, itself, moved(lm, mine, start), baselines(task)[0]]
        for score in self.scored(lm, task, entrants):
            yield Finding(score) if score else None
            if score and score.name == "learned":
                yield look(lm, mine, lm.tokenise(settings["sentence"]), 0.0, "sentence", score, run.record.step)

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None:
            return View()
        reads = join(
            tag("p", "Its nearest tokens read: ", tag("q", one.text.strip()), class_="headline") for one in each(Wayward, findings)
        )
        scored = bars(each(Score, findings), "The same held-out rows for all", [])
        return View(reads + scored + chips(record, record.step, None) + samples(record, record.step), figures.curves(record))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        (found,) = each(Wayward, findings)
        _, itself, control, _ = each(Score, findings)  # in the order of `job`
        values = {
            "learned": percent(found.score.accuracy),
            "itself": percent(itself.accuracy),
            "text": found.text.strip(),
            "kept": str(found.kept),
            "count": str(len(found.tokens)),
            "control": percent(control.accuracy),
        }
        learned = versus(found.score, itself) == "ahead"
        return Outcome(("both" if found.reads else "task") if learned else ("words" if found.reads else "neither"), values)
