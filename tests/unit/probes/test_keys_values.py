"""Keys of one prefix with values of another: mixes whose scores are known beforehand, and controls as long as what they replace."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task, kv_prefix, label_task, random_prefix

from core.errors import LabError
from core.inspection.kv import KEYS, VALUES, with_part
from core.probes.keys_values import DRAWS, MIXES, LayerSwap, Mixed, carried, combined, mix, swap_layers
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.score import score

TASK = answer_task()
SAME = (TASK, TASK)


def prefix(lm, seed=0, array=None, count=3, **more):
    values = random_prefix(lm, "prefix", count, seed) if array is None else kv_prefix(array)
    return Contender(f"prefix {seed}", "prefix", TASK.template, values, excluded=TASK.seen, **more)


def arrays(lm):
    return [random_prefix(lm, "prefix", 3, seed).snapshot() for seed in (0, 1)]


def losses(score):
    return [row.loss for row in score.results]


def of(events, sort):
    events = list(events)
    found = [event for event in events if isinstance(event, sort)]
    assert events[0].total == len(found)
    return found


def test_a_part_is_exchanged_in_the_layers_that_are_named_and_nowhere_else():
    mine, other = np.random.default_rng(0).normal(size=(2, 3, 2, 4, 2, 5)).astype(np.float32)
    kept = mine.copy()
    made = with_part(mine, other, VALUES, [0, 2])
    assert np.array_equal(made[:, KEYS], mine[:, KEYS]) and np.array_equal(made[1], mine[1])
    assert np.array_equal(made[[0, 2], VALUES], other[[0, 2], VALUES]) and np.array_equal(mine, kept)
    assert np.array_equal(with_part(with_part(mine, other, KEYS), other, VALUES), other)
    assert np.array_equal(with_part(mine, other, KEYS, []), mine)
    for part, layers, source in ((2, None, other), (-1, None, other), (KEYS, [3], other), (KEYS, [-1], other), (KEYS, None, other[:2])):
        with pytest.raises(ValueError):
            with_part(mine, source, part, layers)


def test_random_keys_are_as_long_as_the_own_ones_in_each_layer_head_and_position(tiny):
    own, other = arrays(tiny("llama"))
    draws = combined(own, other, "random", "own")
    assert len(draws) == DRAWS and not np.array_equal(draws[0], draws[1])
    for made in draws:
        assert np.array_equal(made[:, VALUES], own[:, VALUES]) and not np.allclose(made[:, KEYS], own[:, KEYS])
        np.testing.assert_allclose(np.linalg.norm(made, axis=-1), np.linalg.norm(own, axis=-1), rtol=1e-5)
    (made,) = combined(own, other, "other", "own")
    assert np.array_equal(made[:, KEYS], other[:, KEYS]) and np.array_equal(made[:, VALUES], own[:, VALUES])


@pytest.mark.parametrize("task", [TASK, label_task()], ids=["answers", "labels"])
def test_where_two_prefixes_share_their_values_only_the_keys_count(tiny, task):
    lm = tiny("llama")
    own, other = arrays(lm)
    a, b = prefix(lm, array=own), prefix(lm, array=with_part(other, own, VALUES))
    found = {(one.keys, one.values): one for one in of(mix(lm, (task, task), a, b, Scorebook()), Mixed)}
    assert tuple(found) == MIXES and [len(one.scores) for one in found.values()] == [1, 1, 1, 1, DRAWS, DRAWS]
    whole = score(lm, replace(a, excluded=frozenset()), task.validation, task.labels)
    assert losses(found["own", "own"].scores[0]) == losses(whole) == losses(found["own", "other"].scores[0])
    assert losses(found["other", "own"].scores[0]) == losses(found["other", "other"].scores[0]) != losses(whole)
    gap = carried(list(found.values()))
    assert gap.loss_change == pytest.approx(found["other", "other"].loss - whole.loss) and gap.n == len(task.validation)
    assert carried([found["own", "other"]]) is None


def test_a_prefix_of_another_task_is_scored_on_both_without_the_rows_that_the_other_one_saw(tiny):
    lm = tiny("gpt2")
    other = replace(TASK, slug="another", name="Another", template="Word: {input}", train=TASK.validation[:1], validation=TASK.held_out)
    a, b = prefix(lm), replace(prefix(lm, 1), template=other.template, excluded=other.seen)
    found = of(mix(lm, (TASK, other), a, b, Scorebook()), Mixed)
    assert len(found) == 2 * len(MIXES)
    own, theirs = ([one for one in found if one.of_other == which] for which in (False, True))
    assert {one.scores[0].n for one in own} == {len(TASK.validation) - 1}  # the first was trained on in the other task
    assert losses(theirs[3].scores[0]) == losses(score(lm, b.for_validation(), other.validation))  # all of it is the other's
    with pytest.raises(LabError, match="No validation row"):
        list(mix(lm, (TASK, replace(other, train=TASK.validation)), a, replace(b, excluded=TASK.seen), Scorebook()))


def test_a_layer_that_two_prefixes_share_can_be_exchanged_for_nothing(tiny):
    lm = tiny("llama")
    own, other = arrays(lm)
    other[0] = own[0]
    other[1, KEYS] = own[1, KEYS]
    a, b = prefix(lm, array=own), prefix(lm, array=other)
    found = of(swap_layers(lm, SAME, a, b, Scorebook(), most=3), LayerSwap)
    assert [(one.layer, one.part) for one in found] == [(layer, part) for layer in range(lm.layers) for part in (KEYS, VALUES)]
    assert [one.other.loss_change != 0 for one in found] == [False, False, False, True]  # only the values of layer 1 differ
    assert all(one.control.loss_change != 0 and one.other.n == one.control.n == 3 for one in found)


def test_prompts_without_keys_and_values_and_of_other_lengths_are_refused(tiny):
    lm = tiny("llama")
    soft = Contender("soft", "prompt", TASK.template, random_prefix(lm, "prompt", 3))
    for a, b, words in (
        (soft, soft, "not keys and values: choose a K/V prefix"),
        (prefix(lm), soft, "choose two of one kind"),
        (prefix(lm), prefix(lm, 1, count=4), "one length"),
    ):
        for probe in (mix, swap_layers):
            with pytest.raises(LabError, match=words):
                list(probe(lm, SAME, a, b, Scorebook()))
