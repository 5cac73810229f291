"""The plain way, for models whose cache can't be filled by hand: everything works as with a cache, but for K/V prefixes."""

import numpy as np
import pytest
import torch
from plain import plain_loss, relative_error
from tiny_models import EXAMPLES, answer_task, label_task, random_prefix, tokenizer
from transformers import AutoModelForCausalLM, MambaConfig

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.past import Vectors, expand
from core.prefix import no_prefix
from core.probes.attention import attention_of
from core.probes.hears import hear, said_alone
from core.recipe import Recipe
from core.scoring.answering import label_probabilities, next_tokens
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.scoring.score import score
from core.training.memory import check
from core.training.training import Training


@pytest.fixture(scope="module")
def mamba():
    config = MambaConfig(vocab_size=352, hidden_size=32, num_hidden_layers=2, state_size=8, initializer_range=0.2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(model, tokenizer(), "tiny-mamba")


@pytest.mark.parametrize("template", ["{input}", "Word: {input} gives"])
@pytest.mark.parametrize("kind", ["prompt", "none"])
def test_loss_and_gradient_are_the_plain_ways(mamba, kind, template):
    prefix = random_prefix(mamba, kind, 5) if kind == "prompt" else no_prefix()
    prepared = prepare(mamba, Contender("x", kind, template, prefix), EXAMPLES, None)
    loss = answer_loss(mamba, prepared.fill(mamba), prepared.rows)
    plain = plain_loss(mamba, prefix, encode(mamba, template, EXAMPLES, None))
    assert loss.item() == pytest.approx(plain.item(), abs=1e-5)
    if kind == "prompt":
        (weight,) = prefix.parameters()
        assert relative_error(*(torch.autograd.grad(value, weight)[0] for value in (loss, plain))) < 1e-4


@pytest.mark.parametrize("task", [answer_task(), label_task()])
def test_it_trains_scores_answers_and_is_heard(mamba, task):
    training = Training(mamba, task, Recipe(virtual_tokens=4, steps=8, batch_size=12, learning_rate=0.1, warmup=0))
    assert check(training).bytes > 0
    events, state = training.advance(training.start(), 8)
    assert events[-1].loss < events[0].loss
    training.show(state)
    contender = training.contender()
    together = score(mamba, contender, task.held_out, task.labels)
    alone = [score(mamba, contender, [row], task.labels).loss for row in task.held_out[:3]]
    assert [row.loss for row in together.results[:3]] == pytest.approx(alone, abs=1e-4)
    assert len(next_tokens(mamba, contender, "fox")) == 6
    if task.labels:
        assert sum(label_probabilities(mamba, contender, "fox", task.labels)) == pytest.approx(1)
    lens = list(hear(mamba, contender))[-1]
    assert lens.ids.shape[1] == mamba.layers + 1
    said = [part.text for part in said_alone(mamba, contender, most=4, samples=1)]
    assert said


def test_a_past_of_vectors_is_shared_by_its_rows_and_left_as_it_was(mamba):
    past = mamba.prefill(random_prefix(mamba, "prompt", 3).array(), [5, 6])
    assert isinstance(past, Vectors) and past.get_seq_length() == 5 and past.ids.tolist() == [[-1, -1, -1, 5, 6]]
    before = past.rows.clone()
    wide = expand(past, 8)
    assert wide.rows.data_ptr() == past.rows.data_ptr()
    place = torch.zeros(1, dtype=torch.long)
    mamba.logits_at(wide, torch.full((8, 2), 7), place, place)
    assert wide.get_seq_length() == 7 and torch.equal(past.rows, before)


def test_what_it_lacks_is_refused_by_name(mamba):
    task = answer_task()
    with pytest.raises(LabError, match="K/V prefix can't be made for 'tiny-mamba'"):
        Training(mamba, task, Recipe(method="prefix", virtual_tokens=3))
    with pytest.raises(LabError, match="K/V prefix can't be made for 'tiny-mamba'"):
        mamba.cache_of(torch.from_numpy(np.zeros((2, 2, 3, 2, 8), np.float32)))
    with pytest.raises(LabError, match="gives no attention weights"):
        next(attention_of(mamba, Contender("x", "prompt", "{input}", random_prefix(mamba, "prompt", 3)), task.held_out, None))
