"""The second lesson: where vectors and prefixes go in the loaded model, and how many parameters each way of adapting it trains."""

from collections.abc import Iterator

from app.lessons.experiment import Experiment, Settings
from app.panels.findings import Findings
from app.panels.look import View
from app.view import figures
from app.view.lesson import Outcome
from app.view.sizes import diagram, share, sizes_table
from app.view.text import short_name
from core.events import Event, Finding, Progress
from core.finetuning.parameters import spectrum
from core.models.language_model import LanguageModel
from core.ticket import Ticket
from core.training.start import create

RANK, ADAPTER = 8, 64  # usual ones
ABOUT = 1.5  # times as much, or as little, still counts as about the same


class CountExperiment(Experiment):
    """Make both prompts on the loaded model, untrained, and count their parameters: one by one, and by the formula."""

    name, button = "count", "Make both, and count"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(3)
        yield Finding((short_name(lm.name), lm.shape))
        for method in ("prompt", "prefix"):
            count = create(lm, self.task(settings), self.recipe(settings, method=method)).parameter_count()
            yield Finding((method, count))

    def view(self, settings: Settings, findings: Findings) -> View:
        if not findings.complete:
            return View()
        (name, shape), tokens = findings.items[0], self.recipe(settings).virtual_tokens
        sizes = spectrum(shape, tokens, RANK, ADAPTER)
        return View(diagram(shape, tokens, name) + sizes_table(sizes), figures.spectrum(sizes, name))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        (name, shape), (_, prompt), (_, prefix) = findings.items
        times = prefix / prompt
        values = {
            "model": name,
            "prompt": f"{prompt:,}",
            "prefix": f"{prefix:,}",
            "times": f"{times:.0f}" if times >= 10 else f"{times:.1f}",
            "all": f"{shape.parameters:,}",
            "share": share(prompt / shape.parameters),
            "layers": str(shape.layers),
            "tokens": str(self.recipe(settings).virtual_tokens),
        }
        return Outcome(by_times(times), values)


def by_times(times: float) -> str:
    """How many times as many, roughly.

    >>> [by_times(times) for times in (1.2, 2.0, 20.0, 500.0)]
    ['same', 'double', 'tens', 'hundreds']
    """
    return "same" if times < ABOUT else "double" if times < 5 else "tens" if times < 200 else "hundreds"


class SpectrumExperiment(Experiment):
    """A prompt, a prefix, LoRA and adapters on the loaded model compared with all of its parameters. The calculator is below it."""

    name, button = "spectrum", "Count"

    def job(self, lm: LanguageModel, settings: Settings, ticket: Ticket) -> Iterator[Event | None]:
        yield Progress(1)
        yield Finding((short_name(lm.name), lm.shape))

    def view(self, settings: Settings, findings: Findings) -> View:
        if not findings.complete:
            return View()
        name, shape = findings.items[0]
        sizes = spectrum(shape, settings["tokens"], RANK, ADAPTER)
        return View(sizes_table(sizes), figures.spectrum(sizes, name))

    def outcome(self, settings: Settings, findings: Findings) -> Outcome:
        name, shape = findings.items[0]
        *methods, full = spectrum(shape, settings["tokens"], RANK, ADAPTER)
        order = sorted(methods, key=lambda size: size.parameters)
        values = {size.method.split(",")[0].split(" of ")[0].replace(" ", "_").replace("/", ""): f"{size.parameters:,}" for size in methods}
        values |= {"model": name, "all": f"{full.parameters:,}", "order": " < ".join(size.method for size in order)}
        largest = order[-1].parameters / full.parameters
        values["largest_share"] = share(largest)
        return Outcome("under" if largest < 0.1 else "over", values)
