"""Do different runs find the same vectors? The same recipe from other starts and in other orders of the rows."""

from collections.abc import Iterator

from app.panels.findings import Findings, by_steps
from app.panels.look import Look, View
from app.panels.panel import Panel
from app.view.html import EMPTY, note, table, tag, wide
from app.view.text import percent
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.seeds import Meeting, meet
from core.ticket import Ticket


class SeedsPanel(Panel):
    name, title, button, by_step = "seeds", "Do different runs find the same vectors?", "Train four more seeds", False
    sees = (
        "The same recipe from two other starts and in two other orders of the rows: how similar the vectors become, each matched with its "
        "best partner, and how often the prompts give the same answers."
    )
    doubt = (
        "that there is only one solution: partners are chosen to be similar, so even unrelated vectors score above 0. Compare with the starts, "
        "and with the starts moved equally far at random."
    )

    def key(self, look: Look) -> tuple:
        return (str(look.run.recipe),)

    def job(self, lm: LanguageModel, look: Look, ticket: Ticket) -> Iterator[Event | None]:
        yield from by_steps(meet(lm, look.task, look.run.recipe, self.lab.book), look.run.recipe.steps)

    def view(self, look: Look, findings: Findings | None) -> View:
        found = [item for item in findings.items if isinstance(item, Meeting)] if findings else []
        if not found:
            return View()
        rows = []
        for one in found:
            shared = [name for name, same in (("start", one.same_start), ("order", one.same_order)) if same]
            cells = [
                " and ".join(shared) or "nothing", *(f"{value:.2f}" for value in (one.same_place, one.matched)),
                tag("span", f"{one.control:.2f}", class_="control-ink"), f"{one.starts:.2f}", percent(one.agreement),
                f"{percent(one.accuracy_a)}, {percent(one.accuracy_b)}",
            ]  # fmt: skip
            rows.append([f"{one.a} and {one.b}", *cells])
        apart = [one for one in found if not one.same_start]
        verdict = EMPTY
        if apart:
            mean = {name: sum(getattr(one, name) for one in apart) / len(apart) for name in ("matched", "control", "agreement")}
            met = mean["matched"] > mean["control"] + 0.1
            verdict = note(
                f"From other starts the vectors match at {mean['matched']:.2f} on average, random moves of equal length at "
                f"{mean['control']:.2f}: {'more than by chance' if met else 'they found different vectors'}. The prompts agree on "
                f"{percent(mean['agreement'])} of the held-out rows."
            )
        heads = [
            "pair",
            "the two share",
            "cosine, same place",
            "matched",
            "matched, at random",
            "matched, starts",
            "same answers",
            "% right",
        ]
        caption = "Pairs of runs; cosines after the vocabulary’s mean is taken off"
        return View(verdict + wide(table(heads, rows, caption, numbers=range(2, 8))))
