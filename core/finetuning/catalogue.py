"""The ways of adapting a model that are compared, from none to full fine-tuning. Imports no torch, so that commands can name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import LabError, shown

RATE_STEP = 10**0.5  # between two of the rates that are tried: about a factor of 3


@dataclass(frozen=True)
class Adaptation:
    """A way of adapting a model.

    about: what is trained, as one clause. rate: the middle one of the learning rates that are tried; 0 where nothing is trained.
    settings: recipe fields of a prompt. changes_model: the model itself is changed, so that it may forget.
    """

    name: str
    label: str
    about: str
    rate: float = 0.0
    paper: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    changes_model: bool = False
    needs_peft: bool = False

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rates that are tried first: three, a factor of about 3 apart.

        >>> ADAPTATIONS["prompt"].rates
        (0.0095, 0.03, 0.095)
        """
        return tuple(float(f"{self.rate * factor:.2g}") for factor in (1 / RATE_STEP, 1, RATE_STEP)) if self.rate else ()


def rate_beyond(rates: Sequence[float], best: float) -> float | None:
    """The rate to try next where the best of `rates` is the smallest or the largest: one step beyond it. None where it is neither.

    >>> rate_beyond((0.001, 0.003, 0.01), 0.01), rate_beyond((0.001, 0.003, 0.01), 0.003)
    (0.032, None)
    """
    if best == max(rates):
        return float(f"{best * RATE_STEP:.2g}")
    return float(f"{best / RATE_STEP:.2g}") if best == min(rates) else None


RANK, ALPHA = 8, 16  # of LoRA
BOTTLENECK = 16  # hidden size of an adapter
PREFIX_MLP = 512  # hidden size of the MLP that makes a K/V prefix

_ALL = (
    Adaptation("none", "no training", "nothing"),
    Adaptation("prompt", "soft prompt", "vectors before the input", 0.03, "Lester et al. 2021", {"method": "prompt"}),
    Adaptation("prefix", "K/V prefix", "keys and values before the input, in every layer", 0.01, "Li & Liang 2021", {"method": "prefix"}),
    Adaptation(
        "prefix-mlp",
        f"K/V prefix, MLP of {PREFIX_MLP}",
        "an MLP that makes keys and values",
        0.003,
        "Li & Liang 2021",
        {"method": "prefix", "mlp": PREFIX_MLP},
    ),
    Adaptation("ia3", "IA3", "factors on keys, values and inner activations", 0.01, "Liu et al. 2022", {}, True, True),
    Adaptation("bitfit", "BitFit", "biases", 0.003, "Ben Zaken et al. 2022", {}, True),
    Adaptation("lora", f"LoRA, rank {RANK}", "low-rank changes of attention weights", 0.001, "Hu et al. 2021", {}, True, True),
    Adaptation("adapters", f"adapters of {BOTTLENECK}", "a small MLP after each layer's own", 0.001, "Pfeiffer et al. 2021", {}, True),
    Adaptation("full", "full fine-tuning", "every weight", 0.00003, "", {}, True),
)
ADAPTATIONS = {one.name: one for one in _ALL}


def chosen(names: Sequence[str]) -> list[Adaptation]:
    """The named adaptations in the catalogue's order; none named: all. LabError for an unknown name.

    >>> [one.label for one in chosen(["ia3", "prompt"])]
    ['soft prompt', 'IA3']
    """
    unknown = [name for name in names if name not in ADAPTATIONS]
    if unknown:
        raise LabError(f"There is no method {shown(unknown[0])}: choose from {', '.join(ADAPTATIONS)}.")
    return [one for name, one in ADAPTATIONS.items() if not names or name in names]
