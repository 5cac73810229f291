"""The fourth lesson: the nearest tokens of a soft prompt, compared with controls, and the accuracy of these tokens alone."""

from collections.abc import Iterator
from dataclasses import replace

from app.lessons.experiment import Experiment, Settings, record_of
from app.panels.findings import Findings
from app.panels.look import View
from app.panels.nearest import nearest_table
from app.panels.snap import kept
from app.sessions.contest import learned_contender
from app.view import figures
from app.view.bars import bars
from app.view.html import EMPTY, tag
from app.view.lesson import Told, versus
from app.view.nearest import chips
from app.view.samples import samples
from app.view.text import percent
from core.events import Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.probes.wayward import Wayward, look
from core.runs.contest import Scored, baselines, common_rows, contest
from core.scoring.contender import Contender
from core.scoring.derived_contenders import moved, snapped, started
from core.scoring.score import Score
from core.ticket import Ticket

FEW = 0.2  # of the vectors, or of a gain: hardly any
MANY = 0.8


class NearestExperiment(Experiment):
    """Train, and count the vectors whose nearest token changed, for the prompt and its control."""

    name, button = "nearest", "Train it, and look"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(self.recipe(settings).steps)
        yield from self.trained(lm, settings, ticket)

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None or not record.readings:
            return View()
        if not record.finished:
            return View(chips(record, record.step, None), figures.curves(record))
        return View(nearest_table(record, record.step, None), figures.strip(record, record.step, None))

    def told(self, settings: Settings, findings: Findings) -> Told:
        record = record_of(findings)
        assert record is not None
        first = [ids[0] for ids in record.readings[0].ids]
        last = record.readings[-1]
        changed = sum(ids[0] != was for ids, was in zip(last.ids, first, strict=True))
        control = sum(now != was for now, was in zip(last.control_ids[0], first, strict=True))
        learned = next(score for score in record.scores if score.learned)
        values = {
            "changed": str(changed),
            "control": str(control),
            "count": str(len(first)),
            "learned": percent(learned.accuracy),
            "moved": f"{float(last.moved.mean()):.2f}",
            "norm": f"{float(last.norm.mean()):.2f}",
        }
        share = changed / len(first)
        return Told("few" if share <= FEW else "most" if share >= MANY else "some", values)


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
        for event in contest(lm, task, entrants, common_rows(task.held_out, baselines(task)), self.lab.book, "held_out"):
            yield Finding(event.score) if isinstance(event, Scored) and event.final else None

    def view(self, settings: Settings, findings: Findings) -> View:
        scores = {item.name: item for item in findings.items if isinstance(item, Score)}
        texts = [item for item in findings.items if isinstance(item, str)]
        reads = tag("p", "Snapped, the prompt reads: ", tag("q", texts[0]), class_="headline") if texts else EMPTY
        return View(reads + bars(scores.values(), "The same held-out rows for all", []) + kept(scores))

    def told(self, settings: Settings, findings: Findings) -> Told:
        scores = [item for item in findings.items if isinstance(item, Score)]
        mine = next(score for score in scores if score.name == "learned")
        words = next(score for score in scores if score.name.startswith("snapped"))
        control = next(score for score in scores if score.name.startswith("control"))
        nothing = next(score for score in scores if score.kind == "none")
        gain = mine.accuracy - nothing.accuracy
        values = {
            "learned": percent(mine.accuracy),
            "snapped": percent(words.accuracy),
            "control": percent(control.accuracy),
            "none": percent(nothing.accuracy),
        }
        if versus(mine, nothing) != "ahead":
            return Told("unclear", values)
        left = (words.accuracy - nothing.accuracy) / gain
        return Told("few" if left <= FEW else "most" if left >= MANY else "some", values)


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
        for event in contest(lm, task, entrants, common_rows(task.held_out, baselines(task)), self.lab.book, "held_out"):
            if isinstance(event, Scored) and event.final:
                yield Finding(event.score)
                if event.score.name == "learned":
                    yield look(lm, mine, lm.tokenise(settings["sentence"]), 0.0, "sentence", event.score, run.record.step)
            else:
                yield None

    def view(self, settings: Settings, findings: Findings) -> View:
        record = record_of(findings)
        if record is None or not record.readings:
            return View()
        scores = [item for item in findings.items if isinstance(item, Score)]
        found = next((item for item in findings.items if isinstance(item, Wayward)), None)
        reads = tag("p", "Its nearest tokens read: ", tag("q", found.text.strip()), class_="headline") if found else EMPTY
        scored = bars(scores, "The same held-out rows for all", [])
        return View(reads + scored + chips(record, record.step, None) + samples(record, record.step), figures.curves(record))

    def told(self, settings: Settings, findings: Findings) -> Told:
        found = next(item for item in findings.items if isinstance(item, Wayward))
        scores = {item.name: item for item in findings.items if isinstance(item, Score)}
        itself = scores["the sentence itself"]
        values = {
            "learned": percent(found.score.accuracy),
            "itself": percent(itself.accuracy),
            "text": found.text.strip(),
            "kept": str(found.kept),
            "count": str(len(found.tokens)),
            "control": percent(next(score.accuracy for name, score in scores.items() if name.startswith("control"))),
        }
        learned = versus(found.score, itself) == "ahead"
        return Told(("both" if found.reads else "task") if learned else ("words" if found.reads else "neither"), values)
