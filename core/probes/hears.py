"""What a prompt alone makes the model say: the next token at each position, layer by layer, and continuations.

The layers are read by the logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): a layer's state is put through
the model's own last norm and output head. Only the last layer was trained to be read so.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from core.errors import LabError, shown
from core.events import Event
from core.models.language_model import LanguageModel
from core.models.past import Past, expand
from core.scoring.contender import Contender
from core.scoring.prepared import Prepared

NEUTRAL = "\n"  # what is run after a prompt that runs no tokens itself
CHUNK = 64  # states read together, fewer where the vocabulary is large
MOST_LOGITS = 2**22  # held together: 16 MB
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm", "norm_f")


@dataclass(frozen=True, eq=False)
class Lens(Event):
    """The k likeliest next tokens at every position and layer. names: of the positions: a number from 1 for a learned vector.

    vectors: the positions of the learned vectors, none for a K/V prefix, which has no position of its own.
    Layer 0 is what goes into the first layer, the last one the model's output. entropy: of the whole distribution, in nats.
    texts: of all ids named.
    """

    names: tuple[str, ...]
    vectors: range
    ids: Int[np.ndarray, "positions layers k"]
    probability: Float[np.ndarray, "positions layers k"]
    entropy: Float[np.ndarray, "positions layers"]
    texts: dict[int, str]


@dataclass(frozen=True)
class Continuation(Event):
    """How the model continues from the prompt alone, so far. kind: greedy or sampled. number: of the sample, from 0.

    tokens: the ids that `text` is made of.
    """

    kind: str
    number: int
    text: str
    tokens: tuple[int, ...]


def hear(lm: LanguageModel, contender: Contender, k: int = 5) -> Iterator[Lens | None]:
    """Read the prompt alone, with no input: yields None between pieces, and at last a `Lens`. float32.

    The prompt is its vectors, and the words that its template has before the input. A K/V prefix without such words has no
    position of its own to be read: a line break is run after it, as it is where there is no prompt at all, so that the two
    can be compared. Raises LabError for a model whose last norm isn't found, or a prompt longer than its window.
    """
    lm = lm.for_scoring
    states, names, vectors, _ = _run(lm, contender)
    layers, positions, _ = states.shape
    flat = states.flatten(0, 1)  # (layers * positions, d_model)
    ids, shares, entropies = [], [], []
    vocab = lm.model.get_input_embeddings().num_embeddings
    for part in flat.split(max(1, min(CHUNK, lm.window, MOST_LOGITS // vocab))):
        with torch.inference_mode():
            logs = torch.log_softmax(read(lm, part), dim=-1)  # (part, vocab)
            best = logs.topk(min(k, logs.shape[1]), dim=-1)
            entropies.append(-(logs.exp() * logs).nan_to_num().sum(dim=-1).cpu())  # 0 log 0 is 0
        ids.append(best.indices.cpu())
        shares.append(best.values.exp().cpu())
        yield None

    def table(parts: list[Tensor]) -> np.ndarray:
        whole = torch.cat(parts)
        return whole.view(layers, positions, *whole.shape[1:]).transpose(0, 1).numpy()

    named = table(ids)
    texts = {int(token): lm.token_text(int(token)) for token in np.unique(named)}
    yield Lens(names, vectors, named, table(shares), table(entropies), texts)


def said_alone(
    lm: LanguageModel, contender: Contender, most: int = 24, samples: int = 3, temperature: float = 1.0, seed: int = 0
) -> Iterator[Continuation]:
    """Continue from the prompt alone, once greedily and `samples` times sampled: yields the text so far, a token at a time.

    Each sample has its own generator on the CPU, so it depends on `seed` alone. Ends before a stop token, or at the end of the
    model's window. float32. Raises LabError as `hear` does.
    """
    lm = lm.for_scoring
    states, _, _, cache = _run(lm, contender)
    with torch.inference_mode():
        first = read(lm, states[-1, -1:])[0]  # (vocab,)
    for number in range(-1, samples):
        generator = torch.Generator().manual_seed(2**20 * seed + number) if number >= 0 else None
        own, logits, said = expand(cache, 1), first, list[int]()
        for _ in range(most):
            if said:
                if own.get_seq_length() + 1 > lm.window:
                    break
                zero = torch.zeros(1, dtype=torch.long, device=lm.device)
                with torch.inference_mode():
                    logits = lm.logits_at(own, torch.tensor([said[-1:]], device=lm.device), zero, zero)[0]
            token = _choose(logits, temperature, generator)
            if token in lm.stop_tokens:
                break
            said.append(token)
            text = lm.decode(said)
            yield Continuation("sampled" if generator else "greedy", max(number, 0), text, tuple(said))


def read(lm: LanguageModel, states: Float[Tensor, "states d_model"]) -> Float[Tensor, "states vocab"]:
    """Logits of hidden states: through the model's last norm, its output head, and any change to the logits after it.

    The model itself is run on as many arbitrary tokens, and its inputs to the last norm are replaced by the states.
    """
    _, norm = layers_and_norm(lm)
    hook = norm.register_forward_pre_hook(lambda _, inputs: (states[None].to(inputs[0].dtype), *inputs[1:]))
    count = torch.arange(len(states), device=lm.device)
    try:
        return lm.logits_at(lm.nothing(), torch.zeros_like(count)[None], torch.zeros_like(count), count)
    finally:
        hook.remove()


def states_alone(lm: LanguageModel, contender: Contender) -> Float[Tensor, "layers positions d_model"]:
    """The states before every layer and after the last, of the prompt alone as in `hear`. float32. Raises LabError as `hear` does."""
    return _run(lm.for_scoring, contender)[0]


def states_of_vectors(lm: LanguageModel, contender: Contender) -> Float[Tensor, "layers vectors d_model"]:
    """The states at the learned vectors' own positions, before every layer and after the last. float32.

    Index 0 is the vectors themselves, without what some models add for the position. LabError for a prompt without such vectors, and as
    in `hear`.
    """
    if not contender.prefix.method.in_embedding_space:
        raise LabError(f"{shown(contender.name)} has no input vectors, so it has no states to put elsewhere: choose a soft prompt.")
    states, _, own, _ = _run(lm.for_scoring, contender)
    found = states[:, own.start : own.stop].clone()
    found[0] = contender.prefix.array().detach()
    return found


def _run(lm: LanguageModel, contender: Contender) -> tuple[Float[Tensor, "layers positions d_model"], tuple[str, ...], range, Past]:
    """The states before every layer and after the last, the positions' names, which are learned, and the filled cache of batch 1."""
    words = lm.tokenise(contender.template.split("{input}")[0].rstrip(" "))
    soft = contender.prefix.method.in_embedding_space
    lead = list(lm.lead)
    neutral = not words and not soft
    words = lm.tokenise(NEUTRAL) if neutral else words
    shared = (*lead, *words)
    if contender.prefix.virtual_tokens + len(shared) > lm.window:
        raise LabError(f"The prompt alone is longer than the model's {lm.window} positions: use a shorter one.")
    with torch.inference_mode(), _caught(lm) as states:
        cache = Prepared(contender.prefix, contender.placement, shared, (), len(lead)).fill(lm)
        lm.run_past(cache)
    virtual = [str(i + 1) for i in range(contender.prefix.virtual_tokens)] if soft else []
    texts = [lm.token_text(token) for token in shared]
    if neutral:
        texts[-1] = "⏎ after the prefix" if contender.prefix.virtual_tokens else "⏎"
    before = len(lead) if contender.placement == "after" else 0
    return torch.stack(states), (*texts[:before], *virtual, *texts[before:]), range(before, before + len(virtual)), cache


@contextmanager
def _caught(lm: LanguageModel) -> Iterator[list[Tensor]]:
    """Within: the list fills with the states before each layer, and before the last norm, (positions, d_model) each."""
    states: list[Tensor] = []

    def catch(_: nn.Module, args: tuple, kwargs: dict) -> None:
        state = args[0] if args else kwargs["hidden_states"]
        states.append(state[0].detach().float())

    with ExitStack() as stack:
        layers, norm = layers_and_norm(lm)
        for module in (*layers, norm):
            stack.callback(module.register_forward_pre_hook(catch, with_kwargs=True).remove)
        yield states


def layers_and_norm(lm: LanguageModel) -> tuple[nn.ModuleList, nn.Module]:
    """The list of the decoder's layers, and the last norm."""
    for module in lm.model.modules():
        parts = dict(module.named_children())
        layers = next((part for part in parts.values() if isinstance(part, nn.ModuleList) and len(part) == lm.layers), None)
        norm = next((parts[name] for name in NORMS if name in parts), None)
        if layers is not None and norm is not None:
            return layers, norm
    raise LabError(f"What the model {shown(lm.name)} hears can't be read: its last norm isn't found. Choose another model for this.")


def _choose(logits: Float[Tensor, " vocab"], temperature: float, generator: torch.Generator | None) -> int:
    if generator is None:
        return int(logits.argmax())
    return int(torch.multinomial(torch.softmax(logits.cpu() / temperature, dim=0), 1, generator=generator))
