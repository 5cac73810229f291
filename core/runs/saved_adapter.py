"""Save and load learned prompts: a PEFT adapter folder (or the same as one zip), with our recipe.json and a model card.

Only safetensors is read, never pickle. The format is PEFT's: one tensor `prompt_embeddings`, `[virtual_tokens, d_model]` for
prompt tuning, `[virtual_tokens, layers * 2 * kv_heads * head_dim]` for prefix tuning (keys before values). A prefix that PEFT
trained through an MLP (prefix_projection) is in PEFT's file as what the MLP makes, so it is read like any other.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import transformers

from core.errors import LabError, as_path, shown
from core.methods import METHODS
from core.methods.contract import Method
from core.models import weights
from core.models.language_model import LanguageModel
from core.models.weights import ADAPTER_CONFIG
from core.prefix import Prefix, prefix_of
from core.recipe import Recipe
from core.runs.adapter_config import AdapterConfig, check_sizes, read_config, same_base
from core.runs.adapter_files import (
    CARD,
    LARGEST_JSON,
    PICKLE,
    RECIPE,
    WEIGHTS,
    in_folder,
    prompt_folder,
    read_json,
    unpack,
    zip_around,
)
from core.runs.adapter_tensor import LARGEST_HEADER, TENSOR, read_tensor
from core.runs.card import card
from core.scoring.contender import Contender
from core.tasks.task import Task
from core.training.start import Begun

LONGEST_TEMPLATE = 20_000
MOST_TOKENS = 200
LARGEST_ENCODER = 256 * 2**20  # bytes


@dataclass(frozen=True, eq=False)
class Learned:
    """A prompt read from a file. record: the inert content of recipe.json ({} where there is none); warnings: in words."""

    prefix: Prefix
    template: str
    placement: str
    record: dict[str, Any]
    warnings: tuple[str, ...] = ()

    @property
    def recipe(self) -> Recipe | None:
        return Recipe.from_dict(self.record["recipe"]) if "recipe" in self.record else None

    @property
    def made_for(self) -> str:
        """The slug of the task that it was trained on, or "" where that is not known."""
        task = self.record.get("task")
        slug = task.get("slug") if isinstance(task, dict) else None
        return slug if isinstance(slug, str) else ""

    @property
    def seen(self) -> frozenset[str]:
        """Keys of the rows that it was trained on, as far as the file says."""
        seen = self.record.get("trained_on")
        return frozenset(map(str, seen if isinstance(seen, list) else []))

    @property
    def as_start(self) -> dict[str, Any]:
        """The settings of a recipe that goes on from this prompt: what it is, and how many virtual tokens it has."""
        return {"method": self.prefix.kind, "virtual_tokens": self.prefix.virtual_tokens}

    @property
    def begun(self) -> Begun:
        """This prompt as the start of a run."""
        return Begun(self.prefix.snapshot(), self.seen)

    def contender(self, name: str) -> Contender:
        """This prompt in a comparison; the rows that it was trained on don't count for it."""
        made = Contender(name, self.prefix.kind, self.template, self.prefix, self.placement, self.seen)
        return replace(made, examples=int(self._number("examples")), seconds=self._number("seconds"))

    def _number(self, name: str) -> float:
        """What the file says of what it cost; 0 where it says nothing of use."""
        value = self.record.get(name)
        sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
        return float(value) if sound else 0.0  # type: ignore[arg-type]


def check_savable(lm: LanguageModel, placement: str) -> None:
    """LabError for what PEFT's layout can't express. Called before training too, so that an unsavable run fails before it trains."""
    if placement == "after" and lm.lead:
        raise LabError(
            "PEFT's format can't say that vectors stand after the model's BOS token (placement 'after'): "
            "train with placement 'before' to save the prompt."
        )


def record_of(lm: LanguageModel, task: Task, recipe: Recipe, template: str, **more: Any) -> dict[str, Any]:
    """What recipe.json says: the recipe, the model with its weights' hash, the task's shape, and which rows were seen."""
    return {
        "format": 1,
        "recipe": recipe.to_dict(),
        "base": {
            "name": base_name(lm),
            "weights": lm.weights_hash,
            "origin": weights.origin(lm.name),
            "device": lm.device_name,
            "dtype": lm.dtype_name,
        },
        "task": {"name": task.name, "slug": task.slug, "labels": list(task.labels) if task.labels else None},
        "template": template,
        "placement": recipe.placement,
        "trained_on": sorted(task.seen),
        "examples": len(task.train),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        **more,
    }


def to_files(lm: LanguageModel, prefix: Prefix, record: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of an adapter folder: PEFT's two, recipe.json and the card. LabError, by name, for what PEFT's layout can't express."""
    check_savable(lm, record.get("placement", "before"))
    if not prefix.virtual_tokens:
        raise LabError("Only a learned prompt can be saved: train one first.")
    config = {**peft_config(lm, prefix), "inference_mode": True}
    rows = torch.from_numpy(np.ascontiguousarray(prefix.method.to_rows(prefix.snapshot())))
    return {
        ADAPTER_CONFIG: json.dumps(config, indent=2, sort_keys=True).encode(),
        WEIGHTS: safetensors.torch.save({TENSOR: rows}, metadata={"format": "pt"}),
        RECIPE: json.dumps(dict(record), indent=2, ensure_ascii=False).encode(),
        CARD: card(config, record).encode("utf-8", "replace"),
    }


def base_name(lm: LanguageModel) -> str:
    """The base model as a saved prompt names it: a Hub id as it is, a folder by its whole path, which holds wherever it is read."""
    folder = Path(lm.name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else lm.name


def peft_config(lm: LanguageModel, prefix: Prefix) -> dict[str, Any]:
    """PEFT's configuration for this prefix on this model, as adapter_config.json holds it."""
    return {
        "peft_type": prefix.method.peft_type,
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name(lm),
        "num_virtual_tokens": prefix.virtual_tokens,
        "num_layers": lm.layers,
        "num_transformer_submodules": 1,
        **prefix.method.peft_config(lm.shape),
    }


def load(path: str | Path, lm: LanguageModel, template: str = "") -> Learned:
    """A learned prompt from an adapter folder or a zip of one, checked against the loaded model. ZIP/NAME is one of several in a zip.

    template: for a prompt without recipe.json; default `{input}`. Raises LabError for anything that is not one.
    """
    path = as_path(path)
    most = largest_files(lm)
    if path.is_dir():
        return from_files(in_folder(prompt_folder(path), most), lm, path.name, template)
    if path.is_file():
        return from_files(unpack(path, most), lm, path.name, template)
    if archive := zip_around(path):
        return from_files(unpack(archive, most, path.relative_to(archive).as_posix()), lm, path.name, template)
    raise LabError(f"There is no learned prompt at {shown(path)}: name a folder or zip that was saved here or by PEFT.")


def largest_files(lm: LanguageModel) -> dict[str, int]:
    """The files that a prompt for `lm` is read from, and their largest sizes in bytes: what is larger is never fetched, read, unpacked."""
    widest = max(math.prod(method.shape(lm.shape, 1)) for method in METHODS.values())
    encoder = min(LARGEST_ENCODER, 4 * 46 * lm.d_model**2)  # P-tuning's LSTM of two layers with its MLP, as wide as the model
    most = 8 + LARGEST_HEADER + 8 * MOST_TOKENS * widest + encoder
    return {ADAPTER_CONFIG: LARGEST_JSON, RECIPE: LARGEST_JSON, WEIGHTS: most}


def from_files(files: Mapping[str, bytes], lm: LanguageModel, name: str, template: str = "") -> Learned:
    """A learned prompt from an adapter's files in memory. Everything is checked before it is used."""
    missing = [file for file in (ADAPTER_CONFIG, WEIGHTS) if file not in files]
    if missing == [WEIGHTS] and PICKLE in files:
        raise LabError(f"{shown(name)} keeps its weights as a pickle ({PICKLE}), which is never read: save it again as safetensors.")
    if missing:
        raise LabError(f"{shown(name)} is not a learned prompt ({missing[0]} is missing): give a folder or zip saved here or by PEFT.")
    config = read_config(files[ADAPTER_CONFIG], name)
    tensor = read_tensor(files[WEIGHTS], name)
    record = read_json(files[RECIPE], RECIPE) if RECIPE in files else {}
    method = _method(name, record, config.layout, len(tensor))
    check_sizes(config, len(tensor), method, lm, name)
    _check_fit(name, tuple(tensor.shape), method, lm)
    array = method.from_rows(tensor.numpy(), lm.shape)
    warnings = _warnings(config, record, lm, method)
    saved = record.get("template", "")
    if isinstance(saved, str) and len(saved) > LONGEST_TEMPLATE:
        raise LabError(f"{shown(name)} has a template of {len(saved):,} characters: at most {LONGEST_TEMPLATE:,} can be used.")
    chosen = template or (saved if isinstance(saved, str) and saved.count("{input}") == 1 else "{input}")
    placement = "after" if record.get("placement") == "after" else "before"
    trained = Recipe.from_dict(record["recipe"]).train if "recipe" in record else "both"
    return Learned(prefix_of(method, array, trained).to(lm.device), chosen, placement, record, tuple(warnings))


def _warnings(config: AdapterConfig, record: Mapping[str, Any], lm: LanguageModel, method: Method) -> list[str]:
    """What is doubtful of a prompt that fits `lm`: its base, its origin."""
    base = record.get("base")
    known = base.get("weights") if isinstance(base, dict) else None
    warnings = []
    if config.method:
        warnings.append(f"It was made by {config.method}: what that came to is used here, as a {method.label}.")
    if not record:
        warnings.append("It has no recipe.json, so its template and the rows that it was trained on are not known.")
    if known and known == lm.weights_hash:
        return warnings
    if config.base and not same_base(config.base, lm.name):
        warnings.append(
            f"It was trained on {shown(config.base)}, and {shown(lm.name)} is loaded: expect little of it here, and no old score holds, "
            "so it is scored anew."
        )
    elif record:
        warnings.append("It was trained on other weights of the same shapes: its old scores don't hold here, so it is scored anew.")
    return warnings


def _method(name: str, record: Mapping[str, Any], peft_type: str, count: int) -> Method:
    """The method that recipe.json says, or the first one of this PEFT type. LabError where it tells of another prompt than the weights."""
    if "recipe" not in record:
        return next(method for method in METHODS.values() if method.peft_type == peft_type)
    recipe = Recipe.from_dict(record["recipe"])
    method = METHODS[recipe.method]
    if method.peft_type != peft_type or recipe.virtual_tokens != count:
        raise LabError(f"{shown(name)} has a recipe.json of another prompt (its method or its virtual tokens differ): leave it out.")
    return method


def _check_fit(name: str, shape: tuple[int, ...], method: Method, lm: LanguageModel) -> None:
    """LabError unless rows of this shape are a prompt for `lm`."""
    wanted = [shape[0], math.prod(method.shape(lm.shape, 1))]
    if list(shape) != wanted:
        raise LabError(
            f"{shown(name)} fits another model: its {method.label} has the shape {list(shape)}, {shown(lm.name)} needs {wanted}."
        )
    if not 1 <= shape[0] <= MOST_TOKENS:
        raise LabError(f"{shown(name)} has {shape[0]} virtual tokens: at most {MOST_TOKENS} can be loaded.")
