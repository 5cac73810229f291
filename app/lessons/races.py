"""Several recipes trained in turn, one step each: starts, common mistakes, prompts against prefixes."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, each
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.lesson import Outcome, apart, versus
from app.view.race_table import race_table
from app.view.text import percent
from core import Recipe
from core.events import Event
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.runs.race import Entry, Lap, Placed, race
from core.scoring.measures import CHANCE
from core.scoring.score import Score, compare
from core.ticket import Ticket

LAST = 5  # the mean loss of so many last steps is the final loss


class RaceExperiment(Experiment):
    """settings: task, recipe (of all), entries, and what is asked.

    An entry has an id, a name, and where it differs: recipe, mistake, rows; `match` "parameters": as many virtual tokens as
    give about as many trained parameters as the first entry, with which the others are compared.
    ask: `last` (the clearly worst entry), `first` (the clearly best), or `against` (the entry `of` compared with the first).
    """

    name, button = "race", "Start the race"

    def entries(self, settings: Settings, lm: LanguageModel) -> list[Entry]:
        made: list[Entry] = []
        for spec in settings["entries"]:
            recipe = self.recipe(settings, **spec.get("recipe", {}))
            if spec.get("match") == "parameters":
                recipe = recipe.but(virtual_tokens=matched(lm, made[0].recipe, recipe))
            made.append(Entry(spec["id"], recipe, spec.get("mistake", ""), spec.get("rows", 0)))
        return made

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield from race(lm, self.task(settings), self.entries(settings, lm), self.lab.book)

    def impossible(self, lm: LanguageModel, settings: Settings) -> str:
        known = lm.for_scoring.impossible_mistakes
        for spec in settings["entries"]:
            if reason := known.get(spec.get("mistake", ""), ""):
                return f"This mistake can't be made with this model: {reason}."
        return super().impossible(lm, settings)

    def methods(self, settings: Settings) -> list[str]:
        return [self.recipe(settings, **spec.get("recipe", {})).method for spec in settings["entries"]]

    def view(self, settings: Settings, findings: Findings) -> View:
        laps, placed = each(Lap, findings), {one.name: one for one in each(Placed, findings)}
        names = {spec["id"]: spec["name"] for spec in settings["entries"]}
        steps = max(self.recipe(settings, **spec.get("recipe", {})).steps for spec in settings["entries"])
        return View(race_table(names, laps, placed), figures.race(names, laps, steps) if laps else None)

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        entries = {spec["id"]: spec for spec in settings["entries"]}
        scores = {one.name: one.held_out for one in each(Placed, findings)}
        first = scores[settings["entries"][0]["id"]]
        leader, tail = (end(scores, key=lambda name: scores[name].accuracy) for end in (max, min))
        values = {
            "n": str(first.n),
            "first": entries[leader]["name"],
            "first_held": percent(scores[leader].accuracy),
            "last": entries[tail]["name"],
            "last_held": percent(scores[tail].accuracy),
            "spread": apart(scores[tail], scores[leader]),
        }
        for one in each(Placed, findings):
            name, losses = one.name, [lap.loss for lap in each(Lap, findings) if lap.name == one.name]
            last = losses[-LAST:]
            values |= {
                f"{name}_held": percent(one.held_out.accuracy),
                f"{name}_seen": percent(one.seen.accuracy),
                f"{name}_loss": f"{one.held_out.token_loss:.2f}" if one.held_out.token_loss is not None else "–",
                f"{name}_start": f"{losses[0]:.2f}",
                f"{name}_end": f"{sum(last) / len(last):.2f}",
                f"{name}_gap": f"{100 * (one.seen.accuracy - one.held_out.accuracy):.0f} points",
                f"{name}_parameters": f"{one.parameters:,}",
                f"{name}_apart": apart(one.held_out, first),
                f"{name}_misused": percent(one.misused.accuracy) if one.misused else "–",
                f"{name}_rate": f"{self.recipe(settings, **entries[name].get('recipe', {})).learning_rate:g}",
            }
        return Outcome(outcome(settings, scores), values)


def outcome(settings: Settings, scores: dict[str, Score]) -> str:
    """The name of what happened, by held-out rows, paired: an entry's id, `tie`, `ahead` or `behind`."""
    if settings["ask"] == "against":
        return versus(scores[settings["of"]], scores[settings["entries"][0]["id"]])
    front = settings["ask"] == "first"
    order = sorted(scores, key=lambda name: -scores[name].accuracy if front else scores[name].accuracy)
    # The result counts only if the difference to the next entry is unlikely to be chance.
    found = compare(scores[order[0]], scores[order[1]])
    return order[0] if found.p < CHANCE else "tie"


def matched(lm: LanguageModel, first: Recipe, other: Recipe) -> int:
    """How many virtual tokens of `other`'s method have about as many parameters as `first` trains: at least one, at most 200."""
    wanted = METHODS[first.method].parameter_count(lm.shape, first.virtual_tokens, train=first.train)
    return min(200, max(1, round(wanted / METHODS[other.method].parameter_count(lm.shape, 1))))
