"""Where training starts: random numbers of the right size, real tokens, a text, or label words; or a saved prompt."""

import numpy as np
import pytest
from tiny_models import answer_task, label_task, random_prefix

from app.view.figures import plane
from app.view.headline import recipe_line
from core.errors import LabError
from core.recipe import Recipe
from core.runs import saved_adapter as storage
from core.runs.readings import Vocabulary
from core.runs.record_writer import loaded_record
from core.runs.trained_run import train
from core.training.start import Begun, create, start_tokens
from core.training.training import Training


def test_a_random_start_has_the_spread_of_the_real_vectors_times_the_scale(tiny):
    lm = tiny("gemma3")  # whose embedding module scales
    for scale in (1.0, 0.25):
        found = create(lm, answer_task(), Recipe(init="random", init_scale=scale, virtual_tokens=200)).snapshot()
        assert found.std() == pytest.approx(scale * lm.vocabulary.std().item(), rel=0.05)
    kv = Recipe(method="prefix", init="random", virtual_tokens=200, init_scale=2.0)
    found = create(lm, answer_task(), kv).snapshot()
    real = lm.keys_values(lm.ordinary_tokens[:150].tolist()).numpy()
    for layer in range(lm.layers):
        for half in range(2):
            assert found[layer, half].std() == pytest.approx(2 * real[layer, half].std(), rel=0.25)


def test_a_start_from_the_vocabulary_is_made_of_ordinary_tokens(tiny):
    lm, recipe = tiny("gemma3"), Recipe(virtual_tokens=50)
    ids = start_tokens(lm, answer_task(), recipe)
    assert len(ids) == 50 and set(ids) <= set(lm.ordinary_tokens.tolist())
    assert not set(ids) & set(lm.tokenizer.all_special_ids)
    assert np.array_equal(create(lm, answer_task(), recipe).snapshot(), lm.vocabulary[ids].numpy())
    kv = create(lm, answer_task(), recipe.but(method="prefix")).snapshot()
    assert np.array_equal(kv, lm.keys_values(ids).numpy())


def test_a_start_from_labels_begins_with_the_label_words(tiny):
    lm = tiny("llama")
    recipe = Recipe(init="labels", virtual_tokens=12)
    words = list(dict.fromkeys([*lm.tokenise(" bad"), *lm.tokenise(" very good")]))
    assert len(words) < 12
    ids = start_tokens(lm, label_task(), recipe)
    assert ids[: len(words)] == words and len(ids) == 12
    assert start_tokens(lm, label_task(), recipe.but(virtual_tokens=1)) == words[:1]
    answers = start_tokens(lm, answer_task(), recipe)  # without label words: the training rows' answers
    assert answers[0] == lm.tokenise(" yes")[0]


@pytest.mark.parametrize("init", ["text", "vocab"])
def test_an_mlp_starts_exactly_where_the_plain_prefix_does(tiny, init):
    lm = tiny("qwen3")
    recipe = Recipe(method="prefix", init=init, init_text="the quick brown fox", virtual_tokens=6)
    plain, made = create(lm, answer_task(), recipe), create(lm, answer_task(), recipe.but(mlp=8))
    assert "start" in dict(made.named_buffers())
    assert np.array_equal(made.snapshot(), plain.snapshot())
    out = lm.layers * 2 * lm.kv_heads * lm.head_dim
    assert made.parameter_count() == 6 * lm.d_model + 8 * lm.d_model + 8 + out * 8 + out
    assert plain.parameter_count() == 6 * out
    random = create(lm, answer_task(), recipe.but(init="random", mlp=8)).snapshot()
    assert np.isfinite(random).all() and random.std() > 0.01


MAKERS = [Recipe(virtual_tokens=4), Recipe(method="encoder", virtual_tokens=4, mlp=5), Recipe(method="prefix", virtual_tokens=4, mlp=5)]


@pytest.mark.parametrize("recipe", MAKERS, ids=[recipe.method for recipe in MAKERS])
def test_a_run_goes_on_exactly_from_a_saved_prompt(tiny, recipe):
    lm = tiny("llama")
    saved = Begun(random_prefix(lm, recipe.method, 4).snapshot(), frozenset({"a row"}))
    training = Training(lm, answer_task(), recipe.but(init_from="saved", steps=3), saved)
    start = training.start()
    assert np.allclose(training.prefix.snapshot(), saved.array, atol=1e-6)  # an MLP adds nothing at first
    assert training.contender().excluded == answer_task().seen | {"a row"}
    _, end = training.advance(start, 3)
    assert not np.allclose(training.show(end).snapshot(), saved.array, atol=1e-3)


def test_a_saved_prompt_that_is_not_what_the_recipe_trains_is_refused(tiny):
    lm = tiny("llama")
    recipe = Recipe(init_from="my prompt", virtual_tokens=4)
    saved = Begun(random_prefix(lm, "prompt", 4).snapshot())
    for changed, begun, sentence in (
        (recipe, None, "saved prompt 'my prompt', which is not here: bring it"),
        (recipe.but(virtual_tokens=6), saved, "has 4 virtual tokens, the recipe 6: set them to 4"),
        (recipe.but(method="prefix"), saved, "is no K/V prefix of this model: choose the method that it was trained with"),
        (recipe, Begun(saved.array[:, :8]), "is no soft prompt of this model"),
    ):
        with pytest.raises(LabError, match=sentence):
            Training(lm, answer_task(), changed, begun)


def test_a_run_that_goes_on_from_a_file_says_so_in_its_files(lm, tmp_path):
    task, settings = answer_task(), {"virtual_tokens": 3, "steps": 2, "batch_size": 4}
    first = train(lm, task, Recipe(**settings), progress=False)
    first.save(tmp_path / "first")
    second = train(lm, task, Recipe(init_from=str(tmp_path / "first"), **settings), progress=False)
    assert np.array_equal(second.record.vectors[0], first.vectors) and second.record.start_known
    loaded = storage.load(second.save(tmp_path / "second"), lm)
    assert loaded.recipe == second.recipe and loaded.record["start"]["prompt"] == str(tmp_path / "first")
    assert loaded.seen == task.seen
    card = (tmp_path / "second" / "README.md").read_text()
    assert "* Start: the saved prompt" in card and loaded.record["start"]["sha256"] in card and "init `vocab`" not in card
    assert not loaded_record(lm, task, loaded, Vocabulary(lm)).start_known  # the first prompt may be gone
    assert "from the saved prompt" in recipe_line(second.record)
    assert "Hollow: the start (the saved prompt" in str(plane(second.record, 2))
