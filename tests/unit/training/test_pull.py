"""The pull towards a text's embeddings: a term of the gradient alone, which holds the vectors the nearer the stronger it is."""

import pytest
import torch
from steps import assert_same_steps, train
from tiny_models import ARCHITECTURES, answer_task

from core.errors import LabError
from core.recipe import Recipe
from core.training.start import create
from core.training.training import Training, batch_indices, mean_squared_distance, text_embeddings

SENTENCE = "the quick brown fox"
PULLED = Recipe(steps=12, batch_size=4, init="text", init_text=SENTENCE, pull_text=SENTENCE, learning_rate=0.1, warmup=0)


def pulled(lm, **changes):
    return PULLED.but(virtual_tokens=len(lm.tokenise(SENTENCE)), **changes)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_pull_adds_its_gradient_and_leaves_the_reported_loss_alone(tiny, arch):
    lm = tiny(arch)
    recipe = pulled(lm, init="vocab", pull=0.5, steps=1)
    training = Training(lm, answer_task(), recipe)
    target, vectors = text_embeddings(lm, SENTENCE), training.prefix.vectors
    task_loss = training.loss([training.prepared.rows[i] for i in batch_indices(recipe.seed, 0, 4, 12)])
    (gradient,) = torch.autograd.grad(task_loss, vectors)
    wanted = gradient + 0.5 * 2 * (vectors.detach() - target) / len(target)
    (event,), _ = training.advance(training.start())
    assert event.loss == task_loss.item()
    assert event.gradient_norm == pytest.approx(wanted.norm().item(), rel=1e-5)


def test_without_a_pull_a_text_changes_no_bit(tiny):
    lm = tiny("llama")
    plain, _ = train(lm, pulled(lm, pull_text=""))
    named, _ = train(lm, pulled(lm, order_seed=PULLED.seed))
    assert_same_steps(named, plain)
    Training(lm, answer_task(), Recipe(pull_text=SENTENCE, virtual_tokens=1))  # of another length: nothing is pulled


@pytest.mark.parametrize("arch", ["llama", "gemma3"])  # Gemma's embedding module scales
def test_the_harder_the_pull_the_nearer_the_vectors_stay(tiny, arch):
    lm = tiny(arch)
    target, distances = text_embeddings(lm, SENTENCE), []
    for pull in (0.0, 0.1, 1.0, 1e6):
        events, _ = train(lm, pulled(lm, pull=pull, steps=30))
        distances.append(float(mean_squared_distance(torch.from_numpy(events[-1].vectors), target)))
    assert distances == sorted(distances, reverse=True) and distances[0] > 4 * distances[-1]


def test_a_pull_of_a_million_brings_vectors_from_elsewhere_to_the_text(tiny):
    lm = tiny("llama")
    recipe = pulled(lm, init="vocab", pull=1e6, steps=120, schedule="linear")
    start = torch.from_numpy(create(lm, answer_task(), recipe).snapshot())
    events, _ = train(lm, recipe)
    target = text_embeddings(lm, SENTENCE)
    assert mean_squared_distance(torch.from_numpy(events[-1].vectors), target) < 0.01 * mean_squared_distance(start, target)


def test_a_text_of_another_length_than_the_prompt_is_refused_with_the_number_to_set(tiny):
    lm = tiny("llama")
    count = len(lm.tokenise(SENTENCE))
    with pytest.raises(LabError, match=f"has {count} tokens.*set the virtual tokens to {count}"):
        Training(lm, answer_task(), pulled(lm, pull=1.0).but(virtual_tokens=count + 1))
    with pytest.raises(LabError, match=r"has [0-9],0.. tokens.*: choose a text of at most 200 tokens"):  # more than a prompt can have
        Training(lm, answer_task(), pulled(lm, pull=1.0, pull_text=" fox" * 1000))
