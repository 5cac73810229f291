"""A start from worked examples: whole training rows next to the input, cut at the far end, and never another part's rows."""

import re
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task, label_task

from app.view.headline import recipe_line
from core.errors import LabError
from core.prefix import no_prefix
from core.recipe import Recipe
from core.runs.record import new_record
from core.runs.trained_run import train
from core.scoring.contender import Contender, handcrafted
from core.scoring.score import score
from core.tasks.prompt_text import drawn, with_examples
from core.tasks.task import Example
from core.training.start import create, example_tokens, start_tokens

RECIPE = Recipe(init="examples", virtual_tokens=40, template="{input} ->")


def text_of(lm, task, recipe) -> str:
    return lm.decode(example_tokens(lm, task, recipe))


def test_rows_stand_in_the_template_and_end_next_to_the_input(tiny):
    lm, task = tiny("llama"), answer_task()
    text = text_of(lm, task, RECIPE)
    *_, second, first, rest = text.split("\n")
    nearest = drawn(task.train, None, 2, RECIPE.seed)
    assert rest == "" and first == f"{nearest[0].input} -> {nearest[0].output}" and second == f"{nearest[1].input} -> {nearest[1].output}"
    assert text_of(lm, task, RECIPE.but(seed=1)) != text and text_of(lm, task, RECIPE) == text
    assert "\n\n" in text_of(lm, label_task(), Recipe(init="examples", virtual_tokens=40))  # a template of two lines


@pytest.mark.parametrize("count", [1, 2, 7, 31, 200])
def test_every_number_of_virtual_tokens_is_filled_and_the_far_end_is_cut(tiny, count):
    lm, task = tiny("llama"), answer_task()
    ids = example_tokens(lm, task, RECIPE.but(virtual_tokens=count))
    assert len(ids) == count == len(create(lm, task, RECIPE.but(virtual_tokens=count)).snapshot())
    longest = example_tokens(lm, task, RECIPE.but(virtual_tokens=200))
    assert longest[-count:] == ids  # more of them only adds rows before


def test_only_training_rows_are_used(tiny):
    lm = tiny("llama")
    train_rows = tuple(Example(f"t{number}", "in") for number in range(6))
    other = tuple(Example(f"v{number}", "out") for number in range(6))
    task = answer_task(train=train_rows, validation=other[:3], held_out=other[3:])
    for seed in range(5):
        text = text_of(lm, task, RECIPE.but(seed=seed, virtual_tokens=100))
        assert "out" not in text and "v" not in text and set(re.findall(r"t\d", text)) <= {row.input for row in train_rows}


def test_labels_take_turns(tiny):
    lm, task = tiny("llama"), label_task()
    text = text_of(lm, task, Recipe(init="examples", virtual_tokens=200))
    last_two = [part.rpartition("Label: ")[2] for part in text.split("\n\n")[-3:-1]]
    assert set(last_two) == {"bad", "very good"}


def test_the_untrained_start_scores_as_the_same_words_by_hand_do(tiny):
    """For both methods: embeddings of the tokens, or the keys and values that they leave."""
    lm, task = tiny("llama"), answer_task(template="{input} ->")
    shown = drawn(task.train, None, 2, 0)[::-1]
    template = with_examples("{input} ->", shown)
    count = len(lm.tokenise(template.removesuffix("{input} ->")))
    by_hand = score(lm, Contender("by hand", "handcrafted", template, no_prefix()), task.held_out, None)
    for method in ("prompt", "prefix", "encoder"):
        recipe = Recipe(method=method, init="examples", virtual_tokens=count, **({"mlp": 4} if method != "prompt" else {}))
        start = create(lm, task, recipe)
        learned = score(lm, Contender("start", method, "{input} ->", start), task.held_out, None)
        assert learned.loss == pytest.approx(by_hand.loss, abs=1e-4), method
    assert handcrafted("same", template, task.held_out).excluded == frozenset()


def test_without_a_row_to_show_it_is_one_sentence(tiny):
    rows = (Example("{input}", "x"),) * 2
    with pytest.raises(LabError, match="No training row can be shown as a worked example"):
        start_tokens(tiny("llama"), answer_task(train=rows), RECIPE)


def test_a_run_starts_there_and_says_so(lm):
    task = answer_task()
    run = train(lm, task, Recipe(init="examples", virtual_tokens=6, steps=1, batch_size=4), progress=False)
    ids = example_tokens(lm, task, run.recipe)
    assert np.array_equal(run.record.vectors[0], lm.vocabulary[ids].numpy())
    assert "6 virtual tokens from worked examples" in recipe_line(run.record)
    assert "worked examples" in recipe_line(replace(new_record(task, run.recipe), base={"name": "x"}))
