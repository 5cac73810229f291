"""The models of a sweep: one, or several by name where the model is what varies."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeAlias

from core.errors import LabError, shown
from core.sweeps.grid import Plan, word_of

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel

Models: TypeAlias = Mapping[str, "LanguageModel"]  # by the names that the grid gives them


def model_of(plan: Plan, lm: "LanguageModel", models: Models | None = None) -> "LanguageModel":
    """The model of a run: `lm`, or where the model varies the one that the plan names. LabError where it is not among `models`."""
    return lm if plan.model is None else named(models or {}, plan.model)


def named(models: Models, name: str) -> "LanguageModel":
    """The model of this name. LabError where there is none."""
    if name not in models:
        known = ", ".join(word_of("model", one) for one in models) or "none"
        raise LabError(f"The model {shown(name)} is not loaded: load it first, or choose among those that are ({known}).")
    return models[name]
