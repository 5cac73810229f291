"""A frozen causal language model: run rows after a cache, read logits where they are needed, generate."""

import copy
import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache, DynamicLayer

from core.display import described
from core.errors import LabError, shown
from core.models import reading, weights
from core.models.sizes import Shape

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(device: str | None = None) -> torch.device:
    """The device that is named, or the first available of cuda, mps and cpu. LabError if it is not available."""
    if not device or device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
    try:
        picked = torch.device(device)
        torch.empty(1, device=picked)
    except Exception as error:
        raise LabError(f"The device {shown(device)} is not available here: try cpu, or leave it out.") from error
    return picked


def pick_dtype(dtype: str | None, device: torch.device, parameters: int) -> torch.dtype:
    """The dtype that is named. auto: float32, or bfloat16 where float32 would take more than a quarter of a GPU's memory.

    fast: as auto, but bfloat16 on a CPU that multiplies it in hardware (a step takes about half the time there).
    """
    if dtype == "fast" and device.type == "cpu":
        return torch.bfloat16 if has_bfloat16(device) else torch.float32
    if dtype and dtype not in ("auto", "fast"):
        if dtype not in DTYPES:
            raise LabError(f"The dtype {shown(dtype)} is unknown: choose one of auto, fast, {', '.join(DTYPES)}.")
        return DTYPES[dtype]
    if device.type == "cuda" and 4 * parameters > torch.cuda.get_device_properties(device).total_memory / 4:
        return torch.bfloat16
    return torch.float32


def has_bfloat16(device: torch.device) -> bool:
    """Whether this is a CPU that multiplies bfloat16 in hardware."""
    able = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def load_model(name: str | None = None, device: str | None = None, dtype: str | None = None) -> "LanguageModel":
    """Load and freeze a causal language model.

    name: the default model, a Hub id or a local folder. device, dtype: "auto" or None chooses (see pick_device, pick_dtype).
    Raises LabError if the model can't be loaded, or its cache can't be filled by hand.
    """
    name = name or weights.DEFAULT_MODEL
    where = pick_device(device)
    base = reading.read(name)
    chosen = pick_dtype(dtype, where, base.model.num_parameters())
    made = LanguageModel(base.model, base.tokenizer, name).to(where, chosen)
    made.notes = base.notes
    return made


class DeviceProcess(Protocol):
    """Another process with a faster device, which does slices of work (core/training/slices.py). device: its name, for display."""

    device: str

    def __call__(self, work: Any) -> Any:
        """The result of `work.do` in that process, or in this one if that fails. LabError as `work.do` raises it."""


class LanguageModel:
    """A frozen causal LM with its tokenizer. Everything that runs the network is here; nothing here is trained.

    d_model, layers, kv_heads, head_dim: the model's sizes, read from a cache that it computed.
    window: the largest number of positions. lead: the special tokens (BOS) that its tokenizer puts first, often none.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str):
        """model: a transformers `PreTrainedModel`; tokenizer: its tokenizer. Their classes are not named: importing them takes seconds."""
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.window = int(getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1_000_000)
        self.lead = _lead_tokens(tokenizer)
        self.for_scoring = self  # the same weights in float32, in which scores are published; another model where this one is smaller
        self.notes: tuple[str, ...] = ()  # what a person should know of how it was read, in sentences
        self.device_process: DeviceProcess | None = None  # trains and scores instead of this process
        self._probe()

    def to(self, device: torch.device, dtype: torch.dtype) -> "LanguageModel":
        """This model on `device`; where `dtype` isn't float32, a copy in it whose `for_scoring` is this one."""
        self.model.to(device)
        if dtype == torch.float32:
            return self
        made = copy.deepcopy(self.model).to(dtype)
        if device.type == "cpu":  # there PyTorch's fused attention is slower than eager attention going backward
            made.set_attn_implementation("eager")
        small = LanguageModel(made, self.tokenizer, self.name)
        small.for_scoring = self
        return small

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def device_name(self) -> str:
        """The device that trains and scores, for display."""
        return self.device_process.device if self.device_process else self.device.type

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def shape(self) -> Shape:
        """The sizes of the model, as it really computes."""
        heads = int(self.model.config.get_text_config().num_attention_heads)
        return Shape(self.d_model, self.layers, heads, self.kv_heads, self.head_dim, self.model.num_parameters())

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.layers} layers, d_model {self.d_model}, {self.device_name}, {self.dtype_name})"

    def _repr_html_(self) -> str:
        numbers = f"{self.model.num_parameters():,}"
        heads = f"{self.kv_heads} K/V heads of {self.head_dim}"
        sizes = f"{self.layers} layers, d_model {self.d_model}, {heads}, vocabulary {self.vocab_size:,}"
        where = f"{self.device.type}, {self.dtype_name}"
        return described(self.name, {"frozen numbers": numbers, "sizes": sizes, "window": f"{self.window:,} positions", "on": where})

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    def _probe(self) -> None:
        """Read the cache's shapes, and check that a cache filled by hand gives the model's own logits."""
        ids = torch.arange(6, device=self.device).remainder(self.model.get_input_embeddings().num_embeddings)[None]  # (1, 6)
        try:
            with torch.inference_mode():
                plain = self.model(input_ids=ids, use_cache=False).logits[0, 3:]  # (3, vocab)
                cache = self.prefill(self.embed(ids[0, :3]))
                keys = [layer.keys for layer in cache.layers]
                here = torch.arange(3, device=self.device)
                after = self.logits_at(expand(cache, 1), ids[:, 3:], torch.zeros_like(here), here)
                shapes = {tuple(key.shape) for key in keys}
        except Exception as error:
            raise LabError(
                f"The model {shown(self.name)} keeps its past in a form that can't be filled by hand "
                f"({type(error).__name__}): choose one with a standard key/value cache."
            ) from error
        tolerance = 1e-3 if self.dtype == torch.float32 else 0.1
        off = ((plain - after).norm() / plain.norm().clamp_min(1e-12)).item()
        if not off < tolerance or len(shapes) != 1:
            raise LabError(
                f"The model {shown(self.name)} answers differently after a cache filled by hand: "
                "choose one with a standard key/value cache."
            )
        self.layers = len(keys)
        _, self.kv_heads, _, self.head_dim = keys[0].shape
        self.d_model = self.embed(ids[0, :1]).shape[-1]

    # --- embeddings -------------------------------------------------------------------------------------------------

    def embed(self, ids: Int[Tensor, "*batch"]) -> Float[Tensor, "*batch d_model"]:
        """The output of the embedding *module*: some models scale in it, so its weight is not the vocabulary."""
        return self.model.get_input_embeddings()(ids)

    def embed_ids(self, ids: Sequence[int]) -> Float[Tensor, "tokens d_model"]:
        """The embeddings of these token ids, float32."""
        return self.embed(torch.tensor(list(ids), dtype=torch.long, device=self.device)).float()

    @cached_property
    def vocabulary(self) -> Float[Tensor, "vocab d_model"]:
        """Every token's input embedding, float32. Padding rows of the matrix, which belong to no token, are left out."""
        ids = torch.arange(self.vocab_size, device=self.device)
        return self.for_scoring.embed(ids).detach().float()

    @property
    def vocab_size(self) -> int:
        return min(len(self.tokenizer), self.model.get_input_embeddings().num_embeddings)

    @cached_property
    def ordinary_tokens(self) -> Int[Tensor, " ordinary"]:
        """Ids of the vocabulary without special tokens, on the CPU."""
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        return torch.tensor([i for i in range(self.vocab_size) if i not in special])

    def sample_tokens(self, count: int, generator: torch.Generator) -> list[int]:
        """`count` ordinary token ids, drawn uniformly with replacement."""
        picks = torch.randint(len(self.ordinary_tokens), (count,), generator=generator)
        return self.ordinary_tokens[picks].tolist()

    def token_text(self, token: int) -> str:
        """A token as text. A leading space is kept; a piece of a character shows as U+FFFD."""
        return self.tokenizer.decode([token], clean_up_tokenization_spaces=False)

    def tokenise(self, text: str) -> list[int]:
        """Token ids of a text without special tokens."""
        return self.tokenizer(text, add_special_tokens=False, verbose=False).input_ids

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over names and float32 values of all weights: the same for any file format."""
        return hash_weights(self.for_scoring.model)

    # --- running ----------------------------------------------------------------------------------------------------

    def prefill(self, rows: Float[Tensor, "tokens d_model"], cache: DynamicCache | None = None) -> DynamicCache:
        """Run one row of embeddings (after `cache`, if given) and return the cache of batch 1 that it fills.

        Every layer of the cache is a full one, also in models with sliding windows: the mask limits what is attended to, so
        a window may be shorter than the prefix.
        """
        # A plain DynamicCache (no config) keeps positions outside a sliding window, so positions stay right.
        cache = DynamicCache() if cache is None else cache
        if len(rows):
            nowhere = torch.empty(0, dtype=torch.long, device=self.device)
            with self._head_only_at(nowhere, nowhere):
                self._forward(cache, inputs_embeds=rows.to(self.dtype)[None])
        return cache

    def cache_of(self, array: Float[Tensor, "layers 2 tokens kv_heads head_dim"]) -> DynamicCache:
        """A cache of batch 1 that holds these keys (index 0) and values (index 1)."""
        cache = DynamicCache()
        for index, layer in enumerate(array.to(self.device, self.dtype)):
            keys, values = layer.transpose(1, 2)[:, None]  # each (1, kv_heads, tokens, head_dim)
            cache.update(keys, values, index)
        return cache

    def keys_values(self, ids: Sequence[int]) -> Float[Tensor, "layers 2 tokens kv_heads head_dim"]:
        """The keys and values that real tokens leave in the cache: a prefix made of them is that text."""
        with torch.no_grad():
            cache = self.prefill(self.embed_ids(ids))
        return torch.stack([torch.cat([layer.keys, layer.values]) for layer in cache.layers]).transpose(2, 3).float()

    def logits_at(
        self,
        cache: DynamicCache,
        ids: Int[Tensor, "batch tokens"],
        rows: Int[Tensor, " answers"],
        columns: Int[Tensor, " answers"],
    ) -> Float[Tensor, "answers vocab"]:
        """Logits at the places (rows, columns) of `ids` run after `cache`, float32. Rows may be padded on the right.

        `cache` has the batch size of `ids` (see `expand`) and grows by it.
        """
        with self._head_only_at(rows, columns):
            return self._forward(cache, input_ids=ids).logits[0].float()

    def attentions(self, cache: DynamicCache, ids: Int[Tensor, " tokens"], offset: int = 0) -> Float[Tensor, "layers heads tokens keys"]:
        """Attention weights of the tokens of `ids`, run after `cache`, over the cache's positions and their own.

        float32, after the softmax; 0 for positions that are masked. `cache` is of batch 1 and grows by `ids`. offset: added to
        the positions of `ids`. LabError for a model that returns no attention weights.
        """
        nowhere = torch.empty(0, dtype=torch.long, device=self.device)
        with self.eager(), self._head_only_at(nowhere, nowhere):
            found = self._forward(cache, offset, True, input_ids=ids[None]).attentions
        if not found or any(layer is None for layer in found):
            raise LabError(f"The model {shown(self.name)} gives no attention weights: choose another to look at its attention.")
        return torch.cat(found).float()

    @contextmanager
    def eager(self) -> Iterator[None]:
        """Within: attention is computed step by step, so that its weights are returned; fused kernels return none.

        It holds for every job that runs this model, so leave it before other jobs take their turns.
        """
        before = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")
        try:
            yield
        finally:
            self.model.set_attn_implementation(before)

    def positions(self, past: int, tokens: int) -> Int[Tensor, " tokens"]:
        """The positions of `tokens` tokens that run after `past` others."""
        return torch.arange(past, past + tokens, device=self.device)

    def attention_mask(self, past: int, tokens: int, batch: int) -> Any:
        """The mask that the model gets for `tokens` tokens after `past` others: nothing is hidden but what causality hides."""
        return torch.ones(batch, past + tokens, dtype=torch.long, device=self.device)

    def _forward(self, cache: DynamicCache, offset: int = 0, attentions: bool = False, **inputs: Tensor) -> Any:
        batch, tokens = next(iter(inputs.values())).shape[:2]
        past = cache.get_seq_length()
        # Positions and the mask are always passed: some models derive them wrongly after a cache filled by hand.
        positions = (self.positions(past, tokens) + offset).expand(batch, tokens)
        mask = self.attention_mask(past, tokens, batch)
        options = {"output_attentions": True} if attentions else {}
        return self.model(**inputs, past_key_values=cache, position_ids=positions, attention_mask=mask, use_cache=True, **options)

    @contextmanager
    def _head_only_at(self, rows: Tensor, columns: Tensor) -> Iterator[None]:
        """Within: the output head sees only the hidden states at (rows, columns); logits come out as [1, answers, vocab].

        A hook on the head, so that later changes to the logits (soft-capping, scaling) still happen.
        """
        head = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda _, inputs: (inputs[0][rows, columns][None],))
        try:
            yield
        finally:
            hook.remove()

    def generate(self, cache: DynamicCache, ids: Int[Tensor, " tokens"], most: int) -> Iterator[int]:
        """Greedy continuation of `ids` after a cache of batch 1: yields up to `most` token ids, ends before a stop token.

        The cache is changed: pass a copy of it (`expand(cache, 1)`).
        """
        stops = self.stop_tokens
        row = ids[None].to(self.device)  # (1, tokens)
        zero = torch.zeros(1, dtype=torch.long, device=self.device)
        for _ in range(most):
            if cache.get_seq_length() + row.shape[1] > self.window:
                return
            with torch.inference_mode():
                token = int(self.logits_at(cache, row, zero, zero + row.shape[1] - 1)[0].argmax())
            if token in stops:
                return
            yield token
            row = torch.tensor([[token]], device=self.device)

    @cached_property
    def stop_tokens(self) -> set[int]:
        """The ids that end a text, from the generation config and the tokenizer."""
        ends = getattr(self.model.generation_config, "eos_token_id", None)
        ends = ends if isinstance(ends, list) else [ends]
        return {int(end) for end in [*ends, self.tokenizer.eos_token_id] if end is not None}


def expand(cache: DynamicCache, rows: int) -> DynamicCache:
    """A cache of batch `rows` whose layers are views of the one row of `cache`: nothing is copied.

    Rows that run after it leave `cache` unchanged, and the gradients of all rows add up in `cache`.
    """
    return _changed(cache, lambda tensor: tensor.expand(rows, -1, -1, -1))  # (rows, kv_heads, tokens, head_dim)


def pick(cache: DynamicCache, rows: Int[Tensor, " picked"]) -> DynamicCache:
    """A new cache with the rows of `cache` that `rows` lists; a row may be listed several times."""
    return _changed(cache, lambda tensor: tensor[rows])  # (picked, kv_heads, tokens, head_dim)


def _changed(cache: DynamicCache, change: Callable[[Tensor], Tensor]) -> DynamicCache:
    changed = DynamicCache()
    for layer in cache.layers:
        copy = DynamicLayer()
        copy.lazy_initialization(layer.keys, layer.values)
        copy.keys, copy.values = change(layer.keys), change(layer.values)
        changed.layers.append(copy)
    return changed


def hash_weights(model: nn.Module) -> str:
    """SHA-256 over the names and float32 values of a model's parameters, sorted by name (tied ones once)."""
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        digest.update(f"{name} {tuple(parameter.shape)}".encode())
        digest.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _lead_tokens(tokenizer: Any) -> list[int]:
    plain = tokenizer("a", add_special_tokens=False).input_ids
    full = tokenizer("a").input_ids
    for start in range(len(full)):
        if full[start : start + len(plain)] == plain:
            return list(full[:start])
    return []
