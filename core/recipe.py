"""Everything that a run depends on, in one frozen dataclass.

The field list below is the only place where a default, a bound, a choice or a help text lives. The page's controls, the command
line, links, the API and saved files ask `SETTINGS` for all that they need to know of a field.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from core.display import html_table
from core.errors import LabError, shown
from core.methods import METHODS

OF_METHOD = frozenset().union(*(method.settings for method in METHODS.values()))  # settings that only some methods have
BEFORE = {
    "end": "none",
    "label_score": "sum",
}  # settings that earlier versions had not, and what their runs did: the meaning of saved recipes and links
Place = Literal["task", "server", "run", "panel", "more"]  # the task picker, the server's own, a run of the session, in sight, under "more"


@dataclass(frozen=True)
class Setting:
    """What there is to know of a recipe's field.

    Bounds are low and high (inclusive), above (exclusive), or choices, with words for people. place: where the page shows it;
    row: in which row of the panel. only_with: another field and the value it must have for this one to matter. beside: another
    field, without which a method has no use for this one.
    """

    name: str
    default: Any
    help: str
    label: str
    kind: type
    low: float | None = None
    high: float | None = None
    above: float | None = None
    choices: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    place: Place = "more"
    row: int = 0
    only_with: tuple[str, Any] | None = None
    beside: str = ""

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def own_defaults(self) -> dict[str, Any]:
        """The default of each method that has one of its own, by the method's name."""
        return {name: method.defaults[self.name] for name, method in METHODS.items() if self.name in method.defaults}

    def default_for(self, method: str) -> Any:
        """The default, where a method has its own: that one. An unknown method has none of its own."""
        return METHODS[method].defaults.get(self.name, self.default) if method in METHODS else self.default

    def applies(self, values: Mapping[str, Any], labelled: bool = True) -> bool:
        """Whether the field matters beside these `values` of the others. labelled: the task's outputs are labels."""
        method = METHODS.get(values["method"])
        if method is None or any(name in OF_METHOD and name not in method.settings for name in (self.name, self.beside)):
            return False
        if self.only_with:
            other, wanted = self.only_with
            if values[other] != wanted:
                return False
        return not self.choices or len(self.choices_for(values["method"], labelled)) > 1

    def choices_for(self, method: str, labelled: bool = True) -> tuple[str, ...]:
        """The choices that `method` has on such a task."""
        if self.name == "init" and method in METHODS:
            return METHODS[method].starts
        if self.name == "label_score" and not labelled:
            return self.choices[:1]
        if self.name == "loss" and not labelled:
            return tuple(choice for choice in self.choices if choice != "labels")
        return self.choices

    def word(self, choice: str) -> str:
        """A choice, for people."""
        return self.words.get(choice, choice)

    def read(self, text: str) -> Any:
        """The value that `text` is, of a link or a command line. Text that is no number is returned as it is: `check` names it."""
        try:
            return self.kind(text)
        except ValueError:
            return text

    def check(self, value: Any) -> None:
        """LabError unless `value` is of the field's type and within its bounds."""
        if self.kind is str:
            if not isinstance(value, str):
                raise LabError(f"{self.label} is {shown(value)}: give a text.")
            if self.choices and value not in self.choices:
                raise LabError(f"{self.label} is {shown(value)}: choose one of {', '.join(self.choices)}.")
            return
        low, high = self.low if self.above is None else self.above, self.high
        assert low is not None and high is not None
        number = isinstance(value, int) or (self.kind is float and isinstance(value, float))
        inside = number and not isinstance(value, bool) and low <= value <= high  # NaN and infinity are outside, too
        if not inside or (self.above is not None and value <= low):
            what = "a whole number" if self.kind is int else "a number"
            reach = f"above {low:g} and up to {high:g}" if self.above is not None else f"from {_plain(low)} to {_plain(high)}"
            raise LabError(f"{self.label} is {shown(value)[1:-1]}: choose {what} {reach}.")


def _plain(bound: float) -> str:
    return str(bound) if isinstance(bound, int) else f"{bound:g}"


def _setting(default: Any, help: str, label: str, *, kind: type | None = None, **more: Any) -> Any:
    """A dataclass field with its `Setting`. kind: where the default is the method's (None), so its type does not say it."""
    return field(default=default, metadata={"help": help, "label": label, "kind": kind or type(default), **more})


@dataclass(frozen=True)
class Recipe:
    """What to train and how. Raises LabError, naming the field, for a value out of bounds.

    >>> Recipe(method="prefix", steps=20)
    Recipe(method='prefix', steps=20)
    >>> Recipe(virtual_tokens=0)
    Traceback (most recent call last):
    core.errors.LabError: virtual tokens is 0: choose a whole number from 1 to 200.
    """

    task: str = _setting("capitals", "a built-in task, or a file of rows", "task", place="task")
    model: str = _setting("", "a Hub id or a local folder; empty: the default model", "model", place="server")
    method: str = _setting(
        "prompt",
        "train " + ", ".join(f"{method.about} ({name})" for name, method in METHODS.items()),
        "method",
        choices=tuple(METHODS),
        words={name: method.label for name, method in METHODS.items()},
        place="panel",
        row=1,
    )
    virtual_tokens: int = _setting(10, "number of learned positions", "virtual tokens", low=1, high=200, place="panel", row=2)
    init: str = _setting(
        "vocab",
        "start from random numbers, sampled vocabulary, a text, the task's label words, or worked examples (training rows)",
        "start from",
        choices=("random", "vocab", "text", "labels", "examples"),
        words={
            "vocab": "sampled vocabulary",
            "random": "random numbers",
            "text": "a text",
            "labels": "label words",
            "examples": "worked examples",
        },
        place="panel",
        row=3,
    )
    init_text: str = _setting(
        "", "the text to start from, repeated or cut to fit", "start text", place="panel", row=4, only_with=("init", "text")
    )
    init_scale: float = _setting(
        1.0, "spread of a random start, in multiples of the real vectors' own", "random scale", above=0.0, high=100.0
    )
    init_from: str = _setting(
        "", "a saved prompt to start from (a folder, zip or Hub id), in place of the start above", "saved prompt to start from", place="run"
    )
    mlp: int = _setting(
        None, "hidden size of the MLP that makes the vectors; 0: train them directly", "MLP size", kind=int, low=0, high=4096
    )
    train: str = _setting(
        "both",
        "train the keys and the values of a K/V prefix, or one of the two while the other stays exactly as it starts",
        "trained part",
        choices=("both", "keys", "values"),
        words={"both": "keys and values", "keys": "keys alone", "values": "values alone"},
    )
    learning_rate: float = _setting(None, "Adam's step size", "learning rate", kind=float, above=0.0, high=10.0, place="panel", row=5)
    steps: int = _setting(60, "number of batches to train on", "steps", low=1, high=10_000, place="panel", row=2)
    batch_size: int = _setting(16, "rows in a batch", "batch size", low=1, high=256)
    warmup: int = _setting(5, "steps over which the rate rises from 0", "warm-up", low=0, high=10_000)
    schedule: str = _setting(
        "constant", "course of the learning rate after the warm-up", "schedule", choices=("constant", "linear", "cosine")
    )
    clip: float = _setting(0.0, "largest norm of the gradient; 0: no limit", "gradient clip", low=0.0, high=1e6)
    weight_decay: float = _setting(0.0, "pull towards zero (decoupled, as in AdamW)", "weight decay", low=0.0, high=10.0)
    pull_text: str = _setting("", "a text that the vectors are pulled to during training", "pull to", beside="pull")
    pull: float = _setting(0.0, "weight of the mean squared distance to that text's embeddings; 0: no pull", "pull", low=0.0, high=1e6)
    frames: str = _setting(
        "none",
        "train inside short neutral texts, another one at each step, so that the vectors learn to work within text; scores and answers "
        "have no such text around them",
        "frames",
        choices=("none", "random"),
        words={"none": "none", "random": "random texts"},
    )
    keep: str = _setting(
        "last",
        "keep the vectors of the last step, or of the step with the best score on validation rows, which are then scored ten times: those "
        "rows choose the step, so their score flatters it; held-out rows choose nothing",
        "keep",
        choices=("last", "best"),
        words={"last": "the last step", "best": "the best on validation rows"},
    )
    loss: str = _setting(
        "vocabulary",
        "predict the answer among all tokens, or among the label words only; imitate: predict what the model does after a teacher prompt",
        "loss over",
        choices=("vocabulary", "labels", "imitate"),
        words={"vocabulary": "all tokens", "labels": "label words", "imitate": "a teacher prompt’s predictions"},
    )
    teacher: str = _setting(
        "", "the prompt to imitate: any text with {input} once, such as worked examples", "teacher prompt", only_with=("loss", "imitate")
    )
    continuation: str = _setting(
        "own",
        "along which answers the teacher is imitated: its own greedy ones (the rows' are then not used) or the rows'",
        "answers from",
        choices=("own", "rows"),
        words={"own": "the teacher", "rows": "the rows"},
        only_with=("loss", "imitate"),
    )
    end: str = _setting(
        "newline",
        "what the model learns to write after an answer, so that it stops: its end token, a new line and that token, or nothing",
        "answer ends with",
        choices=("none", "eos", "newline"),
        words={"none": "nothing", "eos": "the model's end token", "newline": "a new line, then the end token"},
        only_with=("loss", "vocabulary"),
    )
    label_score: str = _setting(
        "auto",
        "how labels are compared: by the log-probability of their tokens in sum, in mean, or less what they get after inputs without "
        "content (calibrated); auto: in sum, but calibrated for handcrafted prompts where labels differ in length",
        "labels compared by",
        choices=("auto", "calibrated", "sum", "mean"),
        words={
            "auto": "sum; handcrafted prompts calibrated if lengths differ",
            "calibrated": "contextual calibration",
            "sum": "sum over tokens",
            "mean": "mean per token",
        },
    )
    template: str = _setting("", "the text around the input, with {input} once; empty: the task's own", "template")
    placement: str = _setting(
        "before", "vectors before the model's BOS token (as in PEFT) or after it", "placement", choices=("before", "after")
    )
    seed: int = _setting(0, "fixes the random start and row order", "seed", low=0, high=2**31 - 1, place="panel", row=5)
    order_seed: int = _setting(-1, "fixes the row order alone; -1: use the seed", "order seed", low=-1, high=2**31 - 1)
    dtype: str = _setting(
        "auto",
        "number format of training; scores are always float32",
        "dtype",
        choices=("auto", "fast", "float32", "bfloat16", "float16"),
        place="server",
    )

    def __post_init__(self) -> None:
        for setting in SETTINGS.values():
            value = getattr(self, setting.name)
            if value is None:
                value = setting.default_for(self.method)
                object.__setattr__(self, setting.name, value)
            setting.check(value)
        if self.template:
            check_template(self.template)
        if self.init == "text" and not self.init_text.strip():
            raise LabError("The start text is empty: give one, or choose another start.")
        if self.loss == "imitate" and self.teacher.count("{input}") != 1:
            given = f"{shown(self.teacher)} holds {{input}} {self.teacher.count('{input}')} times" if self.teacher.strip() else "is empty"
            raise LabError(f"The teacher prompt {given}: give a text with {{input}} exactly once, where the input goes.")
        if self.pull and not self.pull_text.strip():
            raise LabError("A pull needs a text to pull to: give one, or set the pull to 0.")
        self._check_method()

    def _check_method(self) -> None:
        method = METHODS[self.method]
        if self.init not in method.starts:
            start, others = SETTINGS["init"].word(self.init), ", ".join(method.starts)
            raise LabError(f"A {method.label} can't start from {start}: choose one of {others}.")
        if method.defaults["mlp"] and not self.mlp:
            raise LabError(f"A {method.label} needs an MLP: set the MLP size to 1 or more, or choose another method.")
        for setting in SETTINGS.values():
            value, default = getattr(self, setting.name), setting.default_for(self.method)
            if setting.name in OF_METHOD and setting.name not in method.settings and value != default:
                having = " or ".join(other.label for other in METHODS.values() if setting.name in other.settings)
                raise LabError(
                    f"{setting.label} is {shown(value)[1:-1]}, and a {method.label} has no such setting: "
                    f"set it to {shown(default)[1:-1] or 'nothing'}, or choose {having} as the method."
                )

    def _changed(self) -> dict[str, Any]:
        """What differs from the defaults (of this method)."""
        return {name: value for name, value in asdict(self).items() if value != default_of(name, self.method)}

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in self._changed().items())})"

    def _repr_html_(self) -> str:
        rows = [(name, str(value), SETTINGS[name].help) for name, value in asdict(self).items() if value != ""]
        return html_table(("setting", "value", "meaning"), rows)

    @property
    def rows_seed(self) -> int:
        """The seed of the row order: `order_seed`, or `seed` if that is -1."""
        return self.seed if self.order_seed < 0 else self.order_seed

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def but(self, **changes: Any) -> "Recipe":
        """A copy with `changes`, checked like any other. Another method brings its own defaults where this one has its own.

        >>> Recipe().but(method="prefix").learning_rate
        0.01
        """
        if changes.get("method", self.method) != self.method:
            own = {name: None for name, value in METHODS[self.method].defaults.items() if getattr(self, name) == value}
            changes = {**own, **changes}
        return replace(self, **changes)

    @classmethod
    def from_dict(cls, data: Any) -> "Recipe":
        """A recipe from a saved one, of this version or an earlier one. Bad values raise LabError.

        Unknown fields are ignored (a newer version wrote them). A missing field has the value that it had before there was a choice.
        """
        if not isinstance(data, dict):
            raise LabError("The recipe is not a table of settings: take one that this program has written.")
        return cls.from_settings(BEFORE | data)

    @classmethod
    def from_settings(cls, given: Mapping[str, Any]) -> "Recipe":
        """A recipe from some settings by name; the others have their defaults. Unknown names are ignored; bad values raise LabError."""
        return cls(**{name: given[name] for name in SETTINGS if name in given})


SETTINGS: dict[str, Setting] = {spec.name: Setting(spec.name, spec.default, **spec.metadata) for spec in fields(Recipe)}


def default_of(name: str, method: str = "prompt") -> Any:
    """A field's default, for `method`."""
    return SETTINGS[name].default_for(method)


def check_template(template: str) -> None:
    """LabError unless `template` holds {input} exactly once."""
    count = template.count("{input}")
    if count != 1:
        raise LabError(f"The template {shown(template)} holds {{input}} {count} times: write it exactly once, where the input goes.")
