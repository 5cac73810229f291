"""Contenders made from others: worked examples, chat, calibration, controls; and what every score measures."""

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, label_task, make, random_prefix

from core.errors import LabError
from core.recipe import Recipe
from core.runs.run import repeat
from core.scoring.answering import label_probabilities, next_tokens
from core.scoring.contender import Contender, handcrafted
from core.scoring.derived_contenders import (
    MOST_EXAMPLES,
    calibrated,
    drawn_at_random,
    few_shot,
    in_chat,
    like_vocabulary,
    moved,
    snapped,
    started,
)
from core.scoring.prepared import prepare
from core.scoring.row_results import ends_answer
from core.scoring.rows import encode
from core.scoring.score import score
from core.tasks.task import Example, Handcrafted
from core.training.start import create
from core.training.training import StepEvent

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<eos>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


def test_worked_examples_are_training_rows_in_the_tasks_template():
    task = answer_task()
    made = few_shot(task, 2, seed=3)
    known = {f"{e.input} -> {e.output}" for e in (*task.train, *task.validation)}
    *blocks, last = made.template.split("\n")
    assert last == "{input} ->" and len(blocks) == 2 and set(blocks) <= known
    assert (made.kind, made.examples) == ("handcrafted", 2)
    held_out = {e.input for e in task.held_out}
    assert not any(block.split(" -> ")[0] in held_out for block in blocks)


def test_orders_are_of_the_same_examples_and_draws_are_not():
    task = answer_task()
    orders = [few_shot(task, 4, seed=1, order=order) for order in range(8)]
    assert len({tuple(sorted(made.template.split("\n"))) for made in orders}) == 1
    assert len({made.template for made in orders}) > 1 and len({made.group for made in orders}) == 1
    assert len({made.name for made in orders}) == 8
    draws = {tuple(sorted(few_shot(task, 2, seed=seed).template.split("\n"))) for seed in range(8)}
    assert len(draws) > 1
    assert few_shot(task, 4, 1, 2).template == few_shot(task, 4, 1, 2).template


def test_worked_examples_of_labels_show_each_label_as_often():
    task = label_task()
    template = few_shot(task, 2 * len(task.labels), seed=0).template
    ends = [block.rsplit("Label: ", 1)[-1] for block in template.split("\n\n")[:-1]]
    assert sorted(ends) == sorted(task.labels * 2)


def test_no_or_too_many_examples_are_refused():
    task = answer_task()
    for k in (0, -1, MOST_EXAMPLES + 1):
        with pytest.raises(LabError, match="choose a whole number from 1 to 32"):
            few_shot(task, k)
    with pytest.raises(LabError, match="training rows: ask for fewer"):
        few_shot(task, len(task.train) + len(task.validation) + 1)


@pytest.mark.parametrize("bos", [False, True])
def test_a_chat_contender_is_the_models_own_chat_template_and_without_one_is_refused(bos):
    lm = make("llama", bos=bos)
    lm.tokenizer.chat_template = ("<bos>" if bos else "") + CHAT
    prompt = Handcrafted("polite", "Give the past tense of {input}, please.")
    made = in_chat(lm, handcrafted(prompt.name, prompt.template))
    example = answer_task().train[0]
    turns = [{"role": "user", "content": prompt.template.replace("{input}", example.input)}]
    by_hand = lm.tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert list(encode(lm, made.template, [example], None)[0].prompt) == by_hand
    assert made.kind == "handcrafted" and "as a chat" in made.name
    lm.tokenizer.chat_template = None
    with pytest.raises(LabError, match="has no chat template"):
        in_chat(lm, handcrafted("x", "{input}"))


def test_calibration_divides_by_the_shares_of_content_free_inputs():
    lm, task = make("llama"), label_task()
    plain = handcrafted("x", task.template, task.held_out)
    made = calibrated(lm, plain, task.labels)
    free = np.mean([label_probabilities(lm, plain, text, task.labels) for text in ("N/A", "[MASK]", "")], axis=0)
    assert np.exp(made.offsets) == pytest.approx(free, abs=1e-5)
    text = task.held_out[0].input
    shares = np.array(label_probabilities(lm, plain, text, task.labels)) / free
    assert label_probabilities(lm, made, text, task.labels) == pytest.approx(shares / shares.sum(), abs=1e-5)
    found, before = score(lm, made, task.held_out, task.labels), score(lm, plain, task.held_out, task.labels)
    first = next(result for result in found.results if result.input == text)
    assert first.shares == pytest.approx(shares / shares.sum(), abs=1e-4)
    assert found.loss is None and found.first_choice == before.first_choice  # what all tokens say is not changed


def test_snapped_vectors_are_words_and_words_snap_to_themselves():
    lm, task = make("gemma3"), answer_task()  # its embedding module scales
    start = create(lm, task, Recipe(virtual_tokens=4))
    learned = Contender("mine", "prompt", "{input}", start, excluded=frozenset({"a"}))
    words, text = snapped(lm, learned)
    assert torch.equal(words.prefix.vectors, start.vectors) and text
    assert words.excluded == learned.excluded and words.name.startswith("snapped")
    assert score(lm, words, task.held_out).results == score(lm, learned, task.held_out).results


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_the_moved_control_has_the_learned_lengths(kind):
    lm = make("llama")
    start, end = random_prefix(lm, kind, 3, seed=1).snapshot(), random_prefix(lm, kind, 3, seed=2)
    learned = Contender("mine", kind, "{input}", end)
    made = moved(lm, learned, start).prefix.snapshot()
    lengths = np.linalg.norm(end.snapshot() - start, axis=-1)
    np.testing.assert_allclose(np.linalg.norm(made - start, axis=-1), lengths, rtol=1e-4)
    assert not np.allclose(made, moved(lm, learned, start, draw=1).prefix.snapshot())
    assert np.array_equal(started(lm, learned, start).prefix.snapshot(), start)


def test_random_vectors_look_like_the_vocabulary():
    random = np.random.default_rng(0)
    vocabulary = (random.standard_normal((5000, 4)) @ np.diag([3.0, 1.0, 0.3, 0.1]) + [1, 2, 3, 4]).astype(np.float32)
    made = like_vocabulary(vocabulary, 4000, seed=1)
    np.testing.assert_allclose(made.mean(axis=0), vocabulary.mean(axis=0), atol=0.2)
    np.testing.assert_allclose(np.cov(made.T), np.cov(vocabulary.T), atol=0.4)
    lm = make("llama")
    learned = Contender("mine", "prompt", "{input}", random_prefix(lm, "prompt", 3))
    assert drawn_at_random(lm, learned).prefix.method.name == "prompt"


def test_repeat_trains_without_scoring_and_ends_with_a_contender():
    lm, task = make("llama"), answer_task()
    *steps, last = repeat(lm, task, Recipe(virtual_tokens=2, steps=3), "again")
    made = last.contender
    assert [step.step for step in steps] == [1, 2, 3] and all(isinstance(step, StepEvent) for step in steps)
    assert (made.name, made.kind) == ("again", "prompt")
    assert made.examples == len(task.train) and made.seconds > 0 and made.excluded == task.seen
    assert np.array_equal(made.prefix.snapshot(), steps[-1].vectors)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_next_tokens_are_the_models_own_probabilities(arch):
    lm = make(arch)
    contender = Contender("x", "prompt", "{input} is", random_prefix(lm, "prompt", 3))
    found = next_tokens(lm, contender, "the fox", k=5)
    assert len(found) == 5 and [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    words = torch.tensor([lm.tokenise("the fox is")])
    rows = torch.cat([contender.prefix.vectors, lm.embed(words[0])])[None]
    with torch.inference_mode():
        logits = lm.model(inputs_embeds=rows, use_cache=False).logits[0, -1]
    best = torch.softmax(logits, dim=0).topk(5)
    assert [text for text, _ in found] == [lm.token_text(token) for token in best.indices.tolist()]
    assert [share for _, share in found] == pytest.approx(best.values.tolist(), rel=1e-3)


def test_confidence_agreement_and_stops_of_an_answer():
    lm, task = make("llama"), answer_task()
    contender = Contender("x", "prompt", "{input} is (", random_prefix(lm, "prompt", 3))
    texts = [example.input for example in task.train]
    right = [Example(text, next_tokens(lm, contender, text, 1)[0][0]) for text in texts]
    right = [example for example in right if example.output.isascii() and example.output.isprintable() and example.output.strip()]
    prepared = prepare(lm, contender, right[:1], None)
    *_, following = lm.generate(prepared.fill(lm), torch.tensor(prepared.rows[0].prompt), 2)
    lm = make("llama")  # the same weights; what ends an answer is read once
    lm.model.generation_config.eos_token_id = following
    found = score(lm, contender, [*right, *task.held_out])
    assert [result.correct for result in found.results] == [True] * len(right) + [False] * len(task.held_out)
    assert found.results[0].stops and not any(result.stops for result in found.results[len(right) :])
    for result in found.results:
        assert 0 < result.confidence <= 1 and 0 <= result.agreement <= 1 and result.correct == (result.agreement == 1)
    for result in found.results[: len(right)]:
        assert result.confidence == pytest.approx(np.exp(-result.loss), rel=1e-3)
    assert found.exact == sum(result.stops for result in found.results) / found.n


def test_stops_asks_what_comes_after_the_right_answer():
    lm = make("llama")
    lm.model.generation_config.eos_token_id = 7
    assert ends_answer(lm, 7)
    newline = lm.tokenise("\n")[0]
    assert ends_answer(lm, newline) and not ends_answer(lm, lm.tokenise("fox")[0])


def test_shares_of_labels_add_up_and_confidence_is_the_largest():
    lm, task = make("qwen3"), label_task()
    found = score(lm, handcrafted("x", task.template), task.held_out, task.labels)
    for result in found.results:
        assert sum(result.shares) == pytest.approx(1) and result.confidence == max(result.shares)
        assert task.labels[int(np.argmax(result.shares))] == result.said
    assert found.exact is None and found.agreement is None
