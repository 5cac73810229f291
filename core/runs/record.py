"""A run's data: it grows while the run trains, and a file can hold it.

`run` makes a run's events, `RunRecord` keeps them, and three classes hold a record: `TrainedRun` (what `core.train` returns),
`RecordedRun` (in assets/recordings) and the app's `SessionRun` (what a session shows: live, recorded, or loaded from a file).
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import numpy as np

from core.inspection.nearest import Neighbours
from core.methods import METHODS, method_name
from core.methods.contract import Method
from core.recipe import Recipe
from core.runs.readings import Reading
from core.scoring.row_results import RowResult
from core.scoring.score import Difference, Score
from core.tasks.task import Task


@dataclass
class RunRecord:
    """All that happened in a run. Index 0 of `readings` is the start, index n is after step n.

    texts: token id -> its text, for every id named in a reading or the cloud. lines: handcrafted prompts on the validation
    rows. validation: the learned prompt on them, by step. scores: all contenders on the held-out rows; the last may still grow.
    vectors: snapshots by step, thinned to 64 MB; not written to a file.
    """

    recipe: dict[str, Any]
    task: dict[str, Any]
    base: dict[str, Any]
    kind: str
    parameters: int = 0
    losses: list[float] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)
    cloud: np.ndarray = field(default_factory=lambda: np.empty((0, 3), np.float32))
    cloud_ids: list[int] = field(default_factory=list)
    explained: list[float] = field(default_factory=list)
    usual: Neighbours | None = None  # how near the vocabulary's own tokens are to each other; None for a K/V prefix
    gaussian_ids: list[int] = field(default_factory=list)  # nearest tokens of random vectors like the vocabulary's
    gaussian_cosine: list[float] = field(default_factory=list)
    lines: list[Score] = field(default_factory=list)
    validation: dict[int, Score] = field(default_factory=dict)
    scores: list[Score] = field(default_factory=list)
    difference: Difference | None = None  # learned against the best handcrafted prompt, paired
    skipped: dict[str, str] = field(default_factory=dict)  # handcrafted prompts that could not be scored, and why
    seconds: float = 0.0
    finished: bool = False
    stopped: str = ""
    loaded: bool = False  # from a saved file
    start_known: bool = True  # False: readings[0] is the prompt itself, so there is no control
    recorded: dict[str, str] = field(default_factory=dict)  # of a recording: its date, version, libraries and machine
    vectors: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def method(self) -> Method:
        """What was trained."""
        return METHODS[self.kind]

    @property
    def step(self) -> int:
        """Steps done so far."""
        return len(self.losses)

    @property
    def held_out(self) -> dict[str, Score]:
        """The final scores on the held-out rows with all their results, by name; empty for a record that was saved without results."""
        return {score.name: score for score in self.scores if score.final and score.results}

    def final_vectors(self) -> np.ndarray | None:
        """The vectors that the run ended with (the last good ones, if it diverged), or None for a recording."""
        return self.vectors.get(-1, self.vectors.get(max(self.vectors)) if self.vectors else None)

    def to_json(self) -> str:
        """Everything but training state, as compact JSON; of the vectors, the first and the last."""
        apart = ("vectors", "readings", "cloud", "usual", "lines", "validation", "scores")
        data = {name: value for name, value in self.__dict__.items() if name not in apart}
        data["difference"] = asdict(self.difference) if self.difference else {}
        data["lines"] = [_with_samples(score) for score in self.lines]
        data["validation"] = [{"step": step, **_with_samples(score)} for step, score in self.validation.items()]
        data["scores"] = [score.to_dict() | {"final": score.final} for score in self.scores]
        data["readings"] = [{k: _compact(v) for k, v in asdict(reading).items()} for reading in self.readings]
        data["cloud"] = _compact(self.cloud)
        data["usual"] = {k: _compact(_thinned(v)) for k, v in asdict(self.usual).items()} if self.usual else None
        end = self.final_vectors()
        ends = {0: self.vectors.get(0), -1: end}
        data["vectors"] = {step: _packed(values) for step, values in ends.items() if values is not None and self.method.in_embedding_space}
        data["losses"] = _compact(np.asarray(self.losses))
        held_out = self.held_out
        pairs = {(r.input, r.output): None for score in held_out.values() for r in score.results}
        data["rows"] = list(pairs)
        place = {pair: number for number, pair in enumerate(pairs)}
        data["held_out"] = {
            name: [[place[r.input, r.output], *(_compact(value) for value in list(vars(r).values())[2:])] for r in score.results]
            for name, score in held_out.items()
        }
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "RunRecord":
        """The record that `to_json` wrote."""
        data = json.loads(text)
        arrays = ("place", "control_place", "moved", "norm", "hidden")
        for reading in data["readings"]:
            reading.update({name: np.asarray(reading[name], np.float32) for name in arrays})
        data["readings"] = [Reading(**reading) for reading in data["readings"]]
        data["cloud"] = np.asarray(data["cloud"], np.float32)
        usual = data["usual"]
        data["usual"] = Neighbours(**{k: np.asarray(v, np.float32) for k, v in usual.items()}) if usual else None
        data["vectors"] = {int(step): _unpacked(values) for step, values in data["vectors"].items()}
        data["texts"] = {int(token): words for token, words in data["texts"].items()}
        data["kind"] = method_name(data["kind"])
        gap = data["difference"]
        data["difference"] = Difference(**{**gap, "interval": tuple(gap["interval"])}) if gap else None
        pairs = data.pop("rows")
        results = {
            name: tuple(_result([*pairs[place], *values, tuple(shares)]) for place, *values, shares in rows)
            for name, rows in data.pop("held_out").items()
        }
        data["lines"] = [_score(row) for row in data["lines"]]
        data["validation"] = {row["step"]: _score(row) for row in data["validation"]}
        data["scores"] = [replace(_score(row), results=results.get(row["name"], ())) for row in data["scores"]]
        return cls(**data)


def _thinned(values: np.ndarray, most: int = 100) -> np.ndarray:
    """About `most` of sorted values, evenly spaced: enough to read a share off them to one per cent."""
    return values[np.linspace(0, len(values) - 1, min(most, len(values))).astype(int)]


def _packed(values: np.ndarray) -> dict[str, Any]:
    return {"shape": list(values.shape), "float32": base64.b64encode(values.astype("<f4").tobytes()).decode()}


def _unpacked(data: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(data["float32"]), "<f4").reshape(data["shape"]).copy()


def _compact(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.round(value.astype(float), 4).tolist()
    if isinstance(value, list | tuple):
        return [_compact(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def _result(values: Sequence[Any]) -> RowResult:
    """A row's result from its fields' values, in their order."""
    return RowResult(**{spec.name: value for spec, value in zip(fields(RowResult), values, strict=True)})


def _with_samples(score: Score) -> dict[str, Any]:
    return score.to_dict() | {"samples": [[r.input, r.output, r.said, r.correct] for r in score.results]}


def _score(row: Mapping[str, Any]) -> Score:
    """A score from JSON. Of its rows' results, only what its samples say."""
    known = {spec.name: row[spec.name] for spec in fields(Score) if spec.name in row}
    results = tuple(RowResult(text, output, correct, correct, 0.0, 0, said) for text, output, said, correct in row.get("samples", ()))
    return Score(**{**known, "kind": method_name(row["kind"]), "interval": tuple(row["interval"]), "results": results})


def new_record(task: Task, recipe: Recipe) -> RunRecord:
    """An empty record for a run that has not begun."""
    return RunRecord(
        recipe=recipe.to_dict(),
        task={
            "slug": task.slug,
            "name": task.name,
            "labels": list(task.labels) if task.labels else None,
            "held_out": len(task.held_out),
            "handcrafted": [prompt.name for prompt in task.handcrafted],
        },
        base={},
        kind=recipe.method,
    )
