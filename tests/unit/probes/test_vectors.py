"""What each vector does: changes whose effect is known, and a choice of removals on made-up losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, kv_prefix, label_task, random_prefix, soft_prompt

from core.errors import LabError
from core.prefix import no_prefix
from core.probes.vectors import Effect, Removal, effect, fall_p, helpful_removals, what_each_does
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, bare, handcrafted
from core.scoring.measures import holm
from core.scoring.row_results import RowResult
from core.scoring.score import score, summarise
from core.training.start import create

TASKS = {"answers": answer_task(), "labels": label_task()}
NOTHING = (0.0, 0.0)


def learned(lm, kind="prompt", count=3, task="answers", prefix=None):
    return Contender("learned", kind, TASKS[task].template, prefix or random_prefix(lm, kind, count))


def effects(lm, contender, what, task="answers", **more):
    """All effects after the whole prompt's, which comes first."""
    events = list(what_each_does(lm, TASKS[task], contender, what, Scorebook(), **more))
    found = [event for event in events if isinstance(event, Effect)]
    assert events[0].total == len(found) and found[0].what == "whole"
    assert found[0].accuracy_interval == found[0].loss_interval == NOTHING
    return found[1:]


def unchanged(found):
    return (found.accuracy_change, found.loss_change, found.accuracy_interval, found.loss_interval) == (0, 0, NOTHING, NOTHING)


def made_score(losses, right=None, name="made"):
    right = right or [True] * len(losses)
    pairs = enumerate(zip(losses, right, strict=True))
    return summarise(handcrafted(name, "{input}"), [RowResult(str(i), "x", r, r, loss, 1, "x") for i, (loss, r) in pairs], 0)


def test_an_effect_worked_by_hand():
    whole = made_score([1.0, 2.0, 3.0, 4.0], [True, True, False, False])
    changed = made_score([1.5, 2.5, 3.5, 4.5], [False, False, False, True])
    found = effect(whole, changed, "leave out", (2,))
    assert (found.accuracy, found.accuracy_change, found.loss_change, found.n) == (0.25, -0.25, 0.5, 4)
    assert found.loss_interval == (0.5, 0.5)  # every row's loss changed alike
    assert found.accuracy_interval[0] == -1 and 0 < found.accuracy_interval[1] <= 0.75
    assert (found.what, found.vectors, found.score) == ("leave out", (2,), changed)


def test_rows_are_matched_by_their_input_not_their_place():
    whole, changed = made_score([1.0, 2.0, 3.0]), made_score([1.0, 2.0, 3.0])
    turned = replace(changed, results=tuple(reversed(changed.results[1:])))
    assert unchanged(effect(whole, turned)) and effect(whole, turned).n == 2
    with pytest.raises(LabError, match="no common row"):
        effect(whole, replace(changed, results=()))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_scaling_by_one_changes_nothing_and_by_two_does(tiny, kind, task):
    lm = tiny("llama")
    by_amount = {found.amount: found for found in effects(lm, learned(lm, kind, task=task), "scale", task)}
    assert len(by_amount) == 9 and unchanged(by_amount[1.0])
    assert by_amount[2.0].loss_change != 0 and by_amount[0.0].loss_change != 0


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_a_vector_replaced_by_itself_changes_nothing(tiny, kind):
    lm = tiny("gpt2")
    contender = learned(lm, kind)
    start = contender.prefix.snapshot()
    start[(1,) if kind == "prompt" else (slice(None), slice(None), 1)] += 1.0
    found = effects(lm, contender, "start", start=start)
    assert [unchanged(one) for one in found] == [True, False, True]


def test_swapping_equal_vectors_changes_nothing(tiny):
    lm = tiny("gpt2")
    vectors = random_prefix(lm, "prompt", 2).snapshot()[[0, 1, 0]]
    found = effects(lm, learned(lm, prefix=soft_prompt(torch.from_numpy(vectors))), "swap")
    assert {one.vectors: unchanged(one) for one in found} == {(0, 1): False, (0, 2): True, (1, 2): False}


def test_the_order_of_keys_and_values_means_nothing_without_a_sliding_window(tiny):
    found = effects(tiny("llama"), learned(tiny("llama"), "prefix"), "swap")
    assert max(abs(one.loss_change) for one in found) < 1e-4
    assert min(abs(one.loss_change) for one in effects(tiny("llama"), learned(tiny("llama")), "swap")) > 1e-4


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_without_its_only_vector_a_prompt_is_no_prompt(tiny, arch, kind):
    lm = tiny(arch)
    [found] = effects(lm, learned(lm, kind, 1, "labels"), "leave out", "labels")
    task = TASKS["labels"]
    assert found.score.results == score(lm, bare(task), task.held_out, task.labels).results
    assert found.score.kind == "none" and found.score.positions == score(lm, bare(task), task.held_out, task.labels).positions


def test_leaving_a_word_out_scores_as_the_text_without_it(tiny):
    lm = tiny("gemma3")  # its embedding module scales
    words = (" good", " the", " sea")
    ids = [token for word in words for token in lm.tokenise(word)]
    assert len(ids) == 3
    spaced = replace(learned(lm, prefix=soft_prompt(lm.embed(torch.tensor(ids)))), template=" {input}")
    for i, one in enumerate(effects(lm, spaced, "leave out")):
        text = "".join(words[:i] + words[i + 1 :])
        by_words = score(lm, handcrafted("text", text + " {input}"), TASKS["answers"].held_out)
        assert [r.loss for r in one.score.results] == pytest.approx([r.loss for r in by_words.results], abs=1e-3)


def test_token_embeddings_snap_to_themselves(tiny):
    lm = tiny("llama")
    tokens = soft_prompt(lm.embed(torch.tensor([9, 80, 200])))
    assert all(unchanged(one) for one in effects(lm, learned(lm, prefix=tokens), "snap"))
    drawn = effects(lm, learned(lm, prefix=tokens), "random token")
    assert not any(unchanged(one) for one in drawn) and drawn == effects(lm, learned(lm, prefix=tokens), "random token")


def test_the_mean_embedding_takes_a_vectors_place(tiny):
    lm = tiny("llama")
    vectors = random_prefix(lm, "prompt", 3).snapshot()
    vectors[1] = lm.vocabulary.mean(dim=0).numpy()
    found = effects(lm, learned(lm, prefix=soft_prompt(torch.from_numpy(vectors))), "mean")
    assert [unchanged(one) for one in found] == [False, True, False]


def test_rows_that_the_prompt_was_made_with_do_not_count(tiny):
    lm, task = tiny("llama"), TASKS["answers"]
    seen = replace(learned(lm), excluded=frozenset({task.held_out[0].key}))
    found = effects(lm, seen, "only")
    assert {one.n for one in found} == {len(task.held_out) - 1}
    assert all(task.held_out[0].input not in {r.input for r in one.score.results} for one in found)
    for _ in what_each_does(lm, task, seen, "only", Scorebook()):  # nothing is left switched on between two pieces
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


def test_a_change_that_cannot_be_made_is_refused(tiny):
    lm = tiny("llama")
    for kind, what in (("prefix", "snap"), ("prompt", "start"), ("prompt", "dance")):
        with pytest.raises(LabError, match="choose one of"):
            effects(lm, learned(lm, kind), what)
    with pytest.raises(LabError, match="from 0 to 2"):
        effects(lm, learned(lm), "swap", chosen=3)
    with pytest.raises(LabError, match="no learned vectors"):
        effects(lm, learned(lm, prefix=no_prefix()), "only")
    with pytest.raises(LabError, match="no validation rows"):
        list(helpful_removals(lm, answer_task(validation=()), learned(lm), Scorebook()))


def test_p_values_of_sign_flips_worked_by_hand():
    assert fall_p([1.0, 2.0, 4.0]) == 1 / 8  # all of them are positive in one of 8 ways
    assert fall_p([1.0, 2.0, -4.0]) == 5 / 8  # sums of at least -1
    assert fall_p([0.0] * 5) == 1.0 and fall_p([2.0]) == 0.5 and fall_p([-2.0]) == 1.0
    assert fall_p([0.5] * 20) == pytest.approx(1e-4) and fall_p([-0.5] * 20) > 0.99
    random = np.random.default_rng(0)
    skewed = (random.exponential(1.0, (200, 8)) * random.choice([-1, 1], (200, 8))).tolist()
    assert np.mean([fall_p(falls) < 0.05 for falls in skewed]) < 0.09  # where nothing falls


class MadeUp(Scorebook):
    """A book in which the loss of every row is what `losses(vectors, held_out)` says. Notes in which order it was asked."""

    def __init__(self, task, losses):
        super().__init__()
        self.asked, self.losses, self.parts = [], losses, {e.input: "held_out" for e in task.held_out}

    def score(self, lm, contender, examples, labels):
        counted = [e for e in examples if e.key not in contender.excluded]
        part = self.parts.get(counted[0].input, "validation")
        vectors = contender.prefix.snapshot()[:, 0].tolist()
        self.asked.append((part, len(vectors), len(counted)))
        yield summarise(
            contender, [RowResult(e.input, e.output, True, True, self.losses(vectors, part, i), 1, "x") for i, e in enumerate(counted)], 0
        )


def numbered(lm, count):
    vectors = torch.zeros(count, lm.d_model)
    vectors[:, 0] = torch.arange(count)
    return soft_prompt(vectors)


def test_a_vector_that_does_harm_is_chosen_on_validation_rows_and_confirmed_on_the_others(tiny):
    lm = tiny("llama")
    task = answer_task(validation=TASKS["answers"].train, train=TASKS["answers"].validation)  # 12 rows to choose on
    contender = replace(learned(lm, prefix=numbered(lm, 4)), excluded=frozenset(e.key for e in (*task.train, *task.validation)))

    def losses(vectors, part, row):
        harm = 0.5 if part == "validation" else 0.25
        return 2.0 + harm * (2.0 in vectors) - (0.1 if row % 2 else -0.1) * (0.0 in vectors) - 0.3 * (3.0 in vectors)

    book = MadeUp(task, losses)
    progress, *events = helpful_removals(lm, task, contender, book)
    found = [event for event in events if isinstance(event, Removal)]
    assert progress.total == len(found) == 4 and [one.vector for one in found] == [0, 1, 2, 3]
    assert [one.chosen for one in found] == [False, False, True, False]
    assert found[2].p == 1 / 2**12 and found[1].p == 1.0 and found[3].p == 1.0 and found[0].p > 0.4
    assert [one.adjusted for one in found] == holm([one.p for one in found])
    assert found[2].validation.loss_change == pytest.approx(-0.5) and found[2].validation.n == 12  # those it excludes count here
    assert found[2].held_out.loss_change == pytest.approx(-0.25) and found[2].held_out.n == len(task.held_out)
    assert all(one.held_out is None for one in found if not one.chosen)
    assert [part for part, _, _ in book.asked] == ["validation"] * 5 + ["held_out"] * 2


def test_few_validation_rows_choose_nothing(tiny):
    lm, task = tiny("llama"), TASKS["answers"]
    book = MadeUp(task, lambda vectors, part, row: float(len(vectors)))  # every removal helps a lot, on 4 rows
    found = [event for event in helpful_removals(lm, task, learned(lm, prefix=numbered(lm, 3)), book) if isinstance(event, Removal)]
    assert [one.p for one in found] == [1 / 16] * 3 and not any(one.chosen for one in found)
    assert {part for part, _, _ in book.asked} == {"validation"}


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_removals_of_both_kinds_are_scored(tiny, kind):
    lm = tiny("llama")
    found = [e for e in helpful_removals(lm, TASKS["labels"], learned(lm, kind, 2, "labels"), Scorebook()) if isinstance(e, Removal)]
    assert [one.validation.vectors for one in found] == [(0,), (1,)]
    assert all(one.validation.score.n == len(TASKS["labels"].validation) for one in found)


def test_a_prefix_made_by_an_mlp_is_changed_as_the_one_it_makes(tiny):
    lm = tiny("llama")
    recipe = Recipe(method="prefix", mlp=8, virtual_tokens=3, init="vocab")
    made = learned(lm, "prefix", prefix=create(lm, TASKS["answers"], recipe))
    assert "start" in dict(made.prefix.named_buffers())
    plain = replace(made, prefix=kv_prefix(made.prefix.array()))
    assert effects(lm, made, "only") == effects(lm, plain, "only")
