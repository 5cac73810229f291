"""A run as the page shows it: plain data that grows while it trains, and that a file can hold.

A live run and a recorded one are the same thing to whoever looks at them.
"""

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from core.inspection.nearest import Neighbours
from core.methods.prefix import Prefix, create
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs.readings import DRAWS, Reader, Reading, Vocabulary, reader_of
from core.runs.run import Event, Finished, Scorebook, Scored, Skipped, run
from core.runs.saved_adapter import Learned
from core.scoring.score import Result, Score, compare
from core.tasks.task import Task
from core.training.memory import MOST_SNAPSHOT_BYTES, check
from core.training.training import StepEvent, Training


@dataclass
class RunRecord:
    """All that happened in a run. Index 0 of `readings` is the start, index n is after step n.

    texts: token id -> its text, for every id named in a reading or the cloud. lines: handcrafted prompts on the validation
    rows. validation: the learned prompt on them, by step. scores: everybody on the held-out rows. vectors: snapshots by
    step, thinned to 64 MB; not written to a file.
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
    lines: list[dict[str, Any]] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)
    held_out: dict[str, Score] = field(default_factory=dict)
    difference: dict[str, Any] = field(default_factory=dict)  # learned against the best handcrafted prompt, paired
    skipped: dict[str, str] = field(default_factory=dict)  # handcrafted prompts that could not be scored, and why
    seconds: float = 0.0
    finished: bool = False
    stopped: str = ""
    loaded: bool = False  # from a file that somebody saved
    start_known: bool = True  # False: readings[0] is the prompt itself, so there is no control
    recorded: dict[str, str] = field(default_factory=dict)  # of a recording: its date, version, libraries and machine
    vectors: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def step(self) -> int:
        """Steps done so far."""
        return len(self.losses)

    def final_vectors(self) -> np.ndarray | None:
        """The vectors that the run ended with (the last good ones, if it diverged), or None for a recording."""
        return self.vectors.get(-1, self.vectors.get(max(self.vectors)) if self.vectors else None)

    def to_json(self) -> str:
        """Everything but training state, as compact JSON; of the vectors, the first and the last."""
        apart = ("vectors", "held_out", "readings", "cloud", "usual")
        data = {name: value for name, value in self.__dict__.items() if name not in apart}
        data["readings"] = [{k: _compact(v) for k, v in asdict(reading).items()} for reading in self.readings]
        data["cloud"] = _compact(self.cloud)
        data["usual"] = {k: _compact(_thinned(v)) for k, v in asdict(self.usual).items()} if self.usual else None
        end = self.final_vectors()
        ends = {0: self.vectors.get(0), -1: end}
        data["vectors"] = {step: _packed(values) for step, values in ends.items() if values is not None and values.ndim == 2}
        data["losses"] = _compact(np.asarray(self.losses))
        pairs = {(r.input, r.output): None for score in self.held_out.values() for r in score.results}
        data["rows"] = list(pairs)
        place = {pair: number for number, pair in enumerate(pairs)}
        data["held_out"] = {
            name: [[place[r.input, r.output], *(_compact(value) for value in list(asdict(r).values())[2:])] for r in score.results]
            for name, score in self.held_out.items()
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
        pairs = data.pop("rows")
        known = {row["name"]: row for row in data["scores"]}
        data["held_out"] = {
            name: score_of(known[name], [_result([*pairs[place], *values, tuple(shares)]) for place, *values, shares in results])
            for name, results in data["held_out"].items()
        }
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


def score_row(score: Score, samples: bool) -> dict[str, Any]:
    """A score as the page shows it. samples: with every row as [input, right answer, what was said, correct]."""
    row = score.to_dict()
    row.pop("results")
    if samples:
        row["samples"] = [[r.input, r.output, r.said, r.correct] for r in score.results]
    return row


def _result(values: Sequence[Any]) -> Result:
    """A result from its fields' values, in their order."""
    return Result(**{spec.name: value for spec, value in zip(fields(Result), values, strict=True)})


def score_of(row: Mapping[str, Any], results: Sequence[Result]) -> Score:
    """The score that `score_row` made `row` of."""
    same = {spec.name: row[spec.name] for spec in fields(Score) if spec.name in row}
    return Score(**{**same, "interval": tuple(row["interval"]), "results": tuple(results)})


def training_job(
    lm: LanguageModel,
    task: Task,
    recipe: Recipe,
    vocabulary: Vocabulary,
    book: Scorebook,
    record: RunRecord,
    stopping: Any,
) -> Iterator[Event | str | None]:
    """Train and score `recipe`, writing everything into `record`: the engine's job behind the Train button.

    LabError, with the numbers, where the device hasn't enough memory left for it.
    """
    training = Training(lm, task, recipe)
    if lm.elsewhere is None:  # else it is asked there, by the first slice
        check(training)
    state = training.start()
    start = training.show(state).snapshot()
    reader = reader_of(lm, vocabulary, start)
    _begin(lm, record, training.prefix, reader, vocabulary, start)
    yield "ready"
    for event in run(lm, task, recipe, book, training=training, state=state, stopping=stopping):
        if isinstance(event, StepEvent):
            _read(lm, record, reader, event.step, event.vectors, recipe.steps)
            record.losses.append(event.loss)  # last: `step` counts these
        elif isinstance(event, Scored):
            _take(record, event)
        elif isinstance(event, Skipped):
            record.skipped = {**record.skipped, event.name: event.reason}
        elif isinstance(event, Finished):
            end = record.vectors[-1] = training.prefix.snapshot()
            record.readings[-1] = _reading(lm, record, reader, end, DRAWS)
            best = best_handcrafted(record.scores)
            if best:
                learned = next(score for score in record.held_out.values() if score.kind in ("soft", "prefix"))
                record.difference = asdict(compare(learned, record.held_out[best["name"]]))
            record.seconds, record.stopped, record.finished = event.seconds, event.stopped, True
        yield event


def loaded_record(lm: LanguageModel, task: Task, learned: Learned, vocabulary: Vocabulary) -> RunRecord:
    """The record of a prompt that came from a file, without steps.

    Its start is made again where its recipe says how (the same weights, a known task): then there is a control. Else the
    one reading is its own start, and `start_known` is False.
    """
    prefix = learned.prefix
    method = "prompt" if prefix.kind == "soft" else "prefix"
    recipe = learned.recipe or Recipe(method=method, virtual_tokens=prefix.virtual_tokens)
    record = new_record(task, recipe)
    record.loaded, record.finished = True, True
    vectors = prefix.snapshot()
    same = not learned.warnings and recipe.task == task.slug and recipe.virtual_tokens == prefix.virtual_tokens
    record.start_known = same and recipe.method == method
    start = create(lm, task, recipe).snapshot() if record.start_known else vectors
    reader = reader_of(lm, vocabulary, start)
    _begin(lm, record, prefix, reader, vocabulary, start)
    if record.start_known:
        _read(lm, record, reader, 1, vectors, 1)
        record.readings[-1] = _reading(lm, record, reader, vectors, DRAWS)
    record.vectors[-1] = vectors
    return record


def _begin(lm: LanguageModel, record: RunRecord, prefix: Prefix, reader: Reader, vocabulary: Vocabulary, start: np.ndarray) -> None:
    record.base = {"name": lm.name, "weights": lm.weights_hash, "device": lm.device_name, "dtype": lm.dtype_name, "layers": lm.layers}
    record.kind, record.parameters = prefix.kind, prefix.parameter_count()
    record.cloud, record.cloud_ids = reader.cloud, list(reader.cloud_ids)
    record.explained = [float(share) for share in reader.plane.explained]
    if prefix.kind == "soft":
        count = prefix.virtual_tokens
        record.usual = vocabulary.usual
        record.gaussian_ids, cosine = vocabulary.gaussian.ids[:count, 0].tolist(), vocabulary.gaussian.cosine[:count, 0]
        record.gaussian_cosine = [round(value, 4) for value in cosine.tolist()]
        _name(lm, record, record.gaussian_ids)
    _name(lm, record, record.cloud_ids)
    _read(lm, record, reader, 0, start, record.recipe["steps"])


def _read(lm: LanguageModel, record: RunRecord, reader: Reader, step: int, vectors: np.ndarray, steps: int) -> None:
    finite = bool(np.isfinite(vectors).all())
    reading = _reading(lm, record, reader, vectors, 1 if step else DRAWS) if finite else record.readings[-1]
    every = max(1, -(-steps * vectors.nbytes // MOST_SNAPSHOT_BYTES))
    if step % every == 0 or step == steps:
        record.vectors[step] = vectors
    record.readings.append(reading)


def _reading(lm: LanguageModel, record: RunRecord, reader: Reader, vectors: np.ndarray, draws: int) -> Reading:
    reading = reader.read(vectors, draws)
    named = (*reading.ids, *reading.control_ids, reading.by_l2)
    _name(lm, record, [token for row in named for token in row])
    return reading


def _name(lm: LanguageModel, record: RunRecord, ids: Sequence[int]) -> None:
    for token in ids:
        if token not in record.texts:
            record.texts[token] = lm.token_text(token)


def _take(record: RunRecord, event: Scored) -> None:
    row = score_row(event.score, samples=event.part == "validation")
    if event.part == "validation":
        if event.step is None:
            record.lines = [*record.lines, row]
        else:
            record.validation = [*record.validation, {"step": event.step, **row}]
        return
    # New lists in one go: a page may be reading the old ones.
    record.scores = [known for known in record.scores if known["name"] != row["name"]] + [{**row, "final": event.final}]
    if event.final:
        record.held_out = {**record.held_out, event.score.name: event.score}


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
        kind="soft" if recipe.method == "prompt" else "prefix",
    )


def best_handcrafted(scores: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The handcrafted prompt with the highest accuracy (hindsight that favours it), or None."""
    written = [score for score in scores if score["kind"] == "handcrafted"]
    return max(written, key=lambda score: score["accuracy"], default=None)
