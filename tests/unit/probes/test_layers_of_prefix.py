"""A K/V prefix hidden from one layer: against a forward pass written out by hand, and against what can't make a difference."""

from dataclasses import replace

import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, kv_prefix, label_task, make, random_prefix
from transformers import DynamicCache

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.past import expand
from core.probes.layers import LayerEffect, hidden, leave_layers_out
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, bare
from core.scoring.score import score
from core.training.start import create

TASKS = {"answers": answer_task(), "labels": label_task()}
COUNT = 3
IDS = torch.arange(20, 32)


def learned(lm, task="answers", prefix=None, template=None):
    return Contender("learned", "prefix", template or TASKS[task].template, prefix or random_prefix(lm, "prefix", COUNT))


def logits(lm, prefix):
    """(tokens, vocab): of IDS after the prefix."""
    columns = torch.arange(len(IDS))
    with torch.inference_mode():
        return lm.logits_at(expand(prefix.fill(lm), 1), IDS[None], torch.zeros_like(columns), columns)


def blind(lm, prefix, layers):
    with hidden(lm, layers, COUNT):
        return logits(lm, prefix)


def by_hand(lm, prefix, layers):
    """The logits of a Llama run layer by layer, each with its own mask."""
    core = lm.model.model
    tokens, cache = len(IDS), prefix.fill(lm)
    positions = torch.arange(COUNT, COUNT + tokens)[None]
    with torch.inference_mode():
        states = core.embed_tokens(IDS[None])
        rotations = core.rotary_emb(states, positions)
        for number, layer in enumerate(core.layers):
            seen = torch.ones(tokens, COUNT + tokens).tril(COUNT).bool()
            seen[:, :COUNT] &= number not in layers
            states = layer(
                states, attention_mask=seen[None, None], position_ids=positions, past_key_values=cache, position_embeddings=rotations
            )
        return lm.model.lm_head(core.norm(states))[0]


def losses(found):
    return [result.loss for result in found.score.results]


def effects(lm, contender, task="answers", book=None, **more):
    progress, *events = leave_layers_out(lm, TASKS[task], contender, book or Scorebook(), **more)
    found = [event for event in events if isinstance(event, LayerEffect)]
    assert progress.total == len(found) == lm.layers and [one.layer for one in found] == list(range(lm.layers))
    return found


@pytest.mark.parametrize("layers", [[], [0], [1], [0, 1]])
def test_a_hidden_prefix_gives_the_logits_of_a_pass_written_by_hand(tiny, layers):
    lm = tiny("llama")
    prefix = random_prefix(lm, "prefix", COUNT)
    torch.testing.assert_close(blind(lm, prefix, layers), by_hand(lm, prefix, layers), atol=1e-4, rtol=1e-4)
    if layers:
        assert (blind(lm, prefix, layers) - logits(lm, prefix)).abs().max() > 0.05


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_hidden_from_all_layers_a_prefix_only_moves_the_positions(tiny, arch):
    lm = tiny(arch)
    with torch.inference_mode():
        positions = torch.arange(COUNT, COUNT + len(IDS))[None]
        mask = torch.ones(1, len(IDS), dtype=torch.long)
        expected = lm.model(input_ids=IDS[None], position_ids=positions, attention_mask=mask, past_key_values=DynamicCache()).logits[0]
    torch.testing.assert_close(blind(lm, random_prefix(lm, "prefix", COUNT), [0, 1]), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("layer", [0, 1])
def test_what_a_hidden_layer_holds_makes_no_difference_and_what_another_holds_does(tiny, arch, layer):
    lm = tiny(arch)
    values = random_prefix(lm, "prefix", COUNT).values.detach()
    before = blind(lm, kv_prefix(values), [layer])
    for changed in (0, 1):
        other = values.clone()
        other[changed] = random_prefix(lm, "prefix", COUNT, seed=1).values.detach()[changed]
        difference = (blind(lm, kv_prefix(other), [layer]) - before).abs().max()
        assert difference == 0 if changed == layer else difference > 0.01


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_only_the_hidden_layer_gives_the_prefix_no_attention(tiny, arch):
    lm = tiny(arch)
    with torch.inference_mode(), hidden(lm, [1], COUNT):
        weights = lm.attentions(random_prefix(lm, "prefix", COUNT).fill(lm), IDS)[..., :COUNT]
    assert weights[1].max() == 0 and weights[0].max() > 0.01


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_layer_has_its_effect_and_its_control(tiny, arch, task):
    lm = tiny(arch)
    contender = learned(lm, task, template="Word: {input}\nLabel:")  # words after the prefix, which all rows share
    start = random_prefix(lm, "prefix", COUNT, seed=1).snapshot()
    start[1] = contender.prefix.snapshot()[1]  # training has moved the first layer only
    whole = score(lm, contender, TASKS[task].held_out, TASKS[task].labels)
    found = effects(lm, contender, task, start=start)
    for one in found:
        assert one.without.n == one.control.n == len(TASKS[task].held_out)
        changes = [after - before.loss for after, before in zip(losses(one.without), whole.results, strict=True)]
        assert one.without.loss_change == pytest.approx(sum(changes) / len(changes), abs=1e-6)
        assert max(map(abs, changes)) > 1e-2
    assert found[1].control.loss_change == 0 and found[0].control.loss_change != 0
    other = effects(lm, replace(contender, prefix=kv_prefix(torch.from_numpy(start))), task)  # differs in the first layer
    assert losses(found[0].without) == pytest.approx(losses(other[0].without), abs=1e-5)
    assert losses(found[1].without) != pytest.approx(losses(other[1].without), abs=1e-3)
    assert all(one.control is None for one in other)


def test_a_book_never_takes_a_hidden_prefix_for_the_whole(tiny):
    lm, book, contender = tiny("llama"), Scorebook(), learned(tiny("llama"))
    first, again = (effects(lm, contender, book=book) for _ in range(2))
    assert first == again and first[0].without.loss_change != 0
    *_, kept = book.score(lm, contender, TASKS["answers"].held_out, None)
    assert kept.results == score(lm, contender, TASKS["answers"].held_out).results


def test_rows_are_drawn_of_those_that_count(tiny):
    lm, task = tiny("llama"), TASKS["answers"]
    seen = replace(learned(lm), excluded=frozenset(example.key for example in task.held_out[:2]))
    for one in effects(lm, seen, most=4):
        assert one.without.n == one.without.score.n == 4
        assert not {result.input for result in one.without.score.results} & {example.input for example in task.held_out[:2]}


def test_a_prefix_made_by_an_mlp_is_hidden_too(tiny):
    lm = tiny("llama")
    made = create(lm, TASKS["answers"], Recipe(method="prefix", mlp=8, virtual_tokens=COUNT, init="vocab"))
    assert "start" in dict(made.named_buffers())
    plain = effects(lm, learned(lm, prefix=kv_prefix(made.array())))
    assert [losses(one.without) for one in effects(lm, learned(lm, prefix=made))] == [losses(one.without) for one in plain]


def test_nothing_is_left_switched_on_between_two_pieces_or_after_an_error():
    lm = make("gpt2")
    contender = learned(lm)
    before = logits(lm, contender.prefix)
    for _ in leave_layers_out(lm, TASKS["answers"], contender, Scorebook()):
        assert lm.model.config._attn_implementation == "sdpa" and torch.is_grad_enabled()
        assert torch.equal(logits(lm, contender.prefix), before)  # no hook is left
    with pytest.raises(ZeroDivisionError), hidden(lm, [0, 1], COUNT):
        _ = 1 / 0
    assert lm.model.config._attn_implementation == "sdpa" and torch.equal(logits(lm, contender.prefix), before)


def test_what_cannot_be_left_out_is_refused(monkeypatch):
    lm, task = make("llama"), TASKS["answers"]
    for contender in (bare(task), Contender("vectors", "prompt", "{input}", random_prefix(lm, "prompt", 2))):
        with pytest.raises(LabError, match="no keys and values"):
            next(leave_layers_out(lm, task, contender, Scorebook()))
    with pytest.raises(LabError, match="give its own"):
        effects(lm, learned(lm), start=random_prefix(lm, "prefix", COUNT + 1).snapshot())
    with pytest.raises(LabError, match="No rows are left"):
        effects(lm, replace(learned(lm), excluded=frozenset(example.key for example in task.held_out)))
    monkeypatch.setattr(LanguageModel, "eager", lambda _: torch.inference_mode())  # fused attention's mask is of truth values
    with pytest.raises(LabError, match="no mask that can be changed"):
        blind(lm, random_prefix(lm, "prefix", COUNT), [0])
    lm.way = replace(lm.way, layers=3)
    with pytest.raises(LabError, match="can't be told"), hidden(lm, [0], COUNT):
        pass
