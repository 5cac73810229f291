"""A copy of the model, changed in one of five ways, with the parameters that are to be trained."""

import copy
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import nn

from core.errors import LabError, reason
from core.finetuning.adapters import add_adapters
from core.finetuning.catalogue import ALPHA, BOTTLENECK, RANK, Adaptation
from core.models.language_model import LanguageModel


@dataclass(frozen=True, eq=False)
class Changed:
    """A changed copy of a model. trained: its parameters that training changes, by name. note: what a person should know, or ""."""

    lm: LanguageModel
    trained: dict[str, nn.Parameter]
    note: str = ""

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.trained.values())


def need_peft() -> ModuleType:
    """The package peft. LabError, with the pip line, where it is absent."""
    try:
        import peft
    except ImportError as error:
        raise LabError(
            "LoRA and IA3 need PEFT, which is not installed: pip install -r requirements-spectrum.txt, or leave them out."
        ) from error
    found: ModuleType = peft
    return found


def change(lm: LanguageModel, adaptation: Adaptation, seed: int) -> Changed:
    """A changed copy of `lm` in float32, which computes what `lm` does until it is trained. `lm` itself stays as it is.

    Weights that are not trained are shared with `lm`, so that they take no memory twice. seed: of the random start. LabError where
    the model can't be changed in this way.
    """
    base = lm.for_scoring
    if getattr(base.model, "is_quantized", False):
        raise LabError("The weights of this model are quantised, so they can't be trained: choose one that is not.")
    whole = adaptation.name == "full"
    shared: dict[int, Any] = {} if whole else {id(parameter): parameter for parameter in base.model.parameters()}
    made = LanguageModel(copy.deepcopy(base.model, shared), base.tokenizer, base.name, base.way)
    note = ""
    if whole:
        trained = dict(made.model.named_parameters())
    elif adaptation.name == "bitfit":
        trained, note = _biases(made.model)
    else:
        known = {id(parameter) for parameter in made.model.parameters()}
        if adaptation.name == "adapters":
            add_adapters(made.model, made.layers, made.d_model, BOTTLENECK, seed)
        else:
            _inject(made, adaptation.name, seed)
        trained = {name: parameter for name, parameter in made.model.named_parameters() if id(parameter) not in known}
    made.model.eval()  # new modules, too: no dropout
    for parameter in trained.values():
        parameter.requires_grad_(True)
    return Changed(made, trained, note)


def _inject(lm: LanguageModel, name: str, seed: int) -> None:
    """Put PEFT's modules into the model: of LoRA on what PEFT chooses for this architecture (else all linear layers), or of IA3."""
    peft = need_peft()
    lora: dict[str, Any] = {"r": RANK, "lora_alpha": ALPHA, "lora_dropout": 0.0}
    tries = [{}, {"target_modules": "all-linear"}] if name == "lora" else [{}]
    for number, more in enumerate(tries):
        config = peft.LoraConfig(**lora, **more) if name == "lora" else peft.IA3Config()
        try:
            with warnings.catch_warnings(), torch.random.fork_rng():
                warnings.simplefilter("ignore")  # on layouts of weights that it handles by itself
                torch.manual_seed(seed)
                peft.inject_adapter_in_model(config, lm.model)
            return
        except ValueError as error:  # it knows no layers of this architecture
            if number == len(tries) - 1:
                raise LabError(f"PEFT can't put {name} into this model ({reason(error)}): choose another method.") from error


def _biases(model: Any) -> tuple[dict[str, nn.Parameter], str]:
    """The model's biases, as copies of its own; of a model without, zero ones on its linear layers but the output head."""
    note = ""
    holders = {name: part for name, part in model.named_modules() if getattr(part, "bias", None) is not None}
    holders = {name: part for name, part in holders.items() if isinstance(part.bias, nn.Parameter)}
    if holders:
        for part in holders.values():
            part.bias = nn.Parameter(part.bias.detach().clone())
    else:
        head = model.get_output_embeddings()
        holders = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear) and part is not head}
        for part in holders.values():
            part.bias = nn.Parameter(torch.zeros(part.out_features, device=part.weight.device, dtype=part.weight.dtype))
        note = f"the model has no biases: zero ones were added to {len(holders)} linear layers and trained"
    if not holders:
        raise LabError("This model has no biases and no linear layers to give some: choose another method.")
    return {f"{name}.bias": part.bias for name, part in holders.items()}, note
