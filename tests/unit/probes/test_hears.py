"""What the model hears in a prompt alone: the lens at the output is the model's own logits, and nothing stays behind."""

import pytest
import torch
from tiny_models import ARCHITECTURES, make, random_prefix, soft_prompt, tokenizer
from transformers import AutoModelForCausalLM, DynamicCache, OPTConfig

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.prefix import no_prefix
from core.probes.hears import Continuation, Lens, hear, read, said_alone
from core.scoring.contender import Contender

TEXT = "the quick brown fox jumps over"


def contender(lm, kind, count=4, template="{input}"):
    return Contender("it", kind, template, random_prefix(lm, kind, count) if kind != "none" else no_prefix())


def embedded(lm, ids):
    return soft_prompt(lm.embed(torch.tensor(ids)).float())


def lens_of(lm, made, k=5):
    *nothing, found = hear(lm, made, k)
    assert isinstance(found, Lens) and all(one is None for one in nothing)
    return found


def own_logits(lm, ids):
    with torch.inference_mode():
        return lm.model(input_ids=torch.tensor([ids])).logits[0].float()  # (tokens, vocab)


def pre_hooks(lm):
    return sum(len(part._forward_pre_hooks) for part in lm.model.modules())


OPT = OPTConfig(
    vocab_size=352, hidden_size=32, word_embed_proj_dim=32, ffn_dim=48, num_hidden_layers=2, num_attention_heads=4, init_std=0.2
)


@pytest.mark.parametrize("arch", [*ARCHITECTURES, "opt"])  # OPT's last norm is deeper in the model
def test_the_last_layers_reading_is_the_models_own_at_every_position_and_token(tiny, arch):
    lm = tiny(arch) if arch != "opt" else LanguageModel(AutoModelForCausalLM.from_config(OPT), tokenizer(), "tiny-opt")
    ids = lm.tokenise(TEXT)
    found = lens_of(lm, Contender("x", "prompt", "{input}", embedded(lm, ids)), k=lm.model.config.vocab_size)
    shares = torch.softmax(own_logits(lm, ids), dim=-1)
    assert found.ids.shape == (len(ids), lm.layers + 1, lm.model.config.vocab_size)
    read_as = torch.zeros_like(shares).scatter(1, torch.from_numpy(found.ids[:, -1]), torch.from_numpy(found.probability[:, -1]))
    torch.testing.assert_close(read_as, shares, atol=1e-5, rtol=1e-3)
    entropy = -(shares * shares.log()).nan_to_num().sum(dim=-1)
    assert found.entropy[:, -1] == pytest.approx(entropy.numpy(), abs=1e-3)
    assert found.probability.sum(axis=-1) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("pieces", [1, 3, 5, 15])
def test_a_reading_in_pieces_is_the_same(monkeypatch, pieces):
    lm = make("gpt2")
    prompt = contender(lm, "prompt", 5)  # 5 positions x 3 layers
    whole = lens_of(lm, prompt)
    vocab = lm.model.config.vocab_size
    monkeypatch.setattr("core.probes.hears.MOST_LOGITS", vocab * 15 // pieces)
    found = list(hear(lm, prompt))
    assert len(found) == pieces + 1
    assert (found[-1].ids == whole.ids).all() and found[-1].entropy == pytest.approx(whole.entropy, abs=1e-5)


def test_a_model_that_caps_its_logits_is_read_with_its_cap():
    plain, capped = make("gemma3"), make("gemma3", final_logit_softcapping=0.5)
    ids = plain.tokenise(TEXT)
    one, other = (lens_of(lm, Contender("x", "prompt", "{input}", embedded(lm, ids))) for lm in (plain, capped))
    wanted = torch.softmax(own_logits(capped, ids)[-1], dim=0).max().item()
    assert other.probability[-1, -1, 0] == pytest.approx(wanted, abs=1e-5)
    assert one.probability[-1, -1, 0] > 2 * wanted


def test_before_the_first_layer_the_vector_itself_is_read(tiny):
    lm = tiny("llama")
    prompt = Contender("x", "prompt", "{input}", embedded(lm, lm.tokenise(TEXT)))
    with torch.inference_mode():
        direct = torch.softmax(lm.model.lm_head(lm.model.model.norm(prompt.prefix.array())), dim=1).topk(5)
    found = lens_of(lm, prompt)
    assert found.ids[:, 0].tolist() == direct.indices.tolist()
    assert found.probability[:, 0] == pytest.approx(direct.values.numpy(), abs=1e-5)


@pytest.mark.parametrize(
    "kind, before, alone",
    [("prompt", ("1", "2", "3", "4"), ()), ("prefix", (), ("⏎ after the prefix",)), ("none", (), ("⏎",))],
)
def test_positions_have_their_names(tiny, kind, before, alone):
    lm = tiny("llama")
    words = tuple(lm.tokenizer.decode([token]) for token in lm.tokenise("Word:"))
    assert lens_of(lm, contender(lm, kind)).names == before + alone
    assert lens_of(lm, contender(lm, kind, template="Word: {input}")).names == before + words


@pytest.mark.parametrize("placement", ["before", "after"])
def test_bos_is_where_the_placement_puts_it(tiny, placement):
    lm = tiny("llama", bos=True)
    prompt = Contender("x", "prompt", "{input}", random_prefix(lm, "prompt", 2), placement)
    assert lens_of(lm, prompt).names == {"before": ("1", "2", "<bos>"), "after": ("<bos>", "1", "2")}[placement]


@pytest.mark.parametrize("bos", [False, True])
def test_a_kv_prefix_and_no_prompt_are_read_at_the_same_token(tiny, bos):
    lm = tiny("llama", bos=bos)
    prefix, nothing = (lens_of(lm, contender(lm, kind)) for kind in ("prefix", "none"))
    assert nothing.names == (*["<bos>"] * bos, "⏎") and prefix.names == (*["<bos>"] * bos, "⏎ after the prefix")
    own = torch.softmax(own_logits(lm, [*lm.lead, *lm.tokenise("\n")])[-1], dim=0).topk(5)
    assert nothing.ids[-1, -1].tolist() == own.indices.tolist()
    assert (nothing.ids[-1, 0] == prefix.ids[-1, 0]).all()  # what goes into the first layer knows of no prefix
    assert abs(nothing.entropy[-1, -1] - prefix.entropy[-1, -1]) > 1e-3


def test_a_prompt_in_words_is_read_as_its_tokens(tiny):
    lm = tiny("gpt2")
    written = lens_of(lm, Contender("x", "handcrafted", TEXT + " {input}", no_prefix()))
    soft = lens_of(lm, Contender("x", "prompt", "{input}", embedded(lm, lm.tokenise(TEXT))))
    assert (written.ids[-1, -1] == soft.ids[-1, -1]).all()
    assert written.probability[-1] == pytest.approx(soft.probability[-1], abs=1e-4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_texts_embeddings_are_continued_as_the_text(tiny, arch):
    lm = tiny(arch)
    ids = lm.tokenise(TEXT)
    said = list(said_alone(lm, Contender("x", "prompt", "{input}", embedded(lm, ids)), most=6, samples=0))
    whole = list(lm.generate(DynamicCache(), torch.tensor(ids), 6))
    assert [one.tokens for one in said] == [tuple(whole[: i + 1]) for i in range(len(whole))]
    text = lm.tokenizer.decode(whole, clean_up_tokenization_spaces=False)
    assert said[-1] == Continuation("greedy", 0, text, tuple(whole))


def test_samples_depend_on_their_seed_alone(tiny):
    lm = tiny("llama")
    prompt = contender(lm, "prompt")
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


def test_samples_without_heat_are_the_greedy_continuation(tiny):
    lm = tiny("llama")
    said = list(said_alone(lm, contender(lm, "prompt"), most=5, samples=2, temperature=1e-4))
    last = {(one.kind, one.number): one.tokens for one in said}
    assert len(last) == 3 and len(set(last.values())) == 1  # each goes on from the prompt, not from the one before it


def test_a_continuation_ends_before_a_stop_token_and_with_the_window():
    lm = make("llama")
    prompt = contender(lm, "prompt")
    *_, free = said_alone(lm, prompt, most=6, samples=0)
    stop = free.tokens[3]
    lm.stop_tokens = {stop}
    said = list(said_alone(lm, prompt, most=6, samples=0))
    assert [one.tokens for one in said][-1:] == [free.tokens[: free.tokens.index(stop)]]
    lm.stop_tokens = set()
    *_, last = said_alone(lm, contender(lm, "prompt", lm.window - 2), most=9, samples=0)
    assert len(last.tokens) == 3  # two are run, and the last needs no room


def test_nothing_stays_on_the_model(monkeypatch):
    lm = make("llama")
    for _ in hear(lm, contender(lm, "prompt")):
        assert pre_hooks(lm) == 0  # while others take their turns
    for _ in said_alone(lm, contender(lm, "prompt"), most=2, samples=1):
        assert pre_hooks(lm) == 0
    with pytest.raises(RuntimeError):
        read(lm, torch.zeros(3, lm.d_model + 1))
    assert pre_hooks(lm) == 0

    def fail(*_, **__):
        assert pre_hooks(lm) > 0
        raise RuntimeError

    monkeypatch.setattr(lm.model.model.layers[1], "forward", fail)
    with pytest.raises(RuntimeError):
        list(hear(lm, contender(lm, "prompt")))
    assert pre_hooks(lm) == 0


def test_what_cannot_be_read_is_refused(tiny, monkeypatch):
    lm = tiny("llama")
    with pytest.raises(LabError, match="longer than the model's 160 positions"):
        list(hear(lm, contender(lm, "prompt", 161)))
    monkeypatch.setattr("core.probes.hears.NORMS", ())
    with pytest.raises(LabError, match="its last norm isn't found"):
        list(hear(lm, contender(lm, "prompt")))
