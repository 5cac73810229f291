"""Save and load learned prompts: a PEFT adapter folder (or the same as one zip), with our recipe.json and a model card.

Only safetensors is read, never pickle. The format is PEFT's: one tensor `prompt_embeddings`, `[virtual_tokens, d_model]` for
prompt tuning, `[virtual_tokens, layers * 2 * kv_heads * head_dim]` for prefix tuning (keys before values). A prefix that PEFT
trained through an MLP (prefix_projection) is in PEFT's file as what the MLP makes, so it is read like any other.
"""

import contextlib
import ctypes
import io
import json
import math
import os
import shutil
import stat
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import transformers
from torch import Tensor

from core.errors import LabError, as_path, shown
from core.methods import METHODS
from core.methods.contract import Method
from core.models import weights
from core.models.language_model import LanguageModel
from core.prefix import Prefix, prefix_of
from core.recipe import Recipe
from core.runs.card import CARD, CONFIG, RECIPE, WEIGHTS, card
from core.scoring.score import Contender
from core.tasks.task import Task

RUN = "run.json"  # what happened in the run, for `report`: written with a prompt, never read from an upload
PICKLE = "adapter_model.bin"  # as old versions of PEFT saved weights: to be named, never read
TENSOR = "prompt_embeddings"
LARGEST_HEADER = 64 * 2**10
LARGEST_JSON = 2 * 2**20
DEEPEST = 32  # lists and tables within each other in a JSON file: Python can read deeper ones than it can write again
LONGEST_TEMPLATE = 20_000
MOST_TOKENS = 200
LARGEST_NUMBER = 1e4  # no trained vector comes near; larger ones only break the arithmetic
INSIDE = "it changes weights inside the model, and puts nothing before the input"
OTHERS = {  # PEFT's other methods, and what they are
    "P_TUNING": ("P-tuning", "an LSTM or MLP made its vectors while it trained"),
    "MULTITASK_PROMPT_TUNING": ("multi-task prompt tuning", "one shared prompt, times a matrix for each task"),
    "CPT": ("context-aware prompt tuning", "it moves the embeddings of worked examples"),
    "CARTRIDGE": ("Cartridge", "a key/value cache distilled from a long text"),
    "ADAPTION_PROMPT": ("LLaMA-Adapter", "gated prompts inside the upper layers"),
    "TRAINABLE_TOKENS": ("trainable tokens", "it changes the embeddings of some tokens"),
    "XLORA": ("X-LoRA", "a mixture of LoRA adapters inside the model"),
    "LORA": ("LoRA", INSIDE),
    "ADALORA": ("AdaLoRA", INSIDE),
    "IA3": ("(IA)³", INSIDE),
    "LN_TUNING": ("LayerNorm tuning", INSIDE),
    "LOHA": ("LoHa", INSIDE),
    "LOKR": ("LoKr", INSIDE),
    "OFT": ("OFT", INSIDE),
    "BOFT": ("BOFT", INSIDE),
    "VERA": ("VeRA", INSIDE),
}
ELSEWHERE = {
    "SEQ_2_SEQ_LM": "an encoder-decoder model",
    "SEQ_CLS": "a model with a classifier on top",
    "TOKEN_CLS": "a model with a classifier on top",
    "QUESTION_ANS": "a model with a head that marks answers",
}


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

    def contender(self, name: str) -> Contender:
        """This prompt in a comparison; the rows that it was trained on don't count for it."""
        seen = self.record.get("trained_on")
        seen = seen if isinstance(seen, list) else []
        made = Contender(name, self.prefix.kind, self.template, self.prefix, self.placement, frozenset(map(str, seen)))
        return replace(made, examples=int(self._number("examples")), seconds=self._number("seconds"))

    def _number(self, name: str) -> float:
        """What the file says of what it cost; 0 where it says nothing of use."""
        value = self.record.get(name)
        sound = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9
        return float(value) if sound else 0.0  # type: ignore[arg-type]


def check_savable(lm: LanguageModel, placement: str) -> None:
    """LabError for what PEFT's layout can't express. Called before training too, so that nothing is trained in vain."""
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
            "name": lm.name,
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
        CONFIG: json.dumps(config, indent=2, sort_keys=True).encode(),
        WEIGHTS: safetensors.torch.save({TENSOR: rows}, metadata={"format": "pt"}),
        RECIPE: json.dumps(dict(record), indent=2, ensure_ascii=False).encode(),
        CARD: card(config, record).encode("utf-8", "replace"),
    }


def peft_config(lm: LanguageModel, prefix: Prefix) -> dict[str, Any]:
    """PEFT's configuration for this prefix on this model, as adapter_config.json holds it."""
    return {
        "peft_type": prefix.method.peft_type,
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": lm.name,
        "num_virtual_tokens": prefix.virtual_tokens,
        "num_layers": lm.layers,
        "num_transformer_submodules": 1,
        **prefix.method.peft_config(lm.shape),
    }


def check_target(folder: str | Path) -> Path:
    """LabError where `folder` exists and is neither empty nor an earlier prompt. Called before training too."""
    folder = as_path(folder)
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / CONFIG).is_file())):
        raise LabError(f"{shown(folder)} exists and is not a saved prompt: name another folder.")
    return folder


def save(folder: str | Path, files: Mapping[str, bytes]) -> Path:
    """Write an adapter folder under a temporary name and rename it: a half-written one is never seen, whatever ends this process.

    Raises LabError where `folder` exists and is not an earlier prompt, or can't be written.
    """
    folder = check_target(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder.parent))
        ours = {*files, RECIPE, CARD, RUN}  # nothing stays that tells of an earlier prompt
        try:
            if folder.exists():  # keep what else lies there
                shutil.copytree(
                    folder,
                    scratch,
                    symlinks=True,
                    dirs_exist_ok=True,
                    copy_function=_link,
                    ignore=lambda at, _: ours if at == str(folder) else (),
                )
            for name, data in files.items():
                (scratch / name).write_bytes(data)
            scratch.chmod(0o755)
            if folder.exists():
                _exchange(scratch, folder)
            else:
                scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:  # copytree's own kind has a list of reasons instead
        reason = error.strerror or "its files can't be copied"
        raise LabError(f"The prompt can't be saved to {shown(folder)} ({reason}): choose another place.") from error
    return folder


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # a file system without links
        shutil.copy2(source, target)


def _exchange(one: Path, other: Path) -> None:
    """Let two folders change their names: in one go on Linux, else with a moment in which `other` isn't there."""
    with contextlib.suppress(AttributeError, OSError):
        call = ctypes.CDLL(None, use_errno=True).renameat2
        here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
        if call(here, os.fsencode(one.absolute()), here, os.fsencode(other.absolute()), exchange) == 0:
            return
    aside = one.with_name(f"{one.name}-old")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def pack(files: Mapping[str, bytes]) -> bytes:
    """The files as one zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def load(path: str | Path, lm: LanguageModel, template: str = "") -> Learned:
    """A learned prompt from an adapter folder or a zip of one, checked against the loaded model.

    template: for a prompt without recipe.json; default `{input}`. Raises LabError for anything that is not one.
    """
    path = as_path(path)
    most = largest_files(lm)
    if path.is_dir():
        return from_files(in_folder(path, most), lm, path.name, template)
    if path.is_file():
        return from_files(unpack(path, most), lm, path.name, template)
    raise LabError(f"There is no learned prompt at {shown(path)}: name a folder or zip that was saved here or by PEFT.")


def largest_files(lm: LanguageModel) -> dict[str, int]:
    """The files that a prompt for `lm` is read from, and their largest sizes in bytes: what is larger is never fetched, read, unpacked."""
    widest = max(math.prod(method.shape(lm.shape, 1)) for method in METHODS.values())
    most = 8 + LARGEST_HEADER + 4 * MOST_TOKENS * widest
    return {CONFIG: LARGEST_JSON, RECIPE: LARGEST_JSON, WEIGHTS: most}


def in_folder(folder: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    """The files of `folder` named in `most`, where they are there. LabError where one is larger, in bytes, or can't be read."""
    files = {}
    try:
        for name, largest in most.items():
            if (folder / name).is_file():
                if (folder / name).stat().st_size > largest:
                    raise LabError(f"{name} in {shown(folder)} is larger than a learned prompt for this model can be: choose another.")
                files[name] = (folder / name).read_bytes()
        if (folder / PICKLE).is_file():
            files[PICKLE] = b""
    except OSError as error:
        raise LabError(f"{shown(folder)} can't be read ({error.strerror}): check who may read it.") from error
    return files


def unpack(path: Path, most: Mapping[str, int]) -> dict[str, bytes]:
    """The adapter's files in a zip, whatever folder they lie in. most: the largest size of each, in bytes.

    Nothing is written; sizes, paths and links are looked at before anything is unpacked.
    """
    try:
        if path.stat().st_size > sum(most.values()):
            raise LabError(f"{shown(path.name)} is larger than a learned prompt for this model can be: pack one learned prompt alone.")
        with zipfile.ZipFile(path) as archive:
            files: dict[str, bytes] = {}
            for member in archive.infolist()[:1000]:
                *folders, name = member.filename.replace("\\", "/").split("/")
                if name == PICKLE:
                    files[PICKLE] = b""
                if name not in most:
                    continue
                if ".." in folders or member.filename.startswith("/") or stat.S_ISLNK(member.external_attr >> 16):
                    raise LabError(f"{shown(path.name)} holds {name} as a link, or outside of itself: pack the files themselves.")
                if name in files or member.file_size > most[name]:
                    raise LabError(f"{shown(path.name)} holds {name} twice or too large: pack one learned prompt for this model.")
                with archive.open(member) as file:
                    files[name] = file.read(most[name] + 1)
                if len(files[name]) != member.file_size:
                    raise LabError(f"{shown(path.name)} is damaged ({name}): save the prompt again.")
            return files
    except LabError:
        raise
    except Exception as error:  # a damaged zip raises what its decompressor likes (zlib.error, LZMAError, EOFError, ...)
        raise LabError(f"{shown(path.name)} is not a readable zip of a learned prompt: save it again, or give the folder.") from error


def from_files(files: Mapping[str, bytes], lm: LanguageModel, name: str, template: str = "") -> Learned:
    """A learned prompt from an adapter's files in memory. Everything is checked before it is used."""
    missing = [file for file in (CONFIG, WEIGHTS) if file not in files]
    if missing == [WEIGHTS] and PICKLE in files:
        raise LabError(f"{shown(name)} keeps its weights as a pickle ({PICKLE}), which is never read: save it again as safetensors.")
    if missing:
        raise LabError(f"{shown(name)} is not a learned prompt ({missing[0]} is missing): give a folder or zip saved here or by PEFT.")
    kind = check_config(files[CONFIG], name)
    tensor = _tensor(files[WEIGHTS], name)
    record = _json(files[RECIPE], RECIPE) if RECIPE in files else {}
    method = _method(name, record, kind, len(tensor))
    _check_fit(name, tuple(tensor.shape), method, lm)
    array = method.from_rows(tensor.numpy(), lm.shape)
    warnings = []
    known = record.get("base", {}).get("weights") if isinstance(record.get("base", {}), dict) else None
    if not record:
        warnings.append("It has no recipe.json, so its template and the rows that it was trained on are not known.")
    elif known != lm.weights_hash:
        warnings.append("It was trained on other weights of the same shapes: its old scores don't hold here, so it is scored anew.")
    saved = record.get("template", "")
    if isinstance(saved, str) and len(saved) > LONGEST_TEMPLATE:
        raise LabError(f"{shown(name)} has a template of {len(saved):,} characters: at most {LONGEST_TEMPLATE:,} can be used.")
    chosen = template or (saved if isinstance(saved, str) and saved.count("{input}") == 1 else "{input}")
    placement = "after" if record.get("placement") == "after" else "before"
    return Learned(prefix_of(method, array).to(lm.device), chosen, placement, record, tuple(warnings))


def check_config(data: bytes | None, name: str) -> str:
    """The peft_type of an adapter_config.json. LabError, naming the method, unless it is prompt or prefix tuning of a causal model."""
    if data is None:
        raise LabError(f"{shown(name)} is not a learned prompt ({CONFIG} is missing): give a folder or zip saved here or by PEFT.")
    config = _json(data, CONFIG)
    kind = config.get("peft_type")
    if kind not in [method.peft_type for method in METHODS.values()]:
        what, why = OTHERS.get(str(kind), (shown(kind), ""))
        why = f" ({why})" if why else ""
        raise LabError(f"{shown(name)} is a {what} adapter{why}: only prompt tuning and prefix tuning can be loaded here.")
    if str(config.get("task_type")) in ELSEWHERE:
        where = ELSEWHERE[str(config["task_type"])]
        raise LabError(f"{shown(name)} was trained on {where}: only adapters of causal language models (CAUSAL_LM) can be loaded here.")
    return str(kind)


def _json(data: bytes, name: str) -> dict[str, Any]:
    try:
        if len(data) > LARGEST_JSON:
            raise ValueError
        value = json.loads(data)
        if not isinstance(value, dict) or not _shallow(value, DEEPEST):
            raise ValueError
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair is no text: it can be neither tokenised nor saved
    except (ValueError, RecursionError) as error:
        raise LabError(f"{name} is not a readable table of settings (JSON): save the prompt again.") from error
    return value


def _shallow(value: Any, levels: int) -> bool:
    """Whether there are no more than `levels` lists and tables within each other."""
    if not isinstance(value, dict | list):
        return True
    return levels > 0 and all(_shallow(item, levels - 1) for item in (value.values() if isinstance(value, dict) else value))


def _method(name: str, record: Mapping[str, Any], peft_type: str, count: int) -> Method:
    """The method that recipe.json says, or the first one of this PEFT type. LabError where it tells of another prompt than the weights."""
    if "recipe" not in record:
        return next(method for method in METHODS.values() if method.peft_type == peft_type)
    recipe = Recipe.from_dict(record["recipe"])
    method = METHODS[recipe.method]
    if method.peft_type != peft_type or recipe.virtual_tokens != count:
        raise LabError(f"{shown(name)} has a recipe.json of another prompt (its method or its virtual tokens differ): leave it out.")
    return method


def _tensor(data: bytes, name: str) -> Tensor:
    """The one tensor of an adapter, float32, after its header has been found sane."""
    damaged = LabError(f"{shown(name)} has damaged weights (not a whole safetensors file): save the prompt again.")
    if len(data) < 8:
        raise damaged
    (size,) = struct.unpack("<Q", data[:8])
    if size > min(LARGEST_HEADER, len(data) - 8):
        raise damaged
    try:
        header = json.loads(data[8 : 8 + size], object_pairs_hook=_once)
        header.pop("__metadata__", None)
        names = list(header)
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise damaged from error
    if names != [TENSOR]:
        raise LabError(f"{shown(name)} holds the tensors {shown(', '.join(names))}: a learned prompt holds {TENSOR} alone.")
    entry = header[TENSOR]
    shape, dtype = (entry.get("shape"), entry.get("dtype")) if isinstance(entry, dict) else (None, None)
    if dtype not in ("F32", "F16", "BF16"):
        raise LabError(f"{shown(name)} holds numbers of type {shown(dtype)}: a learned prompt holds floating-point ones.")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and 0 < n < 2**31 for n in shape)):
        raise LabError(f"{shown(name)} holds a tensor of shape {shown(shape)}: a learned prompt has two sizes, tokens and width.")
    if math.prod(shape) * (4 if dtype == "F32" else 2) != len(data) - 8 - size:
        raise damaged
    try:
        tensor = safetensors.torch.load(data)[TENSOR].float()
    except Exception as error:
        raise damaged from error
    if not torch.isfinite(tensor).all() or tensor.abs().max() > LARGEST_NUMBER:
        raise LabError(f"{shown(name)} holds numbers that are not finite or far too large: train the prompt again.")
    return tensor


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose keys differ: of two of one name, readers would not all take the same."""
    if len({key for key, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _check_fit(name: str, shape: tuple[int, ...], method: Method, lm: LanguageModel) -> None:
    """LabError unless rows of this shape are a prompt for `lm`."""
    wanted = [shape[0], math.prod(method.shape(lm.shape, 1))]
    if list(shape) != wanted:
        raise LabError(
            f"{shown(name)} fits another model: its {method.label} has the shape {list(shape)}, {shown(lm.name)} needs {wanted}."
        )
    if not 1 <= shape[0] <= MOST_TOKENS:
        raise LabError(f"{shown(name)} has {shape[0]} virtual tokens: at most {MOST_TOKENS} can be loaded.")
