"""On the real model: Petrov's identity, words against their own keys and values, and a prefix hidden from every layer."""

import numpy as np
import pytest
import torch
from tiny_models import kv_prefix

from core.models.past import expand
from core.probes.attention import attention_of, petrov
from core.probes.layers import hidden
from core.recipe import Recipe
from core.scoring.contender import Contender, handcrafted
from core.tasks.load import load_task
from core.training.start import create

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def task():
    return load_task("past-tense")


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_prefix_takes_attention_from_all_alike_in_the_first_layer_only(real, task, method):
    prefix = create(real, task, Recipe(task="past-tense", method=method, virtual_tokens=10))
    residual = petrov(real, prefix, real.tokenise("The past tense of the verb to carry is carried, and that of to sing is"))
    assert residual[0] < 1e-4 and residual[1:].max() > 0.05


def test_words_get_the_attention_of_their_own_keys_and_values(real, task):
    text = "The past tense of the verb"
    words = handcrafted("words", text + " {input} is")
    learned = Contender("their K/V", "prefix", " {input} is", kv_prefix(real.keys_values(real.tokenise(text))))
    rows = task.held_out[:6]
    (*_, one), (*_, other) = (attention_of(real, contender, rows, None, most=2) for contender in (words, learned))
    assert "".join(one.tokens) == text and len(other.tokens) == len(one.tokens) and one.n == other.n == 2
    np.testing.assert_allclose(other.shares.by_token, one.shares.by_token, atol=1e-4)
    np.testing.assert_allclose(one.shares.sink + one.shares.prefix + one.shares.rest, 1, atol=1e-5)
    assert one.shares.sink.mean() > 0.3  # a sink indeed: 1 of 9 positions or so


def test_hidden_from_every_layer_a_prefix_is_as_if_it_were_not_there(real):
    ids = torch.tensor([real.tokenise("The past tense of go is went, and of run it is")])
    prefix = kv_prefix(real.keys_values(real.tokenise("good and bad")))
    last = torch.tensor([ids.shape[1] - 1])
    with torch.inference_mode():
        alone = real.model(input_ids=ids).logits[0, -1:]  # its positions are relative, so there is no need to move them
        with hidden(real, range(real.layers), prefix.virtual_tokens):
            unseen = real.logits_at(expand(prefix.fill(real), 1), ids, last * 0, last)
        seen = real.logits_at(expand(prefix.fill(real), 1), ids, last * 0, last)
    torch.testing.assert_close(unseen, alone, atol=1e-2, rtol=1e-3)
    assert (seen - alone).abs().max() > 0.5
