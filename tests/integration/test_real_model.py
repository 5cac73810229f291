"""The real model: it learns what no instruction gets from it, stays frozen, and scores as plain text and PEFT do."""

from dataclasses import replace

import pytest
import torch
from peft import PeftModel
from plain import peft_loss, plain_loss, relative_error
from transformers import PreTrainedModel

from core.bench import peft_model
from core.models import reading, weights
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.contest import baselines
from core.runs.run import repeat
from core.scoring.contender import Contender, handcrafted
from core.scoring.derived_contenders import few_shot, in_chat
from core.scoring.likelihood import answer_loss
from core.scoring.measures import in_words, pairs
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.scoring.score import majority, score
from core.tasks.load import load_task
from core.training.start import create
from core.training.training import Training

pytestmark = pytest.mark.real
METHODS = {"prompt": Recipe(task="past-tense", virtual_tokens=10), "prefix": Recipe(task="past-tense", method="prefix", virtual_tokens=10)}


@pytest.fixture(scope="module")
def task():
    return load_task("past-tense")


@pytest.fixture(scope="module")
def base() -> PreTrainedModel:
    """The same weights once more, for PEFT to wrap."""
    model = reading.read(weights.DEFAULT_MODEL).model
    return model.eval()


@pytest.fixture(params=METHODS)
def prefix(request, real, task):
    """An untrained prefix of each kind, made from real tokens."""
    return create(real, task, METHODS[request.param])


def four_row_loss(real, task, prefix, template="{input}"):
    prepared = prepare(real, Contender("x", prefix.kind, template, prefix), task.train[:4], None)
    return answer_loss(real, prepared.fill(real), prepared.rows)


def test_ten_vectors_do_what_no_instruction_does_and_the_model_stays_frozen(real, task):
    before = hash_weights(real.model)
    training = Training(real, task, Recipe.from_dict({**task.recipe, "task": task.slug}))
    events, state = training.advance(training.start(), training.recipe.steps)
    assert not state.stopped and events[-1].loss < 0.5 * events[0].loss
    learned = score(real, training.contender(), task.held_out)
    instructions = [prompt for prompt in task.handcrafted if "examples" not in prompt.name]
    best = max(score(real, handcrafted(p.name, p.template, task.held_out), task.held_out).accuracy for p in instructions)
    assert learned.accuracy > best + 0.4
    assert hash_weights(real.model) == before


@pytest.mark.parametrize("template", ["{input}", "The past tense of the verb {input} is"])
def test_loss_and_gradient_are_the_plain_ways(real, task, prefix, template):
    (parameter,) = prefix.parameters()
    loss = four_row_loss(real, task, prefix, template)
    plain = plain_loss(real, prefix, encode(real, template, task.train[:4], None))
    assert loss.item() == pytest.approx(plain.item(), abs=1e-4)
    gradients = [torch.autograd.grad(value, parameter)[0] for value in (loss, plain)]
    assert relative_error(*gradients) < 1e-4


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_loss_is_pefts_own_before_and_after_saving(real, task, prefix, base, tmp_path):
    loss = four_row_loss(real, task, prefix).item()
    rows = encode(real, "{input}", task.train[:4], None)
    recipe = METHODS[prefix.kind]
    folder = adapter_files.save(tmp_path / "x", storage.to_files(real, prefix, storage.record_of(real, task, recipe, "{input}")))
    with torch.no_grad():
        assert peft_loss(real, PeftModel.from_pretrained(base, folder).eval(), rows).item() == pytest.approx(loss, abs=1e-5)
    if prefix.kind == "prompt":  # what the benchmark times
        with torch.no_grad():
            assert peft_loss(real, peft_model(real, prefix).eval(), rows).item() == pytest.approx(loss, abs=1e-5)
    assert four_row_loss(real, task, storage.load(folder, real).prefix).item() == loss


WORKED = "jump -> jumped\ngo -> went\ncarry -> carried\nbreak -> broke\n{input} ->"


@pytest.mark.parametrize("template", ["The past tense of the verb {input} is", WORKED], ids=["sentence", "examples"])
def test_a_handcrafted_prompt_scores_as_its_plain_text(real, task, template):
    rows = task.held_out[:6]
    for example, result in zip(rows, score(real, handcrafted("x", template, rows), rows).results, strict=True):
        prompt = template.replace("{input}", example.input)
        whole = torch.tensor([real.tokenizer(prompt + " " + example.output).input_ids])
        start = len(real.tokenizer(prompt).input_ids)
        with torch.no_grad():
            log_probs = real.model(whole).logits[0].log_softmax(-1)
        answer = whole[0, start:]
        assert result.loss == pytest.approx(-log_probs[start - 1 : -1].gather(1, answer[:, None]).sum().item(), abs=1e-3)
        assert result.correct == bool((log_probs[start - 1 : -1].argmax(-1) == answer).all())


def test_a_rows_score_does_not_depend_on_its_batch(real, task):
    contender = handcrafted("x", task.handcrafted[0].template)
    together = score(real, contender, task.held_out[:12]).results
    alone = [score(real, contender, [example]).results[0] for example in task.held_out[:3]]
    assert [result.loss for result in together[:3]] == pytest.approx([result.loss for result in alone], abs=1e-3)


def test_where_nothing_can_be_learned_no_contender_is_called_better_than_the_majority(real):
    task = load_task("shuffled-news")
    task = replace(task, held_out=task.held_out[:60])
    recipe = Recipe(task=task.slug, steps=10)
    *_, trained = repeat(real, task, recipe, "learned")
    learned = trained.contender
    always = majority(task, task.held_out)
    asked = [learned, *baselines(task)[:3], few_shot(task, 4)]
    scores = [always, *(score(real, contender, task.held_out, task.labels) for contender in asked)]
    right = {one.name: {result.input: result.correct for result in one.results} for one in scores}
    told = pairs(always.name, right)
    assert len(told) == len(asked)
    assert not any(pair.losses > pair.wins and pair.adjusted < 0.05 for pair in told), [in_words(pair) for pair in told]


def test_the_chat_contender_is_the_models_own_chat_template(real, task):
    prompt = handcrafted("polite", "What is the past tense of {input}?")
    example = task.held_out[0]
    turns = [{"role": "user", "content": prompt.template.replace("{input}", example.input)}]
    by_hand = real.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(encode(real, in_chat(real, prompt).template, [example], None)[0].prompt) == by_hand
