"""Each mistake is what its name says, on every architecture, against the model run plainly; and the right way is untouched."""

import pytest
import torch
from plain import relative_error
from tiny_models import ARCHITECTURES, EXAMPLES, SLIDING_WINDOW, answer_task, make, random_prefix, tokenizer
from zoo import WINDOW, build

from app.lessons.races import RaceExperiment
from app.panels.findings import Shelf
from core import LabError
from core.models.language_model import LanguageModel
from core.models.mistakes import MISTAKES, Mistaken, impossible
from core.models.past import expand
from core.prefix import no_prefix
from core.recipe import Recipe
from core.runs.race import Entry, Lap, Placed, race
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.score import score
from core.training.training import Training

COUNT = 3
IDS = torch.arange(20, 26)[None]  # (1, 6)


def logits(lm, prefix, ids=IDS):
    places = torch.arange(ids.shape[1])
    return lm.logits_at(expand(prefix.fill(lm), 1), ids, torch.zeros_like(places), places)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_hidden_is_no_prompt_at_shifted_positions(tiny, arch, kind):
    lm = tiny(arch)
    with torch.no_grad():
        hidden = logits(Mistaken(lm, "hidden", COUNT), random_prefix(lm, kind, COUNT))
        positions = torch.arange(COUNT, COUNT + IDS.shape[1])[None]
        plain = lm.model(input_ids=IDS, position_ids=positions, attention_mask=torch.ones_like(IDS), use_cache=False).logits[0]
    assert relative_error(hidden, plain) < 1e-5


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_apart_is_each_vector_run_alone_at_its_own_position(tiny, arch):
    lm = tiny(arch)
    prompt = random_prefix(lm, "prompt", COUNT)
    with torch.no_grad():
        together = prompt.fill(Mistaken(lm, "apart", COUNT))
        for place in range(COUNT):
            row = prompt.vectors[place][None, None]
            alone = lm.model(
                inputs_embeds=row, position_ids=torch.tensor([[place]]), attention_mask=torch.ones(1, 1, dtype=torch.long), use_cache=True
            )
            for mine, other in zip(together.layers, alone.past_key_values.layers, strict=True):
                assert relative_error(mine.keys[:, :, place], other.keys[:, :, 0]) < 1e-5
                assert relative_error(mine.values[:, :, place], other.values[:, :, 0]) < 1e-5


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_restart_is_the_whole_row_with_positions_from_zero(tiny, arch):
    lm = tiny(arch)
    prompt = random_prefix(lm, "prompt", COUNT)
    with torch.no_grad():
        found = logits(Mistaken(lm, "restart", COUNT), prompt)
        row = torch.cat([prompt.vectors[None], lm.embed(IDS)], dim=1)
        positions = torch.tensor([[*range(COUNT), *range(IDS.shape[1])]])
        seen = torch.ones(row.shape[1], row.shape[1]).tril().bool()  # by place in the row: positions don't say who came before
        far = torch.arange(row.shape[1])
        masks = [seen, seen & (far[:, None] - far[None] < SLIDING_WINDOW)]
        full, near = (torch.zeros(one.shape).masked_fill(~one, torch.finfo(torch.float32).min)[None, None] for one in masks)
        mask = {"full_attention": full, "sliding_attention": near} if arch == "gemma3" else full
        plain = lm.model(inputs_embeds=row, position_ids=positions, attention_mask=mask, use_cache=False).logits[0, COUNT:]
    assert relative_error(found, plain) < 1e-5


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_without_virtual_tokens_there_is_nothing_to_get_wrong(tiny, arch):
    """So the mask and the positions written out here are the model's own, sliding windows included."""
    lm = tiny(arch)
    ids = torch.arange(20, 20 + 2 * SLIDING_WINDOW)[None]
    with torch.no_grad():
        right = logits(lm, no_prefix(), ids)
        for mistake in MISTAKES:
            assert relative_error(logits(Mistaken(lm, mistake, 0), no_prefix(), ids), right) < 1e-6


@pytest.mark.parametrize("kind", ["mistral", "phi3", "starcoder2", "gpt_bigcode", "bloom", "falcon"])
def test_windows_and_alibi_keep_their_masks(kind):
    """A window that a configuration sets without kinds of layers, and models that make their own bias from the mask."""
    lm = LanguageModel(build(kind), tokenizer(), kind)
    ids = torch.arange(20, 20 + 3 * WINDOW)[None]
    vectors = random_prefix(lm, "prompt", COUNT)
    with torch.no_grad():
        right = logits(lm, no_prefix(), ids)
        for mistake in MISTAKES:
            if impossible(lm, mistake):
                assert (kind, mistake) == ("bloom", "restart")
                continue
            assert relative_error(logits(Mistaken(lm, mistake, 0), no_prefix(), ids), right) < 1e-5
            changed = relative_error(logits(Mistaken(lm, mistake, COUNT), vectors, ids), logits(lm, vectors, ids))
            assert changed > 1e-5


@pytest.mark.parametrize(
    "kind, mistake, reason",
    [
        ("mpt", "restart", r"would change nothing, since its layers take no positions \(such as ALiBi\)"),
        ("mamba", "hidden", "its cache can't be filled by hand"),
    ],
)
def test_a_mistake_that_a_model_cannot_make_is_refused_with_the_reason(kind, mistake, reason):
    with pytest.raises(LabError, match=f"can't be made with '{kind}': .*{reason}"):
        Mistaken(LanguageModel(build(kind), tokenizer(), kind), mistake, COUNT)


def test_the_lesson_says_what_its_model_is_known_not_to_do(lab):
    settings = {"task": "capitals", "entries": [{"id": "a"}, {"id": "b", "mistake": "restart"}]}
    race = RaceExperiment(lab, Shelf())
    alibi, recurrent = (LanguageModel(build(kind), tokenizer(), kind) for kind in ("mpt", "mamba"))
    assert race.impossible(alibi, settings) == ""  # not known yet, and the page may not try it
    assert impossible(alibi, "restart") and not impossible(alibi, "hidden")
    assert "can't be made with this model: it would change nothing" in race.impossible(alibi, settings)
    assert race.impossible(alibi, settings | {"entries": [{"id": "a"}, {"id": "b", "mistake": "hidden"}]}) == ""
    prefix = settings | {"entries": [{"id": "a"}, {"id": "b", "recipe": {"method": "prefix"}}]}
    assert race.impossible(recurrent, prefix) == "A K/V prefix can't be made for this model: its cache can't be filled by hand."


def test_what_the_input_cannot_see_gets_no_gradient_and_the_others_do(tiny):
    lm = tiny("llama")
    task, recipe = answer_task(), Recipe(virtual_tokens=COUNT)
    for mistake in MISTAKES:
        training = Training(Mistaken(lm, mistake, COUNT), task, recipe)
        training.loss(training.prepared.rows[:4]).backward()
        assert training.prefix.method.name == "prompt"
        assert (training.prefix.vectors.grad.abs().sum() == 0) == (mistake == "hidden")


def test_words_before_the_input_and_a_bos_count_as_input_and_as_before():
    lm = make("llama", bos=True)
    vectors = random_prefix(lm, "prompt", COUNT)
    contender = Contender("x", "prompt", "Word: {input} gives", vectors, "after")
    prepared = prepare(lm, contender, EXAMPLES, None)
    assert len(prepared.shared) > 1  # BOS, which stands before the vectors, and words after them
    with torch.no_grad():
        hidden = answer_loss(lm_hidden := Mistaken(lm, "hidden", COUNT, before=1), prepared.fill(lm_hidden), prepared.rows)
        nothing = prepare(lm, Contender("y", "none", "Word: {input} gives", no_prefix()), EXAMPLES, None)
        rotary = answer_loss(lm, nothing.fill(lm), nothing.rows)
    # Rotary positions are relative, but BOS now stands COUNT further off: near, and not the same.
    assert hidden.item() != rotary.item()
    right = answer_loss(lm, prepared.fill(lm), prepared.rows)
    assert abs(hidden - rotary) < abs(right - rotary)


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_race_goes_in_turn_and_its_right_entry_is_an_ordinary_run(tiny, method):
    lm, task = tiny("llama"), answer_task()
    recipe = Recipe(method=method, virtual_tokens=COUNT, steps=4, batch_size=4)
    entries = [
        Entry("right", recipe),
        Entry("hidden", recipe, "hidden"),
        Entry("few rows", recipe, rows=5),
        Entry("short", recipe.but(steps=2)),
    ]
    events = list(race(lm, task, entries, Scorebook()))
    laps = [event for event in events if isinstance(event, Lap)]
    placed = {event.name: event for event in events if isinstance(event, Placed)}
    assert events[0].total == len(laps) + len(placed) == 4 * 4 + 2
    assert [lap.name for lap in laps[:5]] == ["right", "hidden", "few rows", "short", "right"]
    training = Training(lm, task, recipe)
    alone, state = training.advance(training.start(), 4)
    assert [lap.loss for lap in laps if lap.name == "right"] == [event.loss for event in alone]
    training.show(state)
    assert placed["right"].held_out.loss == pytest.approx(score(lm, training.contender(), task.held_out).loss, rel=1e-6)
    assert placed["right"].misused is None and placed["hidden"].misused is not None
    # Hidden vectors have no effect, also if they were trained in the right way.
    assert placed["hidden"].misused.loss == pytest.approx(placed["hidden"].held_out.loss, rel=1e-6)
    assert placed["few rows"].seen.n == 5
    assert placed["right"].parameters == training.prefix.parameter_count()


def test_a_kv_prefix_takes_mistakes_too_and_an_unknown_one_is_refused(tiny):
    lm = tiny("qwen3")
    prefix = random_prefix(lm, "prefix", COUNT)
    assert prefix.method.name == "prefix"
    with torch.no_grad():
        right = logits(lm, prefix)
        assert relative_error(logits(Mistaken(lm, "apart", COUNT), prefix), right) < 1e-6  # its keys and values are given
        assert relative_error(logits(Mistaken(lm, "restart", COUNT), prefix), right) > 1e-3
    with pytest.raises(LabError, match="unknown: choose one of hidden, apart, restart"):
        Mistaken(lm, "upside down", 3)
