"""Scores: the arithmetic, by hand and against scipy; the right rows; and what the model is said to say, it says."""

import math

import numpy as np
import pytest
import torch
from made_up import a_score
from plain import plain_logits
from scipy.stats import binomtest
from tiny_models import ARCHITECTURES, EXAMPLES, Counting, answer_task, label_task, make, random_prefix

from core.errors import LabError
from core.models.past import expand
from core.prefix import no_prefix
from core.recipe import Recipe
from core.scoring.contender import Contender, bare, handcrafted
from core.scoring.measures import wilson
from core.scoring.prepared import Prepared, prepare
from core.scoring.row_results import BATCH, RowResult, results
from core.scoring.rows import Row
from core.scoring.score import Score, best_handcrafted, compare, learned_score, majority, score, score_steps, summarise
from core.tasks.task import Example
from core.training.training import Training


def made_score(right, name="x"):
    """A score whose row number i was right where right[i] is."""
    rows = tuple(RowResult(f"row {i}", "yes", bool(value), bool(value), 1.0, 1, "") for i, value in enumerate(right))
    return Score(name, "prompt", sum(right) / len(right), (0.0, 1.0), 1.0, len(rows), 0.0, 1.0, 0, 0, rows)


@pytest.mark.parametrize("right, n", [(0, 1), (0, 10), (9, 10), (10, 10), (50, 103), (1, 27)])
def test_the_interval_is_wilsons(right, n):
    z, share = 1.959963984540054, right / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    assert wilson(right, n) == pytest.approx((max(0, centre - half), min(1, centre + half)), abs=1e-9)


def test_means_of_losses_are_by_answer_and_by_token():
    scored = [RowResult("a", "x", True, True, 2.0, 1, "x"), RowResult("b", "y z", False, False, 7.0, 2, "y…")]
    found = summarise(bare(answer_task()), scored, 3)
    assert (found.accuracy, found.n, found.loss, found.token_loss, found.first_choice) == (0.5, 2, 4.5, 3.0, 0.5)
    assert found.positions == 3 and found.parameters == 0
    assert found.interval == wilson(1, 2)


def test_always_the_same_answer_is_scored_by_the_training_rows_favourite():
    task = answer_task()
    assert task.majority == "yes"
    rows = (Example("a", "yes"), Example("b", "no"), Example("c", "no"))  # another favourite here
    found = majority(task, rows)
    assert found.accuracy == 1 / 3 and found.n == 3 and found.kind == "majority" and found.loss is None
    assert found.interval == wilson(1, 3)


@pytest.mark.parametrize("seed", range(5))
def test_paired_differences_are_mcnemars_exact_test(seed):
    random = np.random.default_rng(seed)
    a, b = random.random(60) < 0.6, random.random(60) < 0.4
    wins, losses = int((a & ~b).sum()), int((b & ~a).sum())
    found = compare(made_score(a.tolist()), made_score(b.tolist()))
    assert (found.wins, found.losses, found.n) == (wins, losses, 60)
    assert found.difference == pytest.approx(a.mean() - b.mean())
    assert found.p == pytest.approx(binomtest(min(wins, losses), wins + losses, 0.5).pvalue)
    low, high = found.interval
    gaps = a.astype(int) - b.astype(int)
    half = 1.96 * gaps.std() / math.sqrt(60)
    assert (low, high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.03)  # large samples: nearly normal


def test_differences_worked_by_hand():
    found = compare(made_score([1, 1, 1, 1, 1, 0, 0]), made_score([0, 0, 0, 0, 1, 1, 0]))
    assert (found.wins, found.losses) == (4, 1)
    assert found.difference == pytest.approx(3 / 7)
    assert found.p == pytest.approx(2 * (1 + 5) / 2**5)  # 0 or 1 losses of 5, both sides
    same = compare(made_score([1, 0, 1]), made_score([1, 0, 1]))
    assert (same.difference, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)
    all_won = compare(made_score([1] * 10), made_score([0] * 10))
    assert (all_won.difference, all_won.interval, all_won.p) == (1.0, (1.0, 1.0), pytest.approx(2 / 1024))


def test_only_rows_that_both_were_scored_on_are_compared():
    a, b = made_score([1, 1, 0, 1]), made_score([0, 0, 1, 1, 1])
    b = Score(**{**b.__dict__, "results": tuple(reversed(b.results[1:]))})  # rows 4, 3, 2, 1
    found = compare(a, b)
    assert found.n == 3 and (found.wins, found.losses) == (1, 1)
    with pytest.raises(LabError, match="no common row"):
        compare(a, Score(**{**b.__dict__, "results": ()}))


def test_rows_that_a_contender_was_made_with_do_not_count_for_it(tiny):
    lm = tiny("llama")
    left_out = frozenset({EXAMPLES[1].key, EXAMPLES[3].key})
    found = score(lm, Contender("x", "none", "{input}", no_prefix(), excluded=left_out), EXAMPLES)
    assert [result.input for result in found.results] == [EXAMPLES[i].input for i in (0, 2, 4)]
    assert found.n == 3
    with pytest.raises(LabError, match="No rows are left"):
        score(lm, Contender("x", "none", "{input}", no_prefix(), excluded=frozenset(e.key for e in EXAMPLES)), EXAMPLES)
    with pytest.raises(LabError, match="No rows are left"):
        score(lm, bare(answer_task()), [])


@pytest.mark.parametrize(
    "template, out",
    [
        ("sea -> seas\n{input} ->", ["sea"]),
        ("SEA becomes  Seas. {input}", ["sea"]),
        ("seaside -> seas\n{input} ->", []),  # only inside another word
        ("sea -> waves\n{input} ->", []),  # the input alone gives nothing away
        ("jump -> jumped, play: played the\nday away; {input}", ["jump", "play"]),
        ("{input}", []),
    ],
)
def test_a_prompts_own_worked_examples_are_found(template, out):
    excluded = handcrafted("x", template, EXAMPLES).excluded
    assert excluded == {example.key for example in EXAMPLES if example.input in out}


def test_results_come_in_the_order_of_the_rows_and_leave_other_work_its_gradients(tiny):
    rows = [Example("walk " * (1 + i % 13) if i % 2 else f"w{i}", "yes") for i in range(2 * BATCH + 5)]
    steps = []
    for step in score_steps(tiny("llama"), bare(answer_task()), rows, None):
        steps.append(step)
        assert not torch.is_inference_mode_enabled() and torch.is_grad_enabled()
        training = Training(tiny("llama"), answer_task(), Recipe(steps=1))  # of another session, in the same thread
        training.advance(training.start())
    assert [step.n for step in steps] == [BATCH, 2 * BATCH, 2 * BATCH + 5]
    assert [result.input for result in steps[-1].results] == [row.input for row in rows]
    assert not torch.is_inference_mode_enabled()


def greedy_rows(lm, prefix, prompts):
    """For each prompt the model's own greedy answer of 4 tokens: as it is, and with another token at each place."""
    rows = []
    for prompt in prompts:
        own = list(lm.generate(expand(prefix.fill(lm), 1), torch.tensor(prompt), 4))
        for place in range(5):
            answer = [token if i != place else (token + 7) % 300 + 2 for i, token in enumerate(own)]
            rows.append((Row(Example("in", "out"), tuple(prompt), tuple(answer)), own, place))
    return rows


@pytest.mark.parametrize("kind", ["prompt", "none"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_wrong_answer_is_shown_as_the_start_of_what_the_model_really_says(arch, kind):
    lm = make(arch)
    lm.stop_tokens = set()
    prefix = no_prefix() if kind == "none" else random_prefix(lm, kind, 5)
    made = greedy_rows(lm, prefix, [lm.tokenise(e.input) for e in EXAMPLES])
    prepared = Prepared(prefix, "before", (), tuple(row for row, _, _ in made), 0)
    found = dict(pair for batch in results(lm, prepared) for pair in batch)
    for number, (_, own, place) in enumerate(made):
        result = found[number]
        assert result.correct == result.first_choice == (place == 4)
        said = lm.tokenizer.decode(own[: place + 1], clean_up_tokenization_spaces=False)
        said = said if place == 4 else said.rstrip("\ufffd") or said  # without a character that is not whole yet
        assert result.said.endswith("…") == (place < 4)
        shown = result.said.removesuffix("…")
        assert shown.strip() == said.strip() if said.strip() else bool(shown) == bool(said)  # blanks alone are shown, too
        assert result.tokens == 4


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_answers_loss_is_the_sum_over_its_tokens(tiny, arch):
    lm = tiny(arch)
    prefix = random_prefix(lm, "prompt", 5)
    contender = Contender("x", "prompt", "{input}", prefix)
    rows = prepare(lm, contender, EXAMPLES, None).rows
    for row, result in zip(rows, score(lm, contender, EXAMPLES).results, strict=True):
        ids = torch.tensor([[*row.prompt, *row.answer]])
        log_probs = plain_logits(lm, prefix, ids, torch.ones_like(ids))[0].log_softmax(-1)
        start = len(row.prompt) - 1
        picked = [log_probs[start + i, token].item() for i, token in enumerate(row.answer)]
        assert result.loss == pytest.approx(-sum(picked), abs=1e-4)


def test_labels_are_right_when_the_likeliest_is_right(tiny):
    lm, task = tiny("llama"), label_task()
    found = score(lm, bare(task), task.held_out, task.labels)
    said = {result.said for result in found.results}
    assert said <= set(task.labels)
    assert found.accuracy == sum(r.said == r.output for r in found.results) / len(found.results)
    turned = [Example(r.input, r.said) for r in found.results]  # the same rows, labelled as the model would
    assert score(lm, bare(task), turned, task.labels).accuracy == 1.0
    backwards = score(lm, bare(task), task.held_out, task.labels[::-1])  # the order of the labels means nothing
    assert [r.said for r in backwards.results] == [r.said for r in found.results]
    assert [r.loss for r in backwards.results] == pytest.approx([r.loss for r in found.results], abs=1e-4)


def test_scores_of_a_small_dtype_are_those_of_its_float32_twin():
    lm = make("llama")
    small = make("llama").to(torch.device("cpu"), torch.bfloat16)
    contender = Contender("x", "prompt", "{input}", random_prefix(lm, "prompt", 5))
    exact, published = score(lm, contender, EXAMPLES), score(small, contender, EXAMPLES)
    assert published == exact
    counting = Counting(small)
    score(small, contender, EXAMPLES)
    assert counting.runs == 0


def test_the_best_handcrafted_prompt_and_the_learned_one_are_found():
    learned, low, high = a_score("learned", "11", "prompt"), a_score("low", "00"), a_score("high", "10")
    assert best_handcrafted([learned, low, high]) is high and best_handcrafted([learned]) is None
    assert learned_score([low, learned]) is learned and learned_score([low]) is None
