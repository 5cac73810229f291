"""Where training starts: random numbers of the right size, real tokens, a text, or label words."""

import numpy as np
import pytest
from tiny_models import answer_task, label_task

from core.recipe import Recipe
from core.training.start import create, start_tokens


def test_a_random_start_has_the_spread_of_the_real_vectors_times_the_scale(tiny):
    lm = tiny("gemma3")  # whose embedding module scales
    for scale in (1.0, 0.25):
        found = create(lm, answer_task(), Recipe(init="random", init_scale=scale, virtual_tokens=200)).snapshot()
        assert found.std() == pytest.approx(scale * lm.vocabulary.std().item(), rel=0.05)
    kv = Recipe(method="prefix", init="random", virtual_tokens=200, init_scale=2.0)
    found = create(lm, answer_task(), kv).snapshot()
    real = lm.keys_values(lm.ordinary_tokens[:150].tolist()).numpy()
    for layer in range(lm.layers):
        for half in range(2):
            assert found[layer, half].std() == pytest.approx(2 * real[layer, half].std(), rel=0.25)


def test_a_start_from_the_vocabulary_is_made_of_ordinary_tokens(tiny):
    lm, recipe = tiny("gemma3"), Recipe(virtual_tokens=50)
    ids = start_tokens(lm, answer_task(), recipe)
    assert len(ids) == 50 and set(ids) <= set(lm.ordinary_tokens.tolist())
    assert not set(ids) & set(lm.tokenizer.all_special_ids)
    assert np.array_equal(create(lm, answer_task(), recipe).snapshot(), lm.vocabulary[ids].numpy())
    kv = create(lm, answer_task(), recipe.but(method="prefix")).snapshot()
    assert np.array_equal(kv, lm.keys_values(ids).numpy())


def test_a_start_from_labels_begins_with_the_label_words(tiny):
    lm = tiny("llama")
    recipe = Recipe(init="labels", virtual_tokens=12)
    words = list(dict.fromkeys([*lm.tokenise(" bad"), *lm.tokenise(" very good")]))
    assert len(words) < 12
    ids = start_tokens(lm, label_task(), recipe)
    assert ids[: len(words)] == words and len(ids) == 12
    assert start_tokens(lm, label_task(), recipe.but(virtual_tokens=1)) == words[:1]
    answers = start_tokens(lm, answer_task(), recipe)  # without label words: the training rows' answers
    assert answers[0] == lm.tokenise(" yes")[0]


@pytest.mark.parametrize("init", ["text", "vocab"])
def test_an_mlp_starts_exactly_where_the_plain_prefix_does(tiny, init):
    lm = tiny("qwen3")
    recipe = Recipe(method="prefix", init=init, init_text="the quick brown fox", virtual_tokens=6)
    plain, made = create(lm, answer_task(), recipe), create(lm, answer_task(), recipe.but(mlp=8))
    assert "start" in dict(made.named_buffers())
    assert np.array_equal(made.snapshot(), plain.snapshot())
    out = lm.layers * 2 * lm.kv_heads * lm.head_dim
    assert made.parameter_count() == 6 * lm.d_model + 8 * lm.d_model + 8 + out * 8 + out
    assert plain.parameter_count() == 6 * out
    random = create(lm, answer_task(), recipe.but(init="random", mlp=8)).snapshot()
    assert np.isfinite(random).all() and random.std() > 0.01
