"""What the model hears in a prompt alone: the lens at the output is the model's own logits, and nothing stays behind."""

import pytest
import torch
from tiny_models import ARCHITECTURES, make, random_prefix
from transformers import DynamicCache

from core.errors import LabError
from core.prefix import NoPrefix, SoftPrompt
from core.probes.hears import Continuation, Lens, hear, read, said_alone
from core.scoring import Contender

TEXT = "the quick brown fox jumps over"


def contender(lm, kind, count=4, template="{input}"):
    return Contender("it", kind, template, random_prefix(lm, kind, count) if kind != "none" else NoPrefix())


def embedded(lm, ids):
    return SoftPrompt(lm.embed(torch.tensor(ids)).float())


def lens_of(lm, made, k=5):
    *nothing, found = hear(lm, made, k)
    assert isinstance(found, Lens) and all(one is None for one in nothing)
    return found


def own_logits(lm, ids):
    with torch.inference_mode():
        return lm.model(input_ids=torch.tensor([ids])).logits[0, -1].float()


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_last_layers_reading_is_the_models_own(arch):
    lm = make(arch)
    ids = lm.tokenise(TEXT)
    found = lens_of(lm, Contender("x", "soft", "{input}", embedded(lm, ids)), k=lm.model.config.vocab_size)
    shares = torch.softmax(own_logits(lm, ids), dim=0)
    top = shares.topk(5)
    assert found.ids.shape[:2] == (len(ids), lm.layers + 1)
    assert found.ids[-1, -1, :5].tolist() == top.indices.tolist()
    assert found.probability[-1, -1, :5].tolist() == pytest.approx(top.values.tolist(), abs=1e-4)
    assert found.entropy[-1, -1] == pytest.approx(-(shares * shares.log()).sum().item(), abs=1e-3)
    assert found.probability.sum(axis=-1) == pytest.approx(1, abs=1e-3)


def test_a_model_that_caps_its_logits_is_read_with_its_cap():
    plain, capped = make("gemma3"), make("gemma3", final_logit_softcapping=0.5)
    ids = plain.tokenise(TEXT)
    one, other = (lens_of(lm, Contender("x", "soft", "{input}", embedded(lm, ids))) for lm in (plain, capped))
    wanted = torch.softmax(own_logits(capped, ids), dim=0).max().item()
    assert other.probability[-1, -1, 0] == pytest.approx(wanted, abs=1e-5)
    assert one.probability[-1, -1, 0] > 2 * wanted


def test_before_the_first_layer_the_vector_itself_is_read():
    lm = make("llama")
    prompt = contender(lm, "soft")
    direct = lm.model.lm_head(lm.model.model.norm(prompt.prefix.vectors))
    best = lens_of(lm, prompt).ids[:, 0, 0].tolist()
    assert best == direct.argmax(dim=1).tolist()


@pytest.mark.parametrize("kind", ["soft", "prefix", "none"])
def test_positions_have_their_names(kind):
    lm = make("llama")
    assert lens_of(lm, contender(lm, kind)).names == {"soft": ("1", "2", "3", "4"), "prefix": ("\n",), "none": ("\n",)}[kind]
    words = lens_of(lm, contender(lm, kind, template="Word: {input}")).names
    assert "".join(words).endswith("Word:") and words[:4] == (("1", "2", "3", "4") if kind == "soft" else words[:4])


def test_a_prompt_in_words_is_read_as_its_tokens():
    lm = make("gpt2")
    written = lens_of(lm, Contender("x", "handcrafted", TEXT + " {input}", NoPrefix()))
    soft = lens_of(lm, Contender("x", "soft", "{input}", embedded(lm, lm.tokenise(TEXT))))
    assert (written.ids[-1, -1] == soft.ids[-1, -1]).all()
    assert written.probability[-1] == pytest.approx(soft.probability[-1], abs=1e-4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_going_on_from_a_texts_embeddings_is_going_on_from_the_text(arch):
    lm = make(arch)
    ids = lm.tokenise(TEXT)
    said = list(said_alone(lm, Contender("x", "soft", "{input}", embedded(lm, ids)), most=6, samples=0))
    whole = lm.tokenizer.decode(list(lm.generate(DynamicCache(), torch.tensor(ids), 6)), clean_up_tokenization_spaces=False)
    assert said[-1] == Continuation("greedy", 0, whole)


def test_samples_depend_on_their_seed_alone():
    lm = make("llama")
    prompt = contender(lm, "soft")
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(said_alone(lm, prompt, most=5, samples=2, seed=3))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert list(said_alone(lm, prompt, most=5, samples=2, seed=3)) == first
    assert list(said_alone(lm, prompt, most=5, samples=2, seed=4)) != first
    assert {(one.kind, one.number) for one in first} == {("greedy", 0), ("sampled", 0), ("sampled", 1)}
    last = {one.number: one.text for one in first if one.kind == "sampled"}
    assert last[0] != last[1]


def test_nothing_stays_on_the_model():
    lm = make("llama")
    hooks = lambda: sum(len(part._forward_pre_hooks) for part in lm.model.modules())  # noqa: E731
    list(hear(lm, contender(lm, "soft")))
    with pytest.raises(RuntimeError):
        read(lm, torch.zeros(3, lm.d_model + 1))
    assert hooks() == 0


def test_a_prompt_longer_than_the_window_is_refused():
    lm = make("llama")
    with pytest.raises(LabError, match="longer than the model's 160 positions"):
        list(hear(lm, contender(lm, "soft", 161)))
