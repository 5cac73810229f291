"""The result of comparing ways of adapting a model, as typed data and as JSON."""

from dataclasses import asdict
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from core.errors import LabError
from core.runs.record_json import without_nan
from core.scoring.measures import spread

STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, config=STRICT)
class Spread:
    """A measure over seeds: its mean, smallest and largest value, and all of them in the order of the seeds."""

    mean: float
    low: float
    high: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: list[float]) -> "Spread":
        """LabError where there are none."""
        return cls(*spread(values), tuple(values))


@dataclass(frozen=True, config=STRICT)
class Tried:
    """A learning rate that was tried: its loss on validation rows, nats per answer; None where the run was lost."""

    rate: float
    loss: float | None


@dataclass(frozen=True, config=STRICT)
class Forgetting:
    """Losses before and after training, with nothing before the input: nats per token of a page, nats per answer of other tasks."""

    page_before: float
    page_after: Spread
    tasks_before: dict[str, float]
    tasks_after: dict[str, Spread]

    @property
    def page(self) -> Spread:
        """What the page's loss grew by."""
        return Spread.of([after - self.page_before for after in self.page_after.values])

    def task(self, slug: str) -> Spread:
        """What another task's loss grew by."""
        return Spread.of([after - self.tasks_before[slug] for after in self.tasks_after[slug].values])


@dataclass(frozen=True, config=STRICT)
class MethodResult:
    """What one method came to.

    parameters: trained. accuracy, loss: held out, over seeds. interval: Wilson, 95 %, of the mean accuracy on so many rows, one seed's
    number. rate: chosen on validation rows; 0 where nothing is trained. seconds: a step, median. peak: bytes, see `SpectrumResult.memory`.
    stored: bytes for each task. stopped: runs that ended early. note: what a person should know, or "".
    """

    name: str
    label: str
    about: str
    parameters: int
    accuracy: Spread
    interval: tuple[float, float]
    loss: Spread
    rate: float
    tried: tuple[Tried, ...]
    seconds: float
    peak: int
    stored: int
    forgetting: Forgetting
    stopped: int = 0
    note: str = ""

    @property
    def rate_at_edge(self) -> bool:
        """Whether the rate is the smallest or largest tried, so that one beyond may be better."""
        rates = [one.rate for one in self.tried]
        return bool(rates) and self.rate in (min(rates), max(rates))


@dataclass(frozen=True, config=STRICT)
class Baseline:
    """A prompt to compare with: the best handcrafted one on validation rows, or always the most common answer."""

    name: str
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, config=STRICT)
class SpectrumResult:
    """All methods on one task, model, rows and steps.

    rows: held out. refused: reasons by the method's name. memory: how it was measured.
    """

    task: str
    model: str
    device: str
    dtype: str
    rows: int
    validation_rows: int
    training_rows: int
    steps: int
    search_steps: int
    batch_size: int
    virtual_tokens: int
    seeds: tuple[int, ...]
    methods: tuple[MethodResult, ...]
    baselines: tuple[Baseline, ...]
    refused: dict[str, str]
    memory: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        found: dict[str, Any] = without_nan(asdict(self))
        return found

    def to_json(self) -> str:
        return _ADAPTER.dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> "SpectrumResult":
        """What `to_json` wrote. LabError for anything else."""
        try:
            return _ADAPTER.validate_json(text)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
            raise LabError(
                f"This is no result of `python -m app spectrum` (at {place}): give a file that it wrote with --out or --json."
            ) from error


_ADAPTER: TypeAdapter[SpectrumResult] = TypeAdapter(SpectrumResult)
