"""Changed copies of a model: they start as the model, train what they say, agree with PEFT, and leave the shared model alone."""

import builtins
import copy

import pytest
import torch
from plain import padded
from tiny_models import ARCHITECTURES, answer_task, make

from core.errors import LabError
from core.finetuning.catalogue import ADAPTATIONS, ALPHA, BOTTLENECK, RANK
from core.finetuning.changes import change
from core.finetuning.parameters import adapters_after_mlp, bitfit_parameters, ia3_parameters, lora_parameters
from core.finetuning.tuning import Tuning
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.scoring.contender import bare
from core.scoring.rows import encode
from core.scoring.score import score
from core.training.training import batch_indices, rate_at

CHANGES = [name for name, one in ADAPTATIONS.items() if one.changes_model]
RECIPE = Recipe(steps=4, batch_size=4, warmup=2, learning_rate=0.01, end="none")


def tuned(lm, name, recipe=RECIPE):
    tuning = Tuning(change(lm, ADAPTATIONS[name], recipe.seed), answer_task(), recipe)
    return tuning, [tuning.advance() for _ in range(recipe.steps)]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_change_learns_and_the_shared_model_stays_as_it_is(arch, name):
    lm, task = make(arch), answer_task()
    before, plain = hash_weights(lm.model), score(lm, bare(task), task.held_out)
    changed = change(lm, ADAPTATIONS[name], 0)
    assert score(changed.lm, bare(task), task.held_out).loss == pytest.approx(plain.loss, rel=1e-4)  # it starts as the model itself
    start = {key: value.detach().clone() for key, value in changed.trained.items()}
    tuning = Tuning(changed, task, RECIPE)
    for _ in range(RECIPE.steps):
        tuning.advance()
    moved = [key for key, value in changed.trained.items() if not torch.equal(value, start[key])]
    assert len(moved) >= len(start) * 0.7  # not K's bias: it changes no attention
    assert score(changed.lm, bare(task), task.train).loss < score(lm, bare(task), task.train).loss
    assert hash_weights(lm.model) == before
    assert score(lm, bare(task), task.held_out).loss == plain.loss
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in lm.model.parameters())


@pytest.mark.parametrize("name", CHANGES)
def test_parameters_are_those_that_the_optimiser_has_and_the_model_asks_for(name):
    changed = change(make("llama"), ADAPTATIONS[name], 0)
    wanted = sum(parameter.numel() for parameter in changed.lm.model.parameters() if parameter.requires_grad)
    assert changed.parameter_count() == wanted > 0
    optimised = Tuning(changed, answer_task(), RECIPE).optimiser.param_groups[0]["params"]
    assert sum(parameter.numel() for parameter in optimised) == wanted


def test_counts_are_those_of_the_calculator_and_of_the_model():
    lm = make("llama")
    inner = lm.model.config.intermediate_size
    counted = {
        "ia3": ia3_parameters(lm.shape, inner),
        "bitfit": bitfit_parameters(lm.shape, inner),
        "lora": lora_parameters(lm.shape, RANK),
        "adapters": adapters_after_mlp(lm.shape, BOTTLENECK),
        "full": lm.shape.parameters,
    }
    assert {name: change(lm, ADAPTATIONS[name], 0).parameter_count() for name in CHANGES} == counted


def test_bitfit_says_that_it_added_biases_and_takes_those_that_are_there():
    without, having = make("llama"), make("gpt2")
    added, found = change(without, ADAPTATIONS["bitfit"], 0), change(having, ADAPTATIONS["bitfit"], 0)
    assert "no biases: zero ones were added to 14 linear layers" in added.note and not found.note
    biases = [value for name, value in having.model.named_parameters() if name.endswith("bias")]
    assert found.parameter_count() == sum(value.numel() for value in biases)


def test_only_what_is_trained_takes_memory_a_second_time():
    lm = make("llama")
    own = {parameter.data_ptr() for parameter in lm.model.parameters()}
    changed = change(lm, ADAPTATIONS["lora"], 0)
    assert {value.data_ptr() for value in changed.lm.model.parameters()} - {value.data_ptr() for value in changed.trained.values()} == own
    assert not own & {value.data_ptr() for value in change(lm, ADAPTATIONS["full"], 0).trained.values()}


def test_lora_equals_a_plain_loop_with_peft_step_for_step():
    import peft

    lm, task = make("llama"), answer_task()
    tuning, losses = tuned(lm, "lora", RECIPE)
    torch.manual_seed(RECIPE.seed)
    model = peft.get_peft_model(copy.deepcopy(lm.model), peft.LoraConfig(r=RANK, lora_alpha=ALPHA, task_type="CAUSAL_LM")).eval()
    rows = encode(lm, task.template, task.train, None)
    optimiser = torch.optim.Adam([value for value in model.parameters() if value.requires_grad])
    plain = []
    for step in range(RECIPE.steps):
        ids, mask, labels = padded([rows[i] for i in batch_indices(RECIPE.seed, step, RECIPE.batch_size, len(rows))])
        loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.param_groups[0]["lr"] = rate_at(RECIPE, step)
        optimiser.step()
        plain.append(loss.item())
    assert losses == pytest.approx(plain, rel=1e-4) and len(set(losses)) == RECIPE.steps
    theirs = [value for value in model.parameters() if value.requires_grad]
    for ours, their in zip(tuning.changed.trained.values(), theirs, strict=True):
        assert torch.allclose(ours, their, atol=1e-4)


def test_the_seed_decides_the_start_and_no_other_random_number_does():
    lm = make("llama")
    torch.manual_seed(5)
    first = torch.get_rng_state()
    one, other, again = (change(lm, ADAPTATIONS["lora"], seed).trained for seed in (0, 1, 0))
    assert torch.equal(torch.get_rng_state(), first)
    name = next(name for name in one if "lora_A" in name)
    assert torch.equal(one[name], again[name]) and not torch.equal(one[name], other[name])


def test_without_peft_one_sentence_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def absent(name, *more, **options):
        if name == "peft":
            raise ModuleNotFoundError("No module named 'peft'")
        return real(name, *more, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    lm = make("llama")
    with pytest.raises(LabError, match=r"pip install -r requirements-spectrum\.txt"):
        change(lm, ADAPTATIONS["lora"], 0)
    assert change(lm, ADAPTATIONS["adapters"], 0).trained  # ours


def test_quantised_weights_are_refused(monkeypatch):
    lm = make("llama")
    monkeypatch.setattr(lm.model, "is_quantized", True, raising=False)
    with pytest.raises(LabError, match="quantised"):
        change(lm, ADAPTATIONS["full"], 0)
