"""What drives an answer: gradients as by hand, hidden positions as if they weren't there, and a control that keeps only the norms."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from generators import returned
from tiny_models import ARCHITECTURES, answer_task, label_task, random_prefix

from core.errors import LabError
from core.events import Progress
from core.models.along import can_hide, logits_along
from core.prefix import no_prefix
from core.probes.salience import Salience, at_random, explain, log_probability, own_answer, positions, salience
from core.scoring.contender import Contender, bare, handcrafted

TEXT = "jump"


def learned(lm, method="prompt", count=3, template="Word: {input} gives", placement="before"):
    return Contender("learned", method, template, random_prefix(lm, method, count), placement)


def found_by(lm, contender, **more):
    progress, *events = (event for event in salience(lm, contender, TEXT, **more) if event is not None)
    assert isinstance(progress, Progress) and progress.total == len(events) and all(isinstance(one, Salience) for one in events)
    return events


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_answer_has_the_log_probability_that_plain_transformers_gives(tiny, arch):
    lm = tiny(arch)
    contender = handcrafted("words", "Word: {input} gives")
    places = positions(lm, contender, TEXT, "yes no")
    ids = torch.tensor([[*lm.lead, *lm.tokenise(f"Word: {TEXT} gives yes no")]])
    logits = torch.log_softmax(lm.model(input_ids=ids).logits[0].float(), dim=-1)
    count = len(places.target)
    assert ids[0, -count:].tolist() == places.target.tolist()
    wanted = sum(logits[place - 1, ids[0, place]].item() for place in range(ids.shape[1] - count, ids.shape[1]))
    assert log_probability(lm, places).item() == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_gradient_x_input_is_the_slope_along_each_position(lm, method):
    """Scaling a position's values by 1 + e changes the score by e times its gradient x input."""
    places = positions(lm, learned(lm, method), TEXT, "yes")
    found = returned(explain(lm, places))
    virtual = 0 if places.array is None else 3
    assert len(found.gradient) == len(places.names) == len(found.without)
    for place in (0, 2, len(places.names) - 1):
        step, ends = 1e-2, []
        for sign in (1, -1):
            factor = 1 + sign * step
            if place < virtual:
                array = places.array.clone()
                array[:, :, place] *= factor
                changed = replace(places, array=array)
            else:
                vectors = places.vectors.clone()
                vectors[place - virtual] *= factor
                changed = replace(places, vectors=vectors)
            ends.append(log_probability(lm, changed).item())
        assert found.gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=2e-3)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_position_that_is_hidden_counts_for_nothing(tiny, arch):
    """What a model doesn't see has no gradient and may be anything."""
    lm = tiny(arch)
    assert can_hide(lm)
    places = positions(lm, learned(lm), TEXT, "yes")
    vectors = places.vectors.clone()
    vectors[1] = 100.0
    other = replace(places, vectors=vectors)
    hidden = torch.tensor([1])
    assert log_probability(lm, places, hidden).item() == pytest.approx(log_probability(lm, other, hidden).item(), abs=1e-5)
    assert log_probability(lm, places).item() != pytest.approx(log_probability(lm, other).item(), abs=1e-4)
    leaf = places.vectors.clone().requires_grad_()
    log_probability(lm, replace(places, vectors=leaf), hidden).sum().backward()
    assert leaf.grad[1].abs().max() == 0 and leaf.grad[0].abs().max() > 0


def test_leaving_out_a_position_of_a_prefix_is_taking_it_away(lm):
    """Its keys keep their rotation, so both are the same: the rest stays where it was."""
    places = positions(lm, learned(lm, "prefix"), TEXT, "yes")
    found = returned(explain(lm, places))
    past = lm.cache_of(places.array[:, :, 1:])
    plain = torch.log_softmax(lm_after(lm, past, places), dim=-1)
    wanted = found.log_probability - plain.gather(2, places.target[None, :, None])[..., 0].sum().item()
    assert found.without[0] == pytest.approx(wanted, abs=1e-4)


def lm_after(lm, past, places):
    """Run at the positions that the whole prefix leaves."""
    usual = lm.positions
    lm.positions = lambda before, tokens: usual(before + 1, tokens)
    try:
        return logits_along(lm, places.vectors[None], places.target[None, :-1], past)
    finally:
        del lm.positions


@pytest.mark.parametrize("arch", ["llama", "gemma3"])
def test_positions_are_named_and_told_apart(tiny, arch):
    lm = tiny(arch)
    places = positions(lm, learned(lm), TEXT, "yes")
    assert places.names[:3] == ("1", "2", "3") and places.kinds[:3] == ("vector",) * 3
    text = "".join(name for name, kind in zip(places.names, places.kinds, strict=True) if kind == "input")
    assert text.strip() == TEXT
    words = "".join(name for name, kind in zip(places.names, places.kinds, strict=True) if kind == "words")
    assert "Word:" in words and "gives" in words and "jump" not in words


def test_bos_is_no_part_of_the_prompt_and_vectors_may_stand_behind_it():
    from tiny_models import make

    lm = make("llama", bos=True)
    after = positions(lm, learned(lm, placement="after"), TEXT, "yes")
    assert after.kinds[:5] == ("lead", "vector", "vector", "vector", "words")
    alone = positions(lm, handcrafted("words", "Word: {input} gives"), TEXT, "yes")
    control = at_random(alone)
    assert torch.equal(control.vectors[0], alone.vectors[0])
    same = [torch.equal(a, b) for a, b in zip(alone.vectors, control.vectors, strict=True)]
    assert same == [kind != "words" for kind in alone.kinds]
    assert torch.allclose(alone.vectors.norm(dim=1), control.vectors.norm(dim=1), rtol=1e-4)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_the_control_explains_the_same_answer_after_a_random_prompt(lm, method):
    mine, control = found_by(lm, learned(lm, method))
    assert control.control and not mine.control and mine.answer == control.answer and mine.names == control.names
    assert not np.allclose(mine.without, control.without) and mine.log_probability != control.log_probability


def test_without_a_prompt_there_is_no_control(lm):
    (only,) = found_by(lm, bare(answer_task()))
    assert set(only.kinds) == {"input"} and not only.control


def test_it_is_the_models_own_answer_or_the_one_that_is_asked_for(lm):
    contender = learned(lm)
    mine, _ = found_by(lm, contender)
    assert mine.answer == own_answer(lm, contender, TEXT, None)
    asked, _ = found_by(lm, contender, right="no")
    assert asked.answer == "no"
    labels = label_task().labels
    chosen, _ = found_by(lm, contender, labels=labels)
    assert chosen.answer in labels


def test_many_positions_are_left_out_in_several_pieces(lm, monkeypatch):
    contender = learned(lm)
    usual, _ = found_by(lm, contender)
    monkeypatch.setattr("core.probes.salience.MOST_AT_ONCE", 1)
    one_by_one, _ = found_by(lm, contender)
    assert np.allclose(usual.without, one_by_one.without, atol=1e-5)


def test_what_cannot_be_explained_is_one_sentence(lm, monkeypatch):
    with pytest.raises(LabError, match="no input: type one"):
        list(salience(lm, learned(lm), "  "))
    monkeypatch.setattr("core.probes.salience.MOST_POSITIONS", 3)
    with pytest.raises(LabError, match="more than 3: choose shorter ones"):
        list(salience(lm, learned(lm), TEXT, right="yes"))
    monkeypatch.setattr("core.probes.salience.can_hide", lambda lm: False)
    with pytest.raises(LabError, match="can't be hidden from the others"):
        list(salience(lm, Contender("x", "none", "{input}", no_prefix()), TEXT))
