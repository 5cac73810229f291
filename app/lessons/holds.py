"""What a vector can hold: a few vectors learn to make the frozen model say a sentence, and as many random tokens."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings, each
from app.panels.findings import Findings
from app.panels.fits import told
from app.panels.look import View
from app.view import figures
from app.view.lesson import Outcome
from core.events import Event
from core.models.language_model import LanguageModel
from core.probes.fits import Aim, Fit, fit
from core.ticket import Ticket

FEW, MOST = 0.25, 0.75  # of the tokens


class HoldsExperiment(Experiment):
    """settings: sentence, vectors, steps. ask: how much comes back of the `sentence`, or of the `control`, as many random tokens."""

    name, button = "holds", "Fill the vectors"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        steps = settings.get("recipe", {}).get("steps", settings["steps"])
        yield from fit(lm, settings["sentence"], settings["vectors"], steps)

    def view(self, settings: Settings, findings: Findings) -> View:
        aims, found = each(Aim, findings), each(Fit, findings)
        return View(told(aims[0], found), figures.fits(aims[0], found)) if aims and found else View()

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        (aim,), last = each(Aim, findings), each(Fit, findings)[-1]
        total, sentence, control = len(aim.texts), last.sentence.recovered, last.control.recovered
        values = {
            "total": str(total),
            "sentence": str(sentence),
            "control": str(control),
            "step": str(last.step),
            "numbers": f"{aim.vectors * aim.d_model:,}",
            "bits": f"{aim.bits:,.0f}",
            "room": f"{aim.room:,}",
        }
        share = {"sentence": sentence, "control": control}[settings["ask"]] / total
        return Outcome("all" if share == 1 else "most" if share >= MOST else "few" if share <= FEW else "half", values)
