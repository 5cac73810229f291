"""A run's record as JSON: in recordings and in run.json. Checked by pydantic where it is read, since anyone may have changed the file."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from core.inspection.nearest import Neighbours
from core.methods import METHODS, method_name
from core.recipe import Recipe
from core.runs.imitation import Imitation, Likeness
from core.runs.readings import Reading
from core.runs.record import RunRecord
from core.scoring.row_results import RowResult
from core.scoring.score import Difference, Score

ARRAYS = ("place", "control_place", "moved", "norm", "hidden")  # of a reading


def record_to_json(record: RunRecord) -> str:
    """All but training state, as compact JSON; of the vectors, the first and the last. NaN and infinity become null."""
    end = record.final_vectors() if record.method.in_embedding_space else None
    ends = {0: record.vectors.get(0), -1: end} if end is not None else {}
    held_out = record.held_out
    places = {pair: place for place, pair in enumerate(dict.fromkeys((r.input, r.output) for s in held_out.values() for r in s.results))}
    data = {
        **{name: value for name, value in vars(record).items() if name not in ("derived", "state")},
        "losses": _compact(record.losses),
        "readings": [{name: _compact(value) for name, value in asdict(reading).items()} for reading in record.readings],
        "cloud": _compact(record.cloud),
        "usual": {name: _compact(_thinned(values)) for name, values in vars(record.usual).items()} if record.usual else None,
        "vectors": {step: _packed(values) for step, values in ends.items() if values is not None},
        "lines": [_with_samples(score) for score in record.lines],
        "validation": [{"step": step, **_with_samples(score)} for step, score in record.validation.items()],
        "scores": [{**score.to_dict(), "final": score.final} for score in record.scores],
        "difference": asdict(record.difference) if record.difference else {},
        "imitation": asdict(record.imitation) if record.imitation else None,
        "rows": list(places),
        "held_out": {
            name: [[places[r.input, r.output], *map(_compact, list(vars(r).values())[2:])] for r in score.results]
            for name, score in held_out.items()
        },
    }
    return json.dumps(without_nan(data), ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def without_nan(value: Any) -> Any:
    """`value` with null in place of NaN and infinity (of a run that diverged), which JSON doesn't have."""
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_samples(score: Score) -> dict[str, Any]:
    return score.to_dict() | {"samples": [[r.input, r.output, r.said, r.correct] for r in score.results]}


def _thinned(values: np.ndarray, most: int = 100) -> np.ndarray:
    """About `most` of sorted values, evenly spaced: enough to read a share off them to one per cent."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)]


def _packed(values: np.ndarray) -> dict[str, Any]:
    return {"shape": list(values.shape), "float32": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def _compact(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.round(value.astype(float), 4).tolist()
    if isinstance(value, list | tuple):
        return [_compact(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def record_from_json(text: str | bytes) -> RunRecord:
    """The record that `record_to_json` wrote, in this version or an earlier one. ValueError, IndexError or LabError for anything else."""
    return _Record.model_validate_json(text).record()


def _known_method(name: str) -> str:
    if method_name(name) not in METHODS:
        raise ValueError(name)
    return method_name(name)


def _known_kind(name: str) -> str:
    return name if name in ("none", "handcrafted", "majority") else _known_method(name)


Number = Annotated[float, Field(gt=-1e18, lt=1e18)]
Whole = Annotated[int, Field(gt=-(10**18), lt=10**18)]
Share = Annotated[float, Field(ge=-1e-6, le=1 + 1e-6)]  # a sum of float32 may be a little outside [0, 1]
Place = Annotated[int, Field(strict=False)]  # a key of a JSON object is a text
Setting = str | bool | Whole | Number | None
Point = tuple[Number, Number, Number]
Sample = tuple[str, str, str, bool]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class _Score(_Checked):
    name: str
    kind: Annotated[str, AfterValidator(_known_kind)]
    accuracy: Share
    interval: tuple[Share, Share]
    loss: Number | None
    n: int
    first_choice: Share | None
    token_loss: Number | None
    positions: int
    parameters: int
    exact: Share | None = None
    agreement: Share | None = None
    examples: int = 0
    seconds: Number = 0.0
    group: str = ""
    final: bool = True
    label_score: str = "sum"
    samples: list[Sample] = []

    def score(self, results: Sequence[RowResult] = ()) -> Score:
        """The score, with `results` or with what its samples say of each row: the input, both answers, whether it was right."""
        sampled = (RowResult(text, output, right, right, 0.0, 0, said) for text, output, said, right in self.samples)
        facts = {name: value for name, value in vars(self).items() if name not in ("samples", "step")}
        return Score(**facts, results=tuple(results) or tuple(sampled))


class _Validation(_Score):
    step: int
    samples: list[Sample]


class _Difference(_Checked):
    difference: Number
    interval: tuple[Number, Number]
    wins: int
    losses: int
    p: Share
    n: int


class _Likeness(_Checked):
    name: str
    kl: Number
    kl_interval: tuple[Number, Number]
    same: Annotated[int, Field(ge=0)]
    share_interval: tuple[Share, Share]
    n: Annotated[int, Field(gt=0)]


class _Imitation(_Checked):
    teacher: str
    teacher_tokens: Whole
    tokens: Whole
    learned: _Likeness
    start: _Likeness
    nothing: _Likeness
    seconds: tuple[float, float] | None = None

    def imitation(self) -> Imitation:
        alike = {name: Likeness(**vars(getattr(self, name))) for name in ("learned", "start", "nothing")}
        return Imitation(self.teacher, self.teacher_tokens, self.tokens, **alike, seconds=self.seconds)


class _Nothing(_Checked):
    pass


class _Reading(_Checked):
    place: list[Point]
    control_place: list[Point]
    moved: list[Number]
    norm: list[Number]
    hidden: list[Number]
    ids: list[list[int]]
    cosine: list[list[Number]]
    by_l2: list[int]
    distance: list[Number]
    control_ids: list[list[int]]
    control_cosine: list[list[Number]]

    def check(self, count: int, with_tokens: bool) -> None:
        """ValueError unless this is a reading of `count` vectors. with_tokens: they have nearest tokens."""
        of_vectors: list[Sequence[Any]] = [
            self.place,
            self.control_place,
            self.moved,
            self.norm,
            self.hidden,
            *self.control_ids,
            *self.control_cosine,
        ]
        of_tokens: list[Sequence[Any]] = [self.ids, self.cosine, self.by_l2, self.distance]
        sizes = {len(values) for values in of_vectors}, {len(values) for values in of_tokens}
        if sizes != ({count}, {count if with_tokens else 0}) or len(self.control_ids) != len(self.control_cosine):
            raise ValueError("not all lists have a value for each vector")
        if not all(self.ids) or [len(row) for row in self.ids] != [len(row) for row in self.cosine]:
            raise ValueError("not every nearest token has its cosine")
        if with_tokens and not self.control_ids:
            raise ValueError("there is no control")

    @property
    def named(self) -> set[int]:
        """All tokens in it."""
        return {token for row in (*self.ids, *self.control_ids, self.by_l2) for token in row}

    def reading(self) -> Reading:
        arrays: dict[str, Any] = {name: _array(getattr(self, name)) for name in ARRAYS}
        return Reading(**vars(self) | arrays)


class _Neighbours(_Checked):
    cosine: list[Number]
    l2: list[Number]
    norms: list[Number]


class _Array(_Checked):
    shape: tuple[int, int]
    float32: str

    def array(self) -> np.ndarray:
        return np.frombuffer(base64.b64decode(self.float32), "<f4").reshape(self.shape).copy()


class _Task(_Checked):
    slug: str
    name: str
    labels: list[str] | None
    held_out: int
    handcrafted: list[str]


class _Record(_Checked):
    model_config = ConfigDict(extra="ignore")  # fields of a later version

    recipe: dict[str, Setting]
    task: _Task
    base: dict[str, Setting]
    kind: Annotated[str, AfterValidator(_known_method)]
    parameters: int
    losses: list[Number | None]
    readings: Annotated[list[_Reading], Field(min_length=1)]
    texts: dict[Place, str]
    cloud: list[Point]
    cloud_ids: list[int]
    explained: tuple[Share, Share, Share]
    usual: _Neighbours | None
    gaussian_ids: list[int]
    gaussian_cosine: list[Number]
    lines: list[_Score]
    validation: list[_Validation]
    scores: list[_Score]
    difference: _Difference | _Nothing
    imitation: _Imitation | None = None
    skipped: dict[str, str]
    seconds: Number
    finished: bool
    stopped: str
    kept: int | None = None
    loaded: bool
    start_known: bool
    seen_before: list[str] = []
    recorded: dict[str, str]
    vectors: dict[Place, _Array]
    rows: list[tuple[str, str]] = []
    held_out: dict[str, list[tuple[int, bool, bool, float, int, str, float, float, bool, tuple[float, ...]]]] = {}

    @model_validator(mode="after")
    def _fits(self) -> "_Record":
        """All readings are of the same vectors, and every token in them has its text."""
        count = Recipe.from_dict(self.recipe).virtual_tokens
        for reading in self.readings:
            reading.check(count, METHODS[self.kind].in_embedding_space)
        if not {*self.cloud_ids, *self.gaussian_ids}.union(*(reading.named for reading in self.readings)) <= self.texts.keys():
            raise ValueError("a token has no text")
        if len(self.cloud) != len(self.cloud_ids) or len(self.readings) not in (1, 2, len(self.losses) + 1):
            raise ValueError("the cloud or the readings are not all there")
        if self.gaussian_ids and not len(self.gaussian_ids) == len(self.gaussian_cosine) == count:
            raise ValueError("not every random vector has its nearest token")
        if self.usual and len(self.usual.cosine) != len(self.usual.l2):
            raise ValueError("not every sampled token has both distances")
        return self

    def record(self) -> RunRecord:
        results = {
            name: [RowResult(*self.rows[place], *values) for place, *values in listed]  # type: ignore[arg-type]
            for name, listed in self.held_out.items()
        }
        known = {name: value for name, value in vars(self).items() if name not in ("rows", "held_out")}
        changed: dict[str, Any] = {
            "recipe": Recipe.from_dict(self.recipe).to_dict(),
            "task": vars(self.task),
            "explained": list(self.explained),
            "losses": [math.nan if loss is None else loss for loss in self.losses],
            "readings": [reading.reading() for reading in self.readings],
            "cloud": _array(self.cloud),
            "usual": Neighbours(**{name: _array(values) for name, values in vars(self.usual).items()}) if self.usual else None,
            "lines": [row.score() for row in self.lines],
            "validation": {row.step: row.score() for row in self.validation},
            "scores": [row.score(results.get(row.name, ())) for row in self.scores],
            "difference": Difference(**vars(self.difference)) if isinstance(self.difference, _Difference) else None,
            "imitation": self.imitation.imitation() if self.imitation else None,
            "vectors": {step: values.array() for step, values in self.vectors.items()},
        }
        return RunRecord(**known | changed)


def _array(values: Sequence[Any]) -> np.ndarray:
    return np.asarray(values, np.float32)
