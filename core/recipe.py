"""Everything that a run depends on, in one frozen dataclass.

The field list below is the only place where a default, a bound, a choice or a help text lives: the page's controls, the
command line, links and saved files are all read from it.
"""

from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from core.display import html_table
from core.errors import LabError, shown


def _setting(default: Any, help: str, *, label: str = "", **bounds: Any) -> Any:
    """A field with what people need to know of it. Bounds: low, high (inclusive), above (exclusive), or choices.

    by_method: the defaults of a field left at None.
    """
    return field(default=default, metadata={"help": help, "label": label, **bounds})


@dataclass(frozen=True)
class Recipe:
    """What to train and how. Raises LabError, naming the field, for a value out of bounds.

    >>> Recipe(method="prefix", steps=20)
    Recipe(method='prefix', steps=20)
    >>> Recipe(virtual_tokens=0)
    Traceback (most recent call last):
    core.errors.LabError: virtual tokens is 0: choose a whole number from 1 to 200.
    """

    task: str = _setting("capitals", "a built-in task, or a file of rows", label="task")
    model: str = _setting("", "a Hub id or a local folder; empty: the default model", label="model")
    method: str = _setting(
        "prompt", "train input vectors (prompt) or keys and values in every layer (prefix)", label="method", choices=("prompt", "prefix")
    )
    virtual_tokens: int = _setting(10, "number of learned positions", label="virtual tokens", low=1, high=200)
    init: str = _setting(
        "vocab",
        "start from random numbers, sampled vocabulary, a text, or the task's label words",
        label="start from",
        choices=("random", "vocab", "text", "labels"),
    )
    init_text: str = _setting("", "the text to start from, repeated or cut to fit", label="start text")
    init_scale: float = _setting(
        1.0, "spread of a random start, in multiples of the real vectors' own", label="random scale", above=0.0, high=100.0
    )
    mlp: int = _setting(0, "hidden size of the MLP that makes a K/V prefix; 0: no MLP", label="MLP size", low=0, high=4096)
    learning_rate: float | None = _setting(
        None, "Adam's step size", label="learning rate", above=0.0, high=10.0, by_method={"prompt": 0.03, "prefix": 0.01}
    )
    steps: int = _setting(60, "number of batches to train on", label="steps", low=1, high=10_000)
    batch_size: int = _setting(16, "rows in a batch", label="batch size", low=1, high=256)
    warmup: int = _setting(5, "steps over which the rate rises from 0", label="warm-up", low=0, high=10_000)
    schedule: str = _setting(
        "constant", "course of the learning rate after the warm-up", label="schedule", choices=("constant", "linear", "cosine")
    )
    clip: float = _setting(0.0, "largest norm of the gradient; 0: no limit", label="gradient clip", low=0.0, high=1e6)
    weight_decay: float = _setting(0.0, "pull towards zero (decoupled, as in AdamW)", label="weight decay", low=0.0, high=10.0)
    pull_text: str = _setting("", "a text that the vectors are pulled to during training", label="pull to")
    pull: float = _setting(
        0.0, "weight of the mean squared distance to that text's embeddings; 0: no pull", label="pull", low=0.0, high=1e6
    )
    loss: str = _setting(
        "vocabulary",
        "predict the answer among all tokens, or among the label words only",
        label="loss over",
        choices=("vocabulary", "labels"),
    )
    template: str = _setting("", "the text around the input, with {input} once; empty: the task's own", label="template")
    placement: str = _setting(
        "before", "vectors before the model's BOS token (as in PEFT) or after it", label="placement", choices=("before", "after")
    )
    seed: int = _setting(0, "fixes the random start and row order", label="seed", low=0, high=2**31 - 1)
    order_seed: int = _setting(-1, "fixes the row order alone; -1: use the seed", label="order seed", low=-1, high=2**31 - 1)
    dtype: str = _setting(
        "auto",
        "number format of training; scores are always float32",
        label="dtype",
        choices=("auto", "fast", "float32", "bfloat16", "float16"),
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            value = getattr(self, spec.name)
            if value is None:
                value = default_of(spec.name, self.method)
                object.__setattr__(self, spec.name, value)
            check(spec.name, value)
        if self.template:
            check_template(self.template)
        if self.init == "text" and not self.init_text.strip():
            raise LabError("A start from a text needs a text: give the start text, or choose another start.")
        if self.method == "prompt" and self.mlp:
            raise LabError("The MLP belongs to K/V prefixes: set it to 0, or the method to prefix.")
        if self.method == "prefix" and self.init == "labels":
            raise LabError("A K/V prefix can't start from label words: choose random, vocab or text.")
        if self.method == "prefix" and self.placement == "after":
            raise LabError("A K/V prefix comes before every token, BOS included: set the placement to before.")
        if self.pull and self.method == "prefix":
            raise LabError("Only a soft prompt's vectors can be pulled to a text: set the pull to 0, or the method to prompt.")
        if self.pull and not self.pull_text.strip():
            raise LabError("A pull needs a text: give one to pull to, or set the pull to 0.")

    def _changed(self) -> dict[str, Any]:
        """What differs from the defaults (of this method)."""
        return {name: value for name, value in asdict(self).items() if value != default_of(name, self.method)}

    def __repr__(self) -> str:
        return f"Recipe({', '.join(f'{name}={value!r}' for name, value in self._changed().items())})"

    def _repr_html_(self) -> str:
        rows = [(name, str(value), self.__dataclass_fields__[name].metadata["help"]) for name, value in asdict(self).items() if value != ""]
        return html_table(("setting", "value", "what it is"), rows)

    @property
    def rows_seed(self) -> int:
        """The seed of the row order: `order_seed`, or `seed` if that is -1."""
        return self.seed if self.order_seed < 0 else self.order_seed

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def but(self, **changes: Any) -> "Recipe":
        """A copy with `changes`, checked like any other. Another method brings its own rate where this one has its default.

        >>> Recipe().but(method="prefix").learning_rate
        0.01
        """
        if changes.get("method", self.method) != self.method and self.learning_rate == default_of("learning_rate", self.method):
            changes = {"learning_rate": None, **changes}
        return replace(self, **changes)

    @classmethod
    def from_dict(cls, data: Any) -> "Recipe":
        """A recipe from a saved one. Unknown fields are ignored (a newer version wrote them); bad values raise LabError."""
        if not isinstance(data, dict):
            raise LabError("The recipe is not a table of settings: take one that this program has written.")
        return cls(**{spec.name: data[spec.name] for spec in fields(cls) if spec.name in data})


def default_of(name: str, method: str = "prompt") -> Any:
    """A field's default, for `method`."""
    spec = Recipe.__dataclass_fields__[name]
    return spec.metadata["by_method"].get(method) if "by_method" in spec.metadata else spec.default


def check(name: str, value: Any) -> None:
    """LabError unless `value` is of the type and within the bounds of the field `name`."""
    spec = Recipe.__dataclass_fields__[name]
    bounds = spec.metadata
    label = bounds["label"]
    kind = float if "by_method" in bounds else type(spec.default)
    if kind is str:
        if not isinstance(value, str):
            raise LabError(f"{label} is {shown(value)}: give a text.")
        if "choices" in bounds and value not in bounds["choices"]:
            raise LabError(f"{label} is {shown(value)}: choose one of {', '.join(bounds['choices'])}.")
        return
    low, high = bounds.get("low", bounds.get("above")), bounds["high"]
    number = isinstance(value, int) or (kind is float and isinstance(value, float))
    inside = number and not isinstance(value, bool) and low <= value <= high  # NaN and infinity are outside, too
    if not inside or ("above" in bounds and value <= low):
        what = "a whole number" if kind is int else "a number"
        reach = (
            f"above {low:g} and up to {high:g}"
            if "above" in bounds
            else f"from {low:g} to {high:g}"
            if kind is float
            else f"from {low} to {high}"
        )
        raise LabError(f"{label} is {shown(value)[1:-1]}: choose {what} {reach}.")


def check_template(template: str) -> None:
    """LabError unless `template` holds {input} exactly once."""
    count = template.count("{input}")
    if count != 1:
        raise LabError(f"The template {shown(template)} holds {{input}} {count} times: write it exactly once, where the input goes.")
