"""Between two prompts: lines and patches whose ends are known, and numbers worked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, kv_prefix, label_task, random_prefix, soft_prompt

from core.errors import LabError
from core.inspection.between import barrier, cosines, interpolate, patch
from core.inspection.control import moved_at_random
from core.prefix import no_prefix
from core.probes.between import Along, Patched, path_between, transplant, written_prefix
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, handcrafted
from core.scoring.score import score

A, B = np.float32([[1, 2], [3, 4]]), np.float32([[5, 0], [3, -4]])
KINDS = pytest.mark.parametrize("kind", ["prompt", "prefix"])


def prompt(lm, kind="prompt", seed=0, count=3, task=None, name=""):
    return Contender(name or f"prompt {seed}", kind, (task or answer_task()).template, random_prefix(lm, kind, count, seed))


def of(events, sort):
    """The results of one sort; the count comes first and is theirs."""
    events = list(events)
    found = [event for event in events if isinstance(event, sort)]
    assert events[0].total == len(found)
    return found


def test_a_line_goes_straight_from_one_end_to_the_other():
    first, middle, last = interpolate(A, B, [0.0, 0.5, 1.0])
    assert np.array_equal(first, A) and np.array_equal(last, B)
    assert middle.tolist() == [[3, 1], [3, 0]] and middle.dtype == np.float32
    with pytest.raises(ValueError, match="one kind and length"):
        interpolate(A, B[:1], [0.5])


def test_a_patch_changes_its_places_alone():
    assert patch(A, B, [1]).tolist() == [[1, 2], [3, -4]]
    assert np.array_equal(patch(A, B, []), A) and np.array_equal(patch(A, B, [0, 1]), B)
    assert A.tolist() == [[1, 2], [3, 4]]
    keys = np.random.default_rng(0).normal(size=(2, 2, 2, 3, 3, 4)).astype(np.float32)
    made = patch(keys[0], keys[1], [2], axis=2)
    assert np.array_equal(made[:, :, 2], keys[1][:, :, 2]) and np.array_equal(made[:, :, :2], keys[0][:, :, :2])
    for which, source in (([2], B), ([-1], B), ([0], B[:1])):
        with pytest.raises(ValueError):
            patch(A, source, which)


def test_cosines_are_of_all_vectors_with_all():
    random = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    found = cosines([random[:2], random[2:]])
    brute = torch.nn.functional.cosine_similarity(torch.from_numpy(random)[:, None], torch.from_numpy(random)[None], dim=2)
    np.testing.assert_allclose(found, brute.numpy(), atol=1e-6)
    centred = cosines([np.float32([[2, 2]]), np.float32([[1, 2]])], mean=np.float32([1, 1]))  # of (1, 1) and (0, 1)
    np.testing.assert_allclose(centred, [[1, 0.5**0.5], [0.5**0.5, 1]], atol=1e-6)
    assert cosines([np.float32([[0, 0], [1, 0]])]).tolist() == [[0, 0], [0, 1]]  # no direction, like nothing
    for groups in ([random, random[:, :3]], []):
        with pytest.raises(ValueError, match="widths"):
            cosines(groups)


def test_a_barrier_is_what_rises_above_the_line_between_the_ends():
    assert barrier([0.0, 1.0, 5.0, 3.0]) == pytest.approx(3.0)  # 5 where the line has 2
    assert barrier([2.0, 1.0, 1.5]) == 0.0 and barrier([1.0, 9.0]) == 0.0
    with pytest.raises(ValueError, match="two losses"):
        barrier([1.0])


@KINDS
@pytest.mark.parametrize("task", [answer_task(), label_task()], ids=["answers", "labels"])
def test_a_lines_ends_score_as_the_prompts_themselves(tiny, kind, task):
    lm = tiny("llama")
    a, b = prompt(lm, kind, 0, task=task), prompt(lm, kind, 1, task=task)
    found = of(path_between(lm, task, a, b, Scorebook(), points=3), Along)
    assert [one.share for one in found] == [0.0, 0.5, 1.0]
    assert found[0].score.results == score(lm, a, task.held_out, task.labels).results
    assert found[2].score.results == score(lm, b, task.held_out, task.labels).results
    assert found[1].score.loss not in (found[0].score.loss, found[2].score.loss)


def test_lines_and_patches_are_scored_on_rows_that_neither_was_made_with(tiny):
    lm, task = tiny("llama"), answer_task()
    a, b = (replace(prompt(lm, seed=i), excluded=frozenset({task.held_out[i].key})) for i in range(2))
    found = of(path_between(lm, task, a, b, Scorebook(), points=2), Along)
    rows = [e.input for e in task.held_out[2:]]
    assert all([r.input for r in one.score.results] == rows for one in found)
    for one in of(transplant(lm, (task, task), a, b, Scorebook(), sets=[]), Patched):
        assert [r.input for r in one.into_task.results] == rows and one.from_task.n == len(rows)


def test_prompts_that_cannot_be_mixed_are_refused(tiny):
    lm, task = tiny("llama"), answer_task()
    a = prompt(lm)
    other = replace(a, prefix=soft_prompt(torch.zeros(3, lm.d_model + 1)))
    for b, words in (
        (prompt(lm, count=4), "has 3 virtual tokens, .* has 4"),
        (prompt(lm, "prefix"), "soft prompt, .* K/V prefix"),
        (other, "different models"),
        (replace(a, prefix=no_prefix()), "no learned vectors"),
    ):
        with pytest.raises(LabError, match=words):
            list(path_between(lm, task, a, b, Scorebook()))
        with pytest.raises(LabError, match=words):
            list(transplant(lm, (task, task), a, b, Scorebook()))
    with pytest.raises(LabError, match="2 or more"):
        list(path_between(lm, task, a, a, Scorebook(), points=1))


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_handcrafted_prompts_words_score_the_same_as_vectors_and_as_keys(tiny, arch):
    lm, task = tiny(arch), label_task()
    template = "one two three {input}\nLabel:"
    ids = lm.tokenise("one two three")
    by_words = score(lm, handcrafted("words", template), task.held_out, task.labels)
    vectors = soft_prompt(torch.from_numpy(written_prefix(lm, template, len(ids))))
    keys = kv_prefix(lm.keys_values(ids))
    for prefix in (vectors, keys):
        found = score(lm, Contender("x", prefix.kind, " {input}\nLabel:", prefix), task.held_out, task.labels)
        assert [r.loss for r in found.results] == pytest.approx([r.loss for r in by_words.results], abs=1e-3)
        assert found.positions == by_words.positions


def test_words_are_cut_or_repeated_to_fit(tiny):
    lm = tiny("gemma3")  # its embedding module scales
    ids = lm.tokenise("one two three")
    embeddings = lm.embed(torch.tensor(ids)).numpy()
    assert np.array_equal(written_prefix(lm, "one two three {input}", 2), embeddings[:2])
    longer = written_prefix(lm, "one two three {input} four", len(ids) + 1)
    assert np.array_equal(longer, embeddings[[*range(len(ids)), 0]])
    for template in ("{input} is", "  {input}"):
        with pytest.raises(LabError, match="No words come before"):
            written_prefix(lm, template, 3)


@KINDS
def test_patching_nothing_is_the_one_and_patching_everything_is_the_other(tiny, kind):
    lm, tasks = tiny("llama"), (answer_task(), label_task())
    a, b = prompt(lm, kind, 0, task=tasks[0]), prompt(lm, kind, 1, task=tasks[1])
    found = of(transplant(lm, tasks, a, b, Scorebook()), Patched)
    assert [one.which for one in found] == [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)]
    assert {one.source for one in found} == {"learned"}
    assert found[0].into_task.results == score(lm, b, tasks[1].held_out, tasks[1].labels).results
    assert found[-1].from_task.results == score(lm, a, tasks[0].held_out, tasks[0].labels).results
    swapped = replace(b, template=a.template)  # each task's rows stand in that task's own template
    assert found[0].from_task.results == score(lm, swapped, tasks[0].held_out, tasks[0].labels).results
    assert len({one.into_task.loss for one in found}) == len(found)


def test_the_control_fills_the_same_places(tiny):
    lm, task = tiny("llama"), answer_task()
    a, b = prompt(lm, seed=0), prompt(lm, seed=1)
    start = torch.from_numpy(prompt(lm, seed=2).prefix.snapshot())
    control = moved_at_random(start, a.prefix.vectors.detach()).numpy()
    found = of(transplant(lm, (task, task), a, b, Scorebook(), sets=[[2, 0], [0, 1, 2]], control=control), Patched)
    pairs = [(which, source) for which in ((0, 2), (0, 1, 2)) for source in ("learned", "control")]
    assert [(one.which, one.source) for one in found] == [((), "learned"), *pairs]
    moved = replace(a, prefix=soft_prompt(torch.from_numpy(control)))
    assert found[-1].into_task.results == score(lm, moved, task.held_out).results
    half = replace(b, prefix=soft_prompt(torch.from_numpy(patch(b.prefix.snapshot(), control, [0, 2]))))
    assert found[2].into_task.results == score(lm, half, task.held_out).results


def test_one_vector_makes_one_patch_and_one_that_is_not_there_none(tiny):
    lm, task = tiny("gpt2"), answer_task()
    a, b = prompt(lm, seed=0, count=1), prompt(lm, seed=1, count=1)
    assert [one.which for one in of(transplant(lm, (task, task), a, b, Scorebook()), Patched)] == [(), (0,)]
    with pytest.raises(LabError, match="from 0 to 0"):
        list(transplant(lm, (task, task), a, b, Scorebook(), sets=[[1]]))
