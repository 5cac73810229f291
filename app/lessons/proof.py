"""What success proves: the same recipe where there is nothing to learn, and on a model that has learned nothing."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, each, record_of
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.bars import bars
from app.view.lesson import Outcome, apart, versus
from app.view.text import percent
from core.events import Done, Event, Finding, Progress
from core.models.language_model import LanguageModel
from core.runs.contest import Scored
from core.runs.run import Trained, repeat
from core.runs.untrained_control import on_random_weights
from core.scoring.score import Score
from core.tasks.built_in import shuffled
from core.ticket import Ticket

CONTROL = "the control"


class ProofExperiment(Experiment):
    """settings: task, recipe, and control: `shuffled` (answers) or `random` (weights). Outcome: the control against the learned prompt."""

    name, button = "proof", "Train both"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        task, recipe = self.task(settings), self.recipe(settings)
        yield Progress(2 * recipe.steps + 1)
        yield from self.trained(lm, settings, ticket)
        if settings["control"] == "random":
            yield from (self._step(event) for event in on_random_weights(lm, task, recipe, CONTROL))
            return
        for event in repeat(lm, shuffled(task), recipe, CONTROL):
            if isinstance(event, Trained):
                for score in self.scored(lm, task, [event.contender]):
                    yield Finding(score) if score else None
            else:
                yield Done()

    @staticmethod
    def _step(event: Event) -> Event | None:
        """A step, the score once it is whole, or nothing to show yet."""
        if isinstance(event, Scored):
            return Finding(event.score) if event.score.final else None
        return Done()

    def view(self, settings: Settings, findings: Findings) -> View:
        record, controls = record_of(findings), each(Score, findings)
        if record is None:
            return View()
        scores = [*record.scores, *controls]
        return View(
            bars(scores, "Right answers on held-out rows, scored once, at the end", record.task["handcrafted"]), figures.curves(record)
        )

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        record, (control,) = record_of(findings), each(Score, findings)
        assert record is not None
        learned = next(score for score in record.held_out.values() if score.learned)
        most = next((score for score in record.held_out.values() if score.kind == "majority"), learned)
        values = {
            "learned": percent(learned.accuracy),
            "control": percent(control.accuracy),
            "majority": percent(most.accuracy),
            "n": str(control.n),
            "difference": apart(control, learned),
            "steps": str(record.step),
        }
        if versus(control, learned) != "behind":
            return Outcome("same", values)
        return Outcome("some" if versus(control, most) == "ahead" else "nothing", values)
