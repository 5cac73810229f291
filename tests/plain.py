"""The plain way, written out: no shared prefill, full logits, whole inputs. What core must agree with."""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache

from core.models.language_model import LanguageModel
from core.models.past import NO_TOKEN
from core.prefix import Prefix
from core.scoring.rows import Row


def padded(rows: Sequence[Row]) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, attention mask and labels (-100: not an answer token) of whole rows, padded on the right; each (rows, tokens)."""
    width = max(len(row.prompt) + len(row.answer) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
    for number, row in enumerate(rows):
        text = [*row.prompt, *row.answer]
        ids[number, : len(text)] = torch.tensor(text)
        mask[number, : len(text)] = 1
        labels[number, len(row.prompt) : len(text)] = torch.tensor(row.answer)
    return ids, mask, labels


def plain_logits(lm: LanguageModel, prefix: Prefix, ids: Tensor, mask: Tensor) -> Tensor:
    """Logits at every position of `ids`, each row having its own copy of the prefix before it. (rows, tokens, vocab)"""
    rows, tokens = ids.shape
    ids, mask = ids.to(lm.device), mask.to(lm.device)
    count = prefix.virtual_tokens
    mask = torch.cat([torch.ones(rows, count, dtype=torch.long, device=lm.device), mask], dim=1)
    if prefix.method.name == "none":
        return lm.model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    if prefix.method.name == "prompt":
        words = lm.model.get_input_embeddings()(ids)
        inputs = torch.cat([prefix.array().repeat(rows, 1, 1), words], dim=1)
        layers = {}  # of a model whose layers read the token ids, too: a vector's is that of padding
        if lm.way.per_layer:
            layers = lm.per_layer_inputs(torch.cat([torch.full((rows, count), NO_TOKEN), ids], dim=1))
        return lm.model(inputs_embeds=inputs, attention_mask=mask, use_cache=False, **layers).logits[:, count:]
    cache = DynamicCache()
    for index, layer in enumerate(prefix.array()):  # (2, virtual_tokens, kv_heads, head_dim)
        keys, values = (half.permute(1, 0, 2).repeat(rows, 1, 1, 1) for half in layer)
        cache.update(keys, values, index)
    positions = {"position_ids": torch.arange(count, count + tokens, device=lm.device).repeat(rows, 1)}
    if "position_ids" not in lm.way.extras:  # it counts them itself, some from another number than 0
        positions = {}
    return lm.model(input_ids=ids, attention_mask=mask, past_key_values=cache, **positions).logits


def plain_loss(lm: LanguageModel, prefix: Prefix, rows: Sequence[Row]) -> Tensor:
    """Mean loss of the answer tokens of whole rows (as `encode` gives them), in nats."""
    ids, mask, labels = padded(rows)
    logits = plain_logits(lm, prefix, ids, mask)[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten().to(lm.device), ignore_index=-100)


def peft_loss(lm: LanguageModel, model: torch.nn.Module, rows: Sequence[Row]) -> Tensor:
    """The loss of PEFT's own model on whole rows."""
    ids, mask, labels = (values.to(lm.device) for values in padded(rows))
    return model(input_ids=ids, attention_mask=mask, labels=labels).loss


def relative_error(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|."""
    return ((a - b).norm() / b.norm()).item()
