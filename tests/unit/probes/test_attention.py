"""Where attention goes: weights worked by hand, words against their own keys and values, and Petrov's identity."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, EXAMPLES, answer_task, kv_prefix, label_task, make, random_prefix, soft_prompt, tokenizer
from zoo import build

from core.errors import LabError
from core.inspection.attention import mean, petrov_residual, shares
from core.inspection.kv import against, norms
from core.models.language_model import LanguageModel
from core.prefix import no_prefix
from core.probes.attention import attention_of, draw, petrov
from core.scoring.contender import Contender, bare, handcrafted

WORDS = (" the", " sea", " shore")
FIELDS = ("sink", "prefix", "rest", "by_token")


def word_ids(lm):
    ids = [token for word in WORDS for token in lm.tokenise(word)]
    assert len(ids) == len(WORDS)
    return ids


def whole(lm, contender, **more):
    """The mean over all rows, whose inputs begin with different tokens."""
    *_, last = attention_of(lm, contender, EXAMPLES, None, **more)
    return last


def assert_same(one, other, tolerance=1e-5):
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=tolerance)


def test_shares_and_their_mean_worked_by_hand():
    weights = np.array([[[0.4, 0.1, 0.2, 0.3], [0.1, 0.2, 0.3, 0.4]]])  # one layer, two heads
    first = shares(weights, 0, 3)
    np.testing.assert_allclose([first.sink[0], first.prefix[0], first.rest[0]], [[0.4, 0.1], [0.3, 0.5], [0.3, 0.4]])
    assert first.by_token.tolist() == weights[..., :3].tolist()
    later = shares(weights, 1, 2)
    np.testing.assert_allclose([later.sink[0], later.prefix[0], later.rest[0]], [[0.4, 0.1], [0.3, 0.5], [0.3, 0.4]])
    last = shares(weights, 3, 1)
    np.testing.assert_allclose([last.prefix[0], last.rest[0]], [[0.3, 0.4], [0.3, 0.5]])
    nothing = shares(weights, 0, 0)
    np.testing.assert_allclose([nothing.sink[0], nothing.prefix[0], nothing.rest[0]], [[0.4, 0.1], [0, 0], [0.6, 0.9]])
    with pytest.raises(ValueError, match="2 to 4"):
        shares(weights, 2, 3)
    found = shares(np.array([[[0.75, 0.25]]]), 0, 1)
    assert (found.sink.item(), found.prefix.item(), found.rest.item(), found.by_token.item()) == (
        0.75,
        0.0,
        0.25,
        0.75,
    )
    one, other = (shares(np.array([[row]]), 1, 1) for row in ([0.5, 0.5], [0.0, 0.5, 0.5]))
    found = mean([one, other])
    assert (found.sink.item(), found.prefix.item(), found.rest.item()) == (0.25, 0.5, 0.25)
    with pytest.raises(ValueError, match="no rows"):
        mean([])


def test_the_residual_is_the_largest_departure_of_a_layer():
    generator = np.random.default_rng(0)
    alone = np.tril(np.ones((2, 1, 3, 3))) / np.arange(1, 4)[:, None]
    taken = generator.dirichlet(np.ones(3), (2, 1, 3))[..., :2]  # what the prefix's two positions get, below 1 together
    after = np.concatenate([taken, alone * (1 - taken.sum(axis=-1, keepdims=True))], axis=-1)
    np.testing.assert_allclose(petrov_residual(after, alone, 2), [0, 0], atol=1e-12)
    after[1, 0, 2, 2:] += [-0.125, 0.0, 0.125]
    np.testing.assert_allclose(petrov_residual(after, alone, 2), [0, 0.125], atol=1e-12)
    with pytest.raises(ValueError, match="5 keys"):
        petrov_residual(after, alone, 1)


def test_lengths_of_keys_and_values_by_layer_and_head():
    values = np.zeros((2, 2, 2, 2, 3), dtype=np.float32)
    values[1, 0, 0, 1] = [3, 0, 4]  # layer 1, keys, token 0, head 1
    values[0, 1, :, 0] = [0, 2, 0]
    expected = np.zeros((2, 2, 2))
    expected[1, 0, 1], expected[0, 1, 0] = 2.5, 2.0
    np.testing.assert_allclose(norms(values), expected)
    real = np.random.default_rng(0).standard_normal((2, 2, 5, 2, 3)).astype(np.float32)
    np.testing.assert_allclose(against(real[:, :, :1].repeat(3, axis=2) * 0, real), np.zeros((2, 2, 2)))
    np.testing.assert_allclose(against(np.float32(3) * real, real), np.full((2, 2, 2), 3.0), rtol=1e-6)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_shares_sum_to_one_row_by_row(tiny, arch, kind):
    lm = tiny(arch)
    contender = Contender("learned", kind, "{input}", random_prefix(lm, kind, 3))
    for n, found in enumerate(attention_of(lm, contender, EXAMPLES, None), start=1):
        one = found.shares
        assert found.n == n and found.tokens == ("1", "2", "3") and one.by_token.shape == (lm.layers, 4, 3)
        np.testing.assert_allclose(one.sink + one.prefix + one.rest, 1, atol=1e-5)
        np.testing.assert_allclose(one.by_token.sum(axis=-1), one.sink + one.prefix, atol=1e-5)
        assert (one.by_token >= 0).all()
    assert n == len(EXAMPLES)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_attention_is_what_one_plain_pass_over_each_whole_text_gives(arch):
    lm = make(arch)
    lm.model.set_attn_implementation("eager")
    rows = []
    for example in EXAMPLES:
        ids = torch.tensor([lm.tokenise("".join(WORDS) + " " + example.input)])
        with torch.no_grad():
            maps = lm.model(input_ids=ids, output_attentions=True).attentions
        rows.append(torch.cat(maps)[:, :, -1].numpy())
    expected = mean([shares(row, 0, 3) for row in rows])
    lm.model.set_attn_implementation("sdpa")
    found = whole(lm, handcrafted("text", "".join(WORDS) + " {input}"))
    assert_same(found.shares, expected)
    assert found.tokens == WORDS


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_a_prefix_made_of_words_gets_the_words_own_attention(tiny, arch, kind):
    lm = tiny(arch)
    ids = word_ids(lm)
    prefix = soft_prompt(lm.embed(torch.tensor(ids))) if kind == "prompt" else kv_prefix(lm.keys_values(ids))
    found = whole(lm, Contender("learned", kind, " {input}", prefix))
    assert_same(found.shares, whole(lm, handcrafted("text", "".join(WORDS) + " {input}")).shares)
    assert not np.allclose(found.shares.prefix, whole(lm, handcrafted("text", " good and red {input}"), count=3).shares.prefix, atol=1e-3)


def test_behind_bos_the_sink_is_bos_for_vectors_and_words_alike():
    lm = make("llama", bos=True)
    vectors = soft_prompt(lm.embed(torch.tensor(word_ids(lm))))
    learned = whole(lm, Contender("learned", "prompt", " {input}", vectors, placement="after"))
    words = whole(lm, handcrafted("text", "".join(WORDS) + " {input}"), count=3)
    assert_same(learned.shares, words.shares)
    assert words.tokens == WORDS
    np.testing.assert_allclose(words.shares.by_token.sum(axis=-1), words.shares.prefix, atol=1e-6)  # no sink among them
    everything = whole(lm, handcrafted("text", "".join(WORDS) + " {input}"))
    assert everything.tokens == ("<bos>", *WORDS)
    np.testing.assert_allclose(everything.shares.by_token[..., 0], words.shares.sink, atol=1e-6)
    np.testing.assert_allclose(everything.shares.prefix, words.shares.prefix, atol=1e-6)


def test_of_a_handcrafted_prompt_the_last_words_count(tiny):
    lm = tiny("llama")
    text = handcrafted("text", "".join(WORDS) + " {input}")
    two, many = whole(lm, text, count=2), whole(lm, text, count=50)
    assert two.tokens == WORDS[1:] and many.tokens == WORDS
    np.testing.assert_allclose(two.shares.by_token, many.shares.by_token[..., 1:])
    np.testing.assert_allclose(two.shares.prefix, many.shares.prefix)  # the first word was the sink
    none = whole(lm, bare(answer_task()))
    assert none.tokens == () and none.shares.by_token.shape == (2, 4, 0) and (none.shares.prefix == 0).all()
    [found] = attention_of(lm, text, EXAMPLES, None, most=1)
    assert found.n == 1 and found.tokens == WORDS  # one row shares no more than all do


def test_rows_that_are_in_the_prompt_do_not_count(tiny):
    lm, task = tiny("llama"), label_task()
    contender = handcrafted("shown", "{input}\nLabel:")
    some = replace(contender, excluded=frozenset(example.key for example in task.held_out[:-2]))
    *_, last = attention_of(lm, some, task.held_out, task.labels)
    assert last.n == 2
    with pytest.raises(LabError, match="No rows are left"):
        next(attention_of(lm, replace(some, excluded=frozenset(e.key for e in task.held_out)), task.held_out, task.labels))


def test_a_draw_is_the_same_at_every_call_and_in_order():
    drawn = draw(range(200), 20)
    assert drawn == draw(range(200), 20) == sorted(set(drawn)) and len(drawn) == 20
    assert 60 < sum(drawn) / 20 < 140 and 4 < sum(number % 2 for number in drawn) < 16


def implementation(lm):
    return {module.config._attn_implementation for module in lm.model.modules() if hasattr(module, "config")}


def test_attention_is_fused_again_between_two_pieces_and_after_an_error(tiny):
    lm = tiny("gemma3")
    assert implementation(lm) == {"sdpa"}
    for _ in attention_of(lm, Contender("x", "prompt", "{input}", random_prefix(lm, "prompt", 2)), EXAMPLES, None):
        assert implementation(lm) == {"sdpa"}
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    petrov(lm, random_prefix(lm, "prompt", 2), [5, 6])
    assert implementation(lm) == {"sdpa"}
    with pytest.raises(ZeroDivisionError), lm.eager():
        assert implementation(lm) == {"eager"}
        _ = 1 / 0
    assert implementation(lm) == {"sdpa"}


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("count", [3, 12])  # Gemma's first layer looks back 8 positions: here some tokens see no vector
def test_a_prefix_takes_attention_from_all_alike_in_the_first_layer_only(tiny, arch, kind, count):
    lm = tiny(arch)
    residual = petrov(lm, random_prefix(lm, kind, count), list(range(20, 40)))
    assert residual.shape == (2,) and residual[0] < 1e-5 and residual[1] > 1e-2


def test_without_a_prefix_there_is_no_residual_and_at_other_positions_there_is(tiny):
    lm, tokens = tiny("gpt2"), torch.arange(20, 40)
    assert petrov(lm, no_prefix(), [5, 6, 7]).max() < 1e-6
    with torch.inference_mode():
        after = lm.attentions(random_prefix(lm, "prefix", 3).fill(lm), tokens).numpy()
        unmoved = lm.attentions(no_prefix().fill(lm), tokens).numpy()
    assert petrov_residual(after, unmoved, 3)[0] > 1e-3  # absolute positions: other inputs, even in the first layer


def test_what_cannot_be_run_is_refused(tiny, monkeypatch):
    lm = tiny("llama")
    with pytest.raises(LabError, match="no tokens"):
        petrov(lm, random_prefix(lm, "prompt", 3), [])
    with pytest.raises(LabError, match="161 positions"):
        petrov(lm, random_prefix(lm, "prompt", 3), [5] * 158)
    monkeypatch.setattr(LanguageModel, "eager", lambda _: nullcontext())
    with pytest.raises(LabError, match="no attention weights"):
        whole(lm, bare(answer_task()))


def test_a_model_that_cannot_switch_to_eager_attention_is_refused():
    """Falcon's weights would attend to tokens that come later."""
    lm = LanguageModel(build("falcon"), tokenizer(), "tiny-falcon")
    with torch.no_grad():
        assert lm.attentions(lm.nothing(), torch.arange(20, 30)).triu(1).sum() > 1
    contender = Contender("x", "prompt", "{input}", random_prefix(lm, "prompt", 3))
    with pytest.raises(LabError, match="weights that 'tiny-falcon' gives are not those that it computes with"):
        next(attention_of(lm, contender, EXAMPLES, None))
