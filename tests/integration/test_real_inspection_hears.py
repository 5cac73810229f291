"""On the real model: a soft prompt made of a text's embeddings is heard as the text, and goes on as the text does."""

import pytest
import torch
from tiny_models import kv_prefix, soft_prompt

from core.probes.hears import hear, said_alone
from core.scoring.contender import Contender

pytestmark = pytest.mark.real

TEXT = "The capital of France is"


@pytest.fixture(scope="module")
def prompt(real):
    return Contender("France", "prompt", "{input}", soft_prompt(real.embed(torch.tensor(real.tokenise(TEXT)))))


def test_after_the_capital_of_france_is_the_model_says_paris(real, prompt):
    *_, found = hear(real, prompt)
    own = torch.softmax(real.model(input_ids=torch.tensor([real.tokenise(TEXT)])).logits[0, -1], dim=0).topk(5)
    assert found.texts[int(found.ids[-1, -1, 0])] == " Paris"
    assert found.ids[-1, -1].tolist() == own.indices.tolist()
    assert found.probability[-1, -1] == pytest.approx(own.values.numpy(), abs=1e-4)
    assert found.ids.shape == (5, real.layers + 1, 5)


def test_it_goes_on_with_paris(real, prompt):
    said = list(said_alone(real, prompt, most=3, samples=0))
    assert said[0].text == " Paris" and len(said[-1].tokens) == 3


def test_a_texts_keys_and_values_are_heard_as_the_text_and_a_line_break(real):
    ids = real.tokenise(TEXT)
    *_, found = hear(real, Contender("France", "prefix", "{input}", kv_prefix(real.keys_values(ids))))
    own = torch.softmax(real.model(input_ids=torch.tensor([[*ids, *real.tokenise("\n")]])).logits[0, -1], dim=0).topk(5)
    assert found.names == ("⏎ after the prefix",)
    assert found.ids[-1, -1].tolist() == own.indices.tolist()
