"""What a prompt makes the model say: several continuations in one pass, and the words of the logit lens."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.probes.hears import read

LENS = 5  # likeliest tokens at each position and layer
CHUNK = 64  # states that are read together


def continued(lm: LanguageModel, past: Past, token: int, most: int, samples: int = 0, seed: int = 0) -> list[str]:
    """The texts that follow `past` (of batch 1) and `token`: the greedy one first, then `samples` sampled ones, by `seed` alone.

    Each has up to `most` tokens and ends before a stop token. They run together, as rows of one batch.
    """
    generator = torch.Generator().manual_seed(seed)
    count, own = samples + 1, expand(past, samples + 1)
    ids = torch.full((count, 1), token, device=lm.device)
    every, zeros = torch.arange(count, device=lm.device), torch.zeros(count, dtype=torch.long, device=lm.device)
    said: list[list[int]] = [[] for _ in range(count)]
    going = [True] * count
    for _ in range(min(most, lm.window - past.get_seq_length())):
        with torch.inference_mode():
            logits = lm.logits_at(own, ids, every, zeros).cpu()  # (count, vocab)
        chosen = logits.argmax(dim=-1)
        if samples:
            chosen[1:] = torch.multinomial(torch.softmax(logits[1:], dim=-1), 1, generator=generator)[:, 0]
        for number, next_token in enumerate(chosen.tolist()):
            going[number] = going[number] and next_token not in lm.stop_tokens
            if going[number]:
                said[number].append(next_token)
        if not any(going):
            break
        ids = chosen[:, None].to(lm.device)
    return [lm.decode(tokens) for tokens in said]


def lens_words(lm: LanguageModel, states: Float[Tensor, "layers positions d_model"]) -> str:
    """The LENS likeliest next tokens at each position, in each layer of the second half, as one text. Logit lens: core.probes.hears."""
    flat = states[len(states) // 2 :].flatten(0, 1)  # (layers * positions, d_model)
    found: list[int] = []
    for part in flat.split(max(1, min(CHUNK, lm.window))):
        with torch.inference_mode():
            found += read(lm, part).topk(min(LENS, lm.vocab_size), dim=-1).indices.flatten().tolist()
    return " ".join(lm.token_text(token) for token in found)
