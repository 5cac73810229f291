"""A frozen causal language model: run rows after a past, read logits where they are needed, generate."""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property
from typing import Any, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.cache_utils import DynamicCache

from core.display import described
from core.errors import LabError, shown
from core.models import reading, weights
from core.models.devices import pick_device, pick_dtype
from core.models.past import NO_TOKEN, Past, Vectors
from core.models.probe import ROUGH, Way, check_attention, check_finite, far, probe, sample_ids
from core.models.sizes import Shape
from core.models.tokens import Tokens, lead_tokens

Part = Sequence[int] | Tensor  # token ids, or vectors
WINDOWS = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "n_ctx")  # names for it in configurations


def load_model(name: str | None = None, device: str | None = None, dtype: str | None = None) -> "LanguageModel":
    """Load and freeze a causal language model.

    name: the default model, a Hub id or a local folder. device, dtype: "auto" or None chooses (see pick_device, pick_dtype).
    Raises LabError if the model can't be loaded or used.
    """
    name = name or weights.DEFAULT_MODEL
    where = pick_device(device)
    base = reading.read(name, str(where))
    chosen = pick_dtype(dtype, where, base.model.num_parameters())
    made = LanguageModel(base.model, base.tokenizer, name).to(where, chosen)
    made.notes += base.notes
    return made


class DeviceProcess(Protocol):
    """Another process with a faster device, which does slices of work (core/training/slices.py). device: its name, for display."""

    device: str

    def __call__(self, work: Any) -> Any:
        """The result of `work.do` in that process, or in this one if that fails. LabError as `work.do` raises it."""


class LanguageModel(Tokens):
    """A frozen causal LM with its tokenizer. Everything that runs the network is here; nothing here is trained.

    way: how it is run, with its sizes. window: the largest number of positions. lead: the special tokens (BOS) that its tokenizer
    puts first, often none.
    """

    way: Way

    def __init__(self, model: Any, tokenizer: Any, name: str, way: Way | None = None):
        """model: a transformers `PreTrainedModel`; tokenizer: its tokenizer. Their classes are not named: importing them takes seconds.

        way: of the same model in another number format; None tries it out. Raises LabError for a model that can't be used.
        """
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.name = name
        self.window, rule = window_of(model.config.get_text_config())
        self.window -= left_out(model, self.window)
        self.lead = lead_tokens(tokenizer)
        self.for_scoring = self  # the same weights in float32, in which scores are published; another model where this one is smaller
        self.notes: tuple[str, ...] = (rule,) if rule else ()  # what a person should know of it, in sentences
        self._checked: set[str] = set()  # what was tried out at its first use
        self.impossible_mistakes: dict[str, str] = {}  # of core.models.mistakes: why it can't make one, or "", where tried out
        self.device_process: DeviceProcess | None = None  # trains and scores instead of this process
        self.way = way or probe(self)

    def to(self, device: torch.device, dtype: torch.dtype) -> "LanguageModel":
        """This model on `device`; where `dtype` isn't float32, a copy in it whose `for_scoring` is this one. Quantised: unchanged."""
        if getattr(self.model, "is_quantized", False):
            return self  # its weights stay where and as they were read
        self.model.to(device)
        if dtype == torch.float32:
            return self
        small = LanguageModel(copy.deepcopy(self.model).to(dtype), self.tokenizer, self.name, self.way)
        small.for_scoring, small.notes = self, self.notes
        ids = sample_ids(small)[None]
        with torch.no_grad():
            usual = small.model(input_ids=ids, use_cache=False).logits.float()
            check_finite(usual, small)
            if device.type == "cpu":  # there PyTorch's fused attention is slower than eager attention going backward
                with_fused = small.model.config._attn_implementation
                small.model.set_attn_implementation("eager")
                if far(small.model(input_ids=ids, use_cache=False).logits.float(), usual, ROUGH):  # it can't switch
                    small.model.set_attn_implementation(with_fused)
        return small

    def elsewhere(self) -> AbstractContextManager[None]:
        """A block in which this thread waits for another one, and lets it use the device where several work at once."""
        made: AbstractContextManager[None] = getattr(self.device_process, "elsewhere", nullcontext)()
        return made

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
        way = self.way
        return Shape(way.d_model, way.layers, way.heads, way.kv_heads, way.head_dim, self.model.num_parameters())

    @property
    def d_model(self) -> int:
        return self.way.d_model

    @property
    def layers(self) -> int:
        return self.way.layers

    @property
    def kv_heads(self) -> int:
        """Heads of keys and values; 0 where layers differ or have none. So is head_dim."""
        return self.way.kv_heads

    @property
    def head_dim(self) -> int:
        return self.way.head_dim

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, {self.layers} layers, d_model {self.d_model}, {self.device_name}, {self.dtype_name})"

    def _repr_html_(self) -> str:
        numbers = f"{self.model.num_parameters():,}"
        heads = f"{self.kv_heads} K/V heads of {self.head_dim}" if self.kv_heads else "soft prompts only"
        sizes = f"{self.layers} layers, d_model {self.d_model}, {heads}, vocabulary {self.vocab_size:,}"
        where = f"{self.device.type}, {self.dtype_name}"
        return described(self.name, {"frozen numbers": numbers, "sizes": sizes, "window": f"{self.window:,} positions", "on": where})

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 over names and float32 values of all weights: the same for any file format."""
        return hash_weights(self.for_scoring.model)

    # --- running ----------------------------------------------------------------------------------------------------

    def nothing(self) -> Past:
        """An empty past of batch 1, in this model's way."""
        if self.way.caches:
            return DynamicCache()  # without a config it keeps positions outside a sliding window, so positions stay right
        ids = torch.empty(1, 0, dtype=torch.long, device=self.device)
        return Vectors(self.embed(ids), ids)

    def prefill(self, *parts: Part, past: Past | None = None) -> Past:
        """The past of batch 1 that `parts` leave: token ids, or vectors (tokens, d_model), one after the other, after `past` if given.

        Every layer of a cache is a full one, also in models with sliding windows: the mask limits what is attended to, so
        a window may be shorter than the prefix. `past` grows. LabError where there are more positions than the model has.
        """
        past = self.nothing() if past is None else past
        tensors = [torch.as_tensor(part, device=self.device) for part in parts if len(part)]
        needed = past.get_seq_length() + sum(map(len, tensors))
        if needed > self.window:
            raise LabError(f"The prompt needs {needed} positions, the model has {self.window}: use fewer virtual tokens or a shorter text.")
        if isinstance(past, Vectors):
            for tensor in tensors:
                if tensor.is_floating_point():
                    past.append(tensor[None], torch.full((1, len(tensor)), NO_TOKEN, device=self.device))
                else:
                    past.append(self.embed(tensor)[None], tensor[None])
        elif tensors:
            nowhere = torch.empty(0, dtype=torch.long, device=self.device)
            if any(tensor.is_floating_point() for tensor in tensors):
                vectors = [tensor if tensor.is_floating_point() else self.embed(tensor) for tensor in tensors]
                inputs = {"inputs_embeds": torch.cat([rows.to(self.dtype) for rows in vectors])[None]}
            else:
                inputs = {"input_ids": torch.cat(tensors)[None]}
            self._forward(past, inputs, nowhere, nowhere)
        return past

    def run_past(self, past: Past) -> None:
        """Run the positions of `past` where they haven't been run: for hooks that look at their states."""
        if isinstance(past, Vectors):
            self._forward(past, {}, *torch.empty(2, 0, dtype=torch.long, device=self.device))

    def cache_of(self, array: Float[Tensor, "layers 2 tokens kv_heads head_dim"]) -> DynamicCache:
        """A cache of batch 1 that holds these keys (index 0) and values (index 1). LabError for a model that can have none."""
        self._check_prefix()
        cache = DynamicCache()
        for index, layer in enumerate(array.to(self.device, self.dtype)):
            keys, values = layer.transpose(1, 2)[:, None]  # each (1, kv_heads, tokens, head_dim)
            cache.update(keys, values, index)
        return cache

    def keys_values(self, ids: Sequence[int]) -> Float[Tensor, "layers 2 tokens kv_heads head_dim"]:
        """The keys and values that real tokens leave in the cache: a prefix made of them is that text. LabError as in `cache_of`."""
        self._check_prefix()
        with torch.no_grad():
            cache: Any = self.prefill(ids)
        return torch.stack([torch.cat([layer.keys, layer.values]) for layer in cache.layers]).transpose(2, 3).float()

    def _check_prefix(self) -> None:
        if self.way.no_prefix:
            raise LabError(f"A K/V prefix can't be made for {shown(self.name)} ({self.way.no_prefix}): train a soft prompt.")

    def logits_at(
        self,
        past: Past,
        ids: Int[Tensor, "batch tokens"],
        rows: Int[Tensor, " answers"],
        columns: Int[Tensor, " answers"],
    ) -> Float[Tensor, "answers vocab"]:
        """Logits at the places (rows, columns) of `ids` run after `past`, float32. Rows may be padded on the right.

        `past` has the batch size of `ids` (see `expand`) and grows by it.
        """
        return self._forward(past, {"input_ids": ids}, rows, columns)[0][0].float()

    def attentions(self, past: Past, ids: Int[Tensor, " tokens"], offset: int = 0) -> Float[Tensor, "layers heads tokens keys"]:
        """Attention weights of the tokens of `ids`, run after `past`, over its positions and their own.

        float32, after the softmax; 0 for positions that are masked. `past` is of batch 1 and grows by `ids`. offset: added to
        the positions of `ids`. LabError for a model that gives none (see also `check_attention`).
        """
        nowhere = torch.empty(0, dtype=torch.long, device=self.device)
        with self.eager():
            found = self._forward(past, {"input_ids": ids[None]}, nowhere, nowhere, offset, True)[1]
        if not found or any(layer is None for layer in found) or len({layer.shape for layer in found}) > 1:
            raise LabError(f"The model {shown(self.name)} gives no attention weights: choose another to look at its attention.")
        return torch.cat(found)[:, :, -len(ids) :].float()

    def check_attention(self) -> None:
        """LabError where this model's attention weights can't be relied on; tried out once, outside of any change to the model."""
        if "attention" not in self._checked:
            check_attention(self)
            self._checked.add("attention")

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

    def per_layer_inputs(self, ids: Int[Tensor, "batch tokens"]) -> dict[str, Tensor]:
        """What models whose every layer reads the token ids, too, take with vectors. Positions without a token get the padding token's,
        as these models do for images. An error of any type for other models."""
        reader = next(module.get_per_layer_inputs for module in self.model.modules() if hasattr(module, "get_per_layer_inputs"))
        padding = self.model.config.get_text_config().pad_token_id or 0
        return {"per_layer_inputs": reader(ids.masked_fill(ids == NO_TOKEN, padding), None)}

    def _forward(
        self,
        past: Past,
        inputs: dict[str, Tensor],
        rows: Tensor,
        columns: Tensor,
        offset: int = 0,
        attentions: bool = False,
        mask: Any = None,
    ) -> tuple[Tensor, Any]:
        """Logits at (rows, columns) as (1, answers, vocab), and attention weights if wanted, of `inputs` run after `past`, which grows."""
        options: dict[str, Any] = {"output_attentions": True} if attentions else {}
        before = past.get_seq_length()
        if isinstance(past, Vectors):
            if "input_ids" in inputs:
                past.append(self.embed(inputs["input_ids"]), inputs["input_ids"])
            inputs = {"input_ids": past.ids} if past.are_tokens else {"inputs_embeds": past.rows}
            if self.way.per_layer and not past.are_tokens:
                inputs |= self.per_layer_inputs(past.ids)
            if offset:
                inputs["position_ids"] = (self.positions(0, past.get_seq_length()) + offset).expand(past.ids.shape)
            options["use_cache"], columns = False, columns + before
        else:
            batch, tokens = next(iter(inputs.values())).shape[:2]
            # Positions and the mask are always passed: some models derive them wrongly after a cache filled by hand.
            positions = (self.positions(before, tokens) + offset).expand(batch, tokens)
            extra = {"position_ids": positions, "attention_mask": self.attention_mask(before, tokens, batch) if mask is None else mask}
            options |= {name: extra[name] for name in self.way.extras}
            options |= {"past_key_values": past, "use_cache": True}
        with self._head_only_at(rows, columns) as used:
            out = self.model(**inputs, **options)
        return out.logits if used else out.logits[rows, columns][None], getattr(out, "attentions", None)

    @contextmanager
    def _head_only_at(self, rows: Tensor, columns: Tensor) -> Iterator[list[bool]]:
        """Within: the output head sees only the hidden states at (rows, columns); logits come out as [1, answers, vocab].

        A hook on the head, so that later changes to the logits (soft-capping, scaling) still happen. The list is empty
        where the model has no head of its own: then all logits come out.
        """
        used: list[bool] = []

        def only(_: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            used.append(True)
            return (inputs[0][rows, columns][None], *inputs[1:])

        head = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(only) if head is not None else None
        try:
            yield used
        finally:
            if hook:
                hook.remove()

    def generate(self, past: Past, ids: Int[Tensor, " tokens"], most: int) -> Iterator[int]:
        """Greedy continuation of `ids` after a past of batch 1: yields up to `most` token ids, ends before a stop token.

        The past is changed: pass a copy of it (`expand(past, 1)`).
        """
        stops = self.stop_tokens
        row = ids[None].to(self.device)  # (1, tokens)
        zero = torch.zeros(1, dtype=torch.long, device=self.device)
        for _ in range(most):
            if past.get_seq_length() + row.shape[1] > self.window:
                return
            with torch.no_grad():
                token = int(self.logits_at(past, row, zero, zero + row.shape[1] - 1)[0].argmax())
            if token in stops:
                return
            yield token
            row = torch.tensor([[token]], device=self.device)


def hash_weights(model: nn.Module) -> str:
    """SHA-256 over the names and float32 values of a model's parameters, sorted by name (tied ones once).

    Of quantised models also over their buffers, in which some readers keep the weights.
    """
    digest = hashlib.sha256()
    tensors: dict[str, Tensor] = dict(model.named_parameters())
    if getattr(model, "is_quantized", False):
        tensors |= dict(model.named_buffers())
    for name, tensor in sorted(tensors.items()):
        values = tensor.detach()
        if hasattr(values, "__tensor_flatten__"):  # a subclass that holds several tensors, such as numbers with their scales
            values = values.dequantize()
        digest.update(f"{name} {tuple(values.shape)}".encode())
        digest.update(values.float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def window_of(config: Any) -> tuple[int, str]:
    """The largest number of positions by a (text) configuration, a million where it sets none; and a note where more would change all."""
    window = next((int(size) for name in WINDOWS if (size := getattr(config, name, None))), 1_000_000)
    rules = getattr(config, "rope_parameters", None) or {}
    for rule in (rules, *(part for part in rules.values() if isinstance(part, dict))):
        original = rule.get("original_max_position_embeddings")
        if rule.get("rope_type") == "longrope" and original and original < window:
            note = f"positions are limited to {original:,}: a longer row would rotate all of its positions by other factors (longrope)"
            return int(original), note
    return window, ""


def left_out(model: nn.Module, window: int) -> int:
    """How many of a table of `window` positions are never used: some models count from after the padding's."""
    tables = [part for name, part in model.named_modules() if "position" in name and isinstance(part, nn.Embedding)]
    return max((part.padding_idx + 1 for part in tables if part.num_embeddings == window and part.padding_idx is not None), default=0)
