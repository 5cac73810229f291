"""How a model can be run: tried out on a few tokens and on random vectors when it is loaded, against its plain forward pass.

A model's class or name decides nothing here. What a model can't do is told in a sentence of its own.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from core.errors import LabError, reason, shown
from core.models.past import NO_TOKEN, expand
from core.models.quantised import check_gradient

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel

TOLERANCE = 1e-3  # of the norm of logits, in float32
CAUSAL = 1e-5  # as small, since the same positions run in the same way
ROUGH = 0.1  # the same in formats of 16 bits
EXTRAS = (
    ("position_ids", "attention_mask"),
    ("attention_mask",),
    (),
)  # passed after a cache: the first that change nothing
VECTORS, BEFORE, TOKENS = 2, 5, 9  # random vectors, positions before the split (the vectors included), all positions


@dataclass(frozen=True)
class Way:
    """How a model is run, and its sizes.

    caches: a cache filled by one row is used by many; else vectors run again before each row. extras: inputs to pass with a
    cache. per_layer: each layer reads the token ids, too, and learned vectors get the padding token's. no_prefix: why no
    K/V prefix can be made, or "". kv_heads, head_dim: 0 where layers differ or have none.
    """

    caches: bool
    extras: tuple[str, ...]
    per_layer: bool
    no_prefix: str
    d_model: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int


def probe(lm: "LanguageModel") -> Way:
    """The way to run `lm`. LabError, with the reason, for a model that can't be used."""
    model, name = lm.model, shown(lm.name)
    ids, tolerance = sample_ids(lm), tolerance_of(lm)  # (TOKENS,)
    with torch.no_grad():
        both = torch.stack([ids, torch.cat([ids[:-1], ids[:1]])])  # the second ends with another token
        try:
            plain, other = model(input_ids=both, use_cache=False).logits.float()  # (TOKENS, vocab) each
        except Exception as error:
            raise LabError(f"The model {name} can't be run ({reason(error)}): choose another.") from error
        check_finite(plain, lm)
        if far(other[:-1], plain[:-1], CAUSAL if tolerance == TOLERANCE else tolerance):
            raise LabError(
                f"Every position of {name} sees the tokens after it (an encoder, or a decoder saved without is_decoder): "
                "choose a causal language model."
            )
        words = lm.embed(ids)
        generator = torch.Generator().manual_seed(0)
        spread = words.float().std().item()
        vectors = (torch.randn(VECTORS, words.shape[-1], generator=generator) * spread).to(words)
        row = torch.cat([vectors, words[VECTORS:]])[None]  # (1, TOKENS, d_model)
        per_layer, by_vectors = _by_vectors(lm, row, ids)
        if getattr(model, "is_quantized", False) and not per_layer:
            check_gradient(lm, row[0])
        extras = next((names for names in EXTRAS if not far(_with(lm, row, names, per_layer, ids), by_vectors, tolerance)), ())
        fixed: dict[str, Any] = {"extras": extras, "per_layer": per_layer, "d_model": words.shape[-1]}
        config = model.config.get_text_config()
        fixed["heads"] = int(getattr(config, "num_attention_heads", None) or getattr(config, "n_head", None) or 0)
        cached = Way(caches=True, no_prefix="", layers=0, kv_heads=0, head_dim=0, **fixed)
        way = None if per_layer else _cached(lm, cached, vectors, ids, by_vectors)
        if way is not None:
            return way
        layers = int(getattr(config, "num_hidden_layers", None) or getattr(config, "n_layer", None) or 0)
        why = "its cache can't be filled by hand"
        lm.way = way = Way(caches=False, no_prefix=why, layers=layers, kv_heads=0, head_dim=0, **fixed)
        found, _ = _after(lm, vectors, ids)
    if far(found, by_vectors[BEFORE:], tolerance):
        raise LabError(f"The model {name} answers differently when vectors stand before its tokens: choose another.")
    return way


def sample_ids(lm: "LanguageModel") -> Tensor:
    """A few ordinary tokens from all over the vocabulary, (TOKENS,): special ones, such as padding, may be treated otherwise."""
    known = lm.ordinary_tokens if len(lm.ordinary_tokens) else torch.arange(lm.vocab_size)
    return known[torch.linspace(0, len(known) - 1, TOKENS).long()].to(lm.device)


def check_finite(logits: Tensor, lm: "LanguageModel") -> None:
    """LabError where logits overflow, or are no numbers."""
    if torch.isfinite(logits).all():
        return
    what = "overflow: choose bfloat16 or float32" if lm.dtype == torch.float16 else "are no numbers: its weights are damaged"
    raise LabError(f"In {lm.dtype_name} the outputs of {shown(lm.name)} {what}.")


def tolerance_of(lm: "LanguageModel") -> float:
    """What counts as rounding: more in formats of 16 bits, and with quantised weights, which round by what else is in a pass."""
    plain = lm.dtype == torch.float32 and not getattr(lm.model, "is_quantized", False)
    return TOLERANCE if plain else ROUGH


def far(a: Tensor | None, b: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether two tensors differ by more than rounding; true where there is no first one."""
    if a is None or a.shape != b.shape:
        return True
    return not ((a - b).norm() / b.norm().clamp_min(1e-12)).item() < tolerance


def check_attention(lm: "LanguageModel") -> None:
    """LabError where attention can't be computed step by step, its weights are no shares, or a token attends to those after it."""
    ids = sample_ids(lm)
    with torch.no_grad():
        weights = lm.attentions(lm.nothing(), ids)  # (layers, heads, TOKENS, TOKENS)
        usual = lm.model(input_ids=ids[None], use_cache=False).logits.float()
        with lm.eager():
            eager = lm.model(input_ids=ids[None], use_cache=False).logits.float()
    tolerance = tolerance_of(lm)
    ahead, most = weights.triu(1).abs().max().item(), weights.sum(dim=-1).max().item()
    if not (ahead < tolerance and most < 1 + tolerance and weights.min() > -tolerance) or far(eager, usual, tolerance):
        raise LabError(
            f"The attention weights that {shown(lm.name)} gives are not those that it computes with (it can't switch to eager "
            "attention): choose another model to look at its attention."
        )


def _by_vectors(lm: "LanguageModel", row: Tensor, ids: Tensor) -> tuple[bool, Tensor]:
    """Logits of a row that begins with vectors of its own: the plain way. First: whether each layer's own inputs had to be passed."""
    problem: Exception | None = None
    for per_layer in (False, True):
        try:
            inputs = lm.per_layer_inputs(_marked(ids)[None]) if per_layer else {}
            return per_layer, lm.model(inputs_embeds=row, use_cache=False, **inputs).logits[0].float()
        except Exception as error:  # models raise errors of any type
            problem = problem or error
    assert problem is not None
    raise LabError(f"The model {shown(lm.name)} takes no input vectors ({reason(problem)}): choose another.") from problem


def _marked(ids: Tensor) -> Tensor:
    """The ids with those of the vectors' positions taken out."""
    marked = ids.clone()
    marked[:VECTORS] = NO_TOKEN
    return marked


def _with(lm: "LanguageModel", row: Tensor, names: tuple[str, ...], per_layer: bool, ids: Tensor) -> Tensor | None:
    """Logits of the row with these extra inputs, or None where the model doesn't take them."""
    values = {"position_ids": lm.positions(0, TOKENS)[None], "attention_mask": lm.attention_mask(0, TOKENS, 1)}
    inputs = lm.per_layer_inputs(_marked(ids)[None]) if per_layer else {}
    try:
        return lm.model(inputs_embeds=row, use_cache=False, **{name: values[name] for name in names}, **inputs).logits[0].float()
    except Exception:
        return None


def _after(lm: "LanguageModel", vectors: Tensor, ids: Tensor) -> tuple[Tensor, Any]:
    """Logits of the tokens after the split, run in two pieces, as two rows, after one past of vectors and tokens; of the second row.

    Also that past, of batch 1.
    """
    one = lm.prefill(vectors, ids[VECTORS:BEFORE])
    past = expand(one, 2)
    found = []
    for part in ids[BEFORE:].tensor_split(2):
        rows = torch.ones_like(part)
        found.append(lm.logits_at(past, part.expand(2, -1), rows, torch.arange(len(part), device=lm.device)))
    return torch.cat(found), one


def _cached(lm: "LanguageModel", way: Way, vectors: Tensor, ids: Tensor, plain: Tensor) -> Way | None:
    """`way` with the sizes that its cache has, or None where what follows a cache filled by hand is not what the plain way gives."""
    lm.way = way
    try:
        found, past = _after(lm, vectors, ids)
        if far(found, plain[BEFORE:], tolerance_of(lm)):
            return None
        layers = past.layers
        keys, values = [layer.keys for layer in layers], [layer.values for layer in layers]
        shapes = {tuple(tensor.shape) for tensor in (*keys, *values)}
    except Exception:  # of any type, where a cache is another object than the one that is passed
        return None
    sizes: dict[str, Any] = {**vars(way), "layers": len(keys)}
    if not keys or any(tensor.ndim != 4 or tensor.shape[2] != BEFORE for tensor in keys):
        return None  # it took the cache and kept something else in it, or nothing
    if len(shapes) > 1:
        same = len({tuple(tensor.shape) for tensor in keys}) == 1
        return Way(
            **sizes | {"no_prefix": "its keys and values have different sizes" if same else "its layers have keys of different sizes"}
        )
    _, kv_heads, _, head_dim = keys[0].shape
    return Way(**sizes | {"kv_heads": kv_heads, "head_dim": head_dim})
