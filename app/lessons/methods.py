"""Prompts, LoRA, adapters and full fine-tuning, measured: a recording, since it takes 20 minutes."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.lesson import Outcome
from app.view.methods_table import methods_table
from app.view.text import percent, short_name
from core.events import Event, Finding, Progress
from core.finetuning.recorded import COMMAND, recorded
from core.finetuning.result import MethodResult, SpectrumResult
from core.models.language_model import LanguageModel
from core.ticket import Ticket

STEADY = 0.7  # a rank correlation of this or more counts as an order


class MethodsExperiment(Experiment):
    """Does accuracy follow the number of trained parameters? Shows the recorded spectrum, whichever model is loaded."""

    name, button = "methods", "Show the measurement"

    def impossible(self, lm: LanguageModel, settings: Settings) -> str:
        return "" if recorded() else f"There is no recording of it here: {COMMAND} makes one."

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(1)
        yield Finding(recorded())

    def view(self, settings: Settings, findings: Findings) -> View:
        if not findings.items:
            return View()
        return View(methods_table(findings.items[0]), figures.methods(findings.items[0]))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        result: SpectrumResult = findings.items[0]
        trained = sorted((one for one in result.methods if one.parameters), key=lambda one: one.parameters)
        best = max(trained, key=lambda one: one.accuracy.mean)
        forgetful = max(trained, key=lambda one: one.forgetting.page.mean)
        by_accuracy = sorted(trained, key=lambda one: -one.accuracy.mean)
        values = {
            "model": short_name(result.model),
            "n": str(result.rows),
            "steps": str(result.steps),
            "seeds": str(len(result.seeds)),
            "sizes": " < ".join(f"{one.label} {one.parameters:,}" for one in trained),
            "order": ", ".join(f"{one.label} {percent(one.accuracy.mean)}" for one in by_accuracy),
            "best": best.label,
            "ties": str(sum(one is not best and one.interval[1] >= best.interval[0] for one in trained)),
            "best_held": percent(best.accuracy.mean),
            "forgetful": forgetful.label[:1].upper() + forgetful.label[1:],
            "forgotten": f"{forgetful.forgetting.page.mean:+.2f}",
        }
        return Outcome(by_rank(trained), values)


def by_rank(trained: list[MethodResult]) -> str:
    """Whether accuracy rises with the number of parameters, falls, or neither, by Spearman's rank correlation."""
    from scipy import stats

    accuracies = [one.accuracy.mean for one in trained]
    if len(set(accuracies)) == 1:
        return "neither"
    found = stats.spearmanr([one.parameters for one in trained], accuracies).statistic
    return "rising" if found >= STEADY else "falling" if found <= -STEADY else "neither"
