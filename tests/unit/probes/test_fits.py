"""Vectors that make the model say a sentence: what comes back is what the model really says, and the control is its own."""

import math

import pytest
import torch
from tiny_models import ARCHITECTURES

from core.errors import LabError
from core.events import Progress
from core.models.along import logits_along
from core.probes.fits import MOST_TOKENS, Aim, Fit, fit, look, losses_of, speak


def found_by(lm, *settings, **more):
    progress, aim, *found = fit(lm, *settings, **more)
    assert isinstance(progress, Progress) and isinstance(aim, Aim) and all(isinstance(one, Fit) for one in found)
    return progress, aim, found


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_vector_that_is_an_embedding_is_continued_as_that_token_is(tiny, arch):
    lm = tiny(arch)
    words = lm.tokenise("the fox")
    plain = lm.model(input_ids=torch.tensor([words])).logits[0].float()
    along = logits_along(lm, lm.embed_ids(words[:1])[None], torch.tensor([words[1:]]))[0]
    assert torch.allclose(along, plain, atol=1e-4)
    first = words[:1]
    said = list(lm.generate(lm.nothing(), torch.tensor(first), 5))
    vectors = lm.embed_ids(first)
    targets = torch.tensor([said])
    logits, losses = losses_of(lm, vectors[None], targets)
    found = speak(lm, vectors, logits[0], said, look(logits[0], targets[0], losses[0].item()))
    assert found.recovered == found.right == len(said) and found.text == lm.decode(said) and found.wrong == ""


def test_after_a_wrong_token_it_is_the_models_own_words(tiny):
    lm = tiny("llama")
    first = lm.tokenise("the")
    said = list(lm.generate(lm.nothing(), torch.tensor(first), 4))
    target = [said[0], (said[1] + 1) % lm.vocab_size, *said[2:]]
    vectors, targets = lm.embed_ids(first), torch.tensor([target])
    logits, losses = losses_of(lm, vectors[None], targets)
    found = speak(lm, vectors, logits[0], target, look(logits[0], targets[0], losses[0].item()))
    assert found.recovered == 1 and found.text == lm.decode(said[:1])
    assert found.text + found.wrong == lm.decode(said[:4])
    shares = torch.log_softmax(logits[0], dim=-1)
    by_hand = -sum(shares[place, token].item() for place, token in enumerate(target)) / math.log(2)
    assert found.bits == pytest.approx(by_hand, rel=1e-5)
    assert found.hits[:2] == (True, False) and sum(found.hits) == found.right


def test_a_short_sentence_is_learned_exactly(lm):
    progress, aim, found = found_by(lm, "jump and walk", 4, 400)
    last = found[-1]
    total = len(aim.texts)
    assert "".join(aim.texts) == "jump and walk" and len(aim.control) == total
    assert last.sentence.recovered == total and last.sentence.text == "jump and walk" and last.sentence.wrong == ""
    assert found[0].sentence.recovered < total and found[0].sentence.bits > 3 * last.sentence.bits
    assert [one.step for one in found] == list(range(len(found))) and len(found) <= progress.total - 1


def test_random_tokens_are_other_tokens_and_learned_by_vectors_of_their_own(tiny):
    lm = tiny("llama")
    _, aim, found = found_by(lm, "the fox", 1, 5)
    assert aim.control != aim.texts
    assert [one.control.bits for one in found] != [one.sentence.bits for one in found]
    _, _, other = found_by(lm, "sea and", 1, 5)  # as many tokens: the same control
    if len(lm.tokenise("sea and")) == len(aim.texts):
        assert [one.control.bits for one in other] == pytest.approx([one.control.bits for one in found], rel=1e-4)
    _, again, _ = found_by(lm, "the fox", 1, 1, seed=1)
    assert again.control != aim.control


def test_the_model_is_unchanged_and_the_vectors_start_at_the_seeds_tokens(lm):
    before = lm.weights_hash
    one, two = (found_by(lm, "the fox", 2, 3)[2] for _ in range(2))
    assert one == two and lm.weights_hash == before
    assert all(parameter.grad is None for parameter in lm.model.parameters())


def test_the_bounds_are_those_of_the_model(lm):
    _, aim, _ = found_by(lm, "the fox", 2, 1)
    assert aim.room == 2 * lm.d_model * 32 and aim.bits == pytest.approx(len(aim.texts) * math.log2(lm.vocab_size))


@pytest.mark.parametrize(
    ("sentence", "vectors", "steps", "message"),
    [
        ("", 1, 5, "no sentence to be said: write one"),
        (" \n", 1, 5, "no sentence to be said"),
        ("fox " * (MOST_TOKENS + 1), 1, 5, f"more than {MOST_TOKENS}: write a shorter one"),
        ("fox", 0, 5, "0 vectors were asked for: choose 1 to 8"),
        ("fox", 9, 5, "9 vectors"),
        ("fox", 1, 0, "0 steps were asked for"),
    ],
)
def test_what_cannot_be_learned_is_refused_first(lm, sentence, vectors, steps, message):
    with pytest.raises(LabError, match=message):
        next(fit(lm, sentence, vectors, steps))
