"""The spectrum: rates come from validation rows alone, forgetting is what it says, and what can't be done is refused with numbers."""

from dataclasses import replace

import pytest
from tiny_models import answer_task, label_task, make

import core.training.memory
from core.errors import LabError
from core.events import Progress
from core.finetuning import changes
from core.finetuning.catalogue import ADAPTATIONS
from core.finetuning.result import SpectrumResult
from core.finetuning.runs import Stepped
from core.finetuning.spectrum import MORE_RATES, Compared, Measured, RateTried, Refused, spectrum_steps
from core.models.language_model import hash_weights
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.tasks.task import Example

RECIPE = Recipe(steps=3, batch_size=4, virtual_tokens=3, warmup=1)
PROMPTS = ("none", "prompt", "prefix", "prefix-mlp")


def events_of(lm, task=None, methods=(), seeds=1, recipe=RECIPE):
    return list(spectrum_steps(lm, task or answer_task(), recipe, Scorebook(), seeds, methods))


def result_of(*arguments, **options) -> SpectrumResult:
    last = events_of(*arguments, **options)[-1]
    assert isinstance(last, Compared)
    return last.result


@pytest.fixture(scope="module")
def whole():
    lm = make("llama")
    before = hash_weights(lm.model)
    events = events_of(lm, seeds=2)
    assert hash_weights(lm.model) == before
    return lm, events


def test_all_methods_are_measured_on_the_same_rows(whole):
    _, events = whole
    result = events[-1].result
    assert [one.name for one in result.methods] == list(ADAPTATIONS) and not result.refused
    assert result.seeds == (0, 1) and result.rows == len(answer_task().held_out)
    for one in result.methods[1:]:
        assert len(one.accuracy.values) == len(one.loss.values) == 2 and one.loss.low <= one.loss.mean <= one.loss.high
        assert one.rate in [tried.rate for tried in one.tried] and 3 <= len(one.tried) <= 3 + MORE_RATES
        assert not one.rate_at_edge or len(one.tried) == 3 + MORE_RATES, "the search goes on while the best is at the edge"
        assert one.parameters and one.stored and one.seconds > 0
        assert one.peak > 16 * one.parameters  # weights, gradient and two moments in float32, and what autograd keeps
    nothing = result.methods[0]
    assert nothing.parameters == nothing.stored == nothing.peak == 0 and len(nothing.accuracy.values) == 1
    assert all(one.loss.mean < nothing.loss.mean for one in result.methods if one.name in ("prompt", "bitfit", "lora"))


def test_progress_says_how_many_events_there_will_be(whole):
    _, events = whole
    totals = [event.total for event in events if isinstance(event, Progress)]
    assert totals == sorted(totals)
    assert totals[-1] == sum(isinstance(event, Stepped | RateTried | Measured | Refused) for event in events)


def test_the_rate_has_the_lowest_validation_loss(whole):
    for one in whole[1][-1].result.methods[1:]:
        assert min(one.tried, key=lambda tried: tried.loss).rate == one.rate


def test_prompts_forget_exactly_nothing_and_changes_forget_something(whole):
    for one in whole[1][-1].result.methods:
        found = [one.forgetting.page, *(one.forgetting.task(slug) for slug in one.forgetting.tasks_before)]
        assert len(found) == 3
        if one.name in PROMPTS:
            assert all(value == 0.0 for spread in found for value in spread.values)
        else:
            assert all(value != 0.0 for spread in found for value in spread.values)


def test_the_result_survives_json(whole):
    result = whole[1][-1].result
    assert SpectrumResult.from_json(result.to_json()) == result
    for bad in ("", "[]", "{}", result.to_json().replace('"rows"', '"lines"')):
        with pytest.raises(LabError, match="no result"):
            SpectrumResult.from_json(bad)


def test_held_out_rows_decide_no_rate():
    task = answer_task()
    poisoned = replace(task, held_out=tuple(Example(row.input, "sea shells") for row in task.held_out))
    lm, methods = make("llama"), ("prompt", "adapters")
    clean, other = result_of(lm, task, methods), result_of(lm, poisoned, methods)
    assert [(one.rate, one.tried) for one in clean.methods] == [(one.rate, one.tried) for one in other.methods]
    assert [one.loss for one in clean.methods] != [one.loss for one in other.methods]
    changed = replace(task, validation=tuple(Example(row.input, "sea shells") for row in task.validation))
    assert [one.tried for one in result_of(lm, changed, methods).methods] != [one.tried for one in clean.methods]


def test_labels_are_scored_as_labels():
    result = result_of(make("gpt2"), label_task(), ("none", "lora"))
    assert len(result.methods) == 2 and all(0 <= one.accuracy.mean <= 1 for one in result.methods)


def test_full_fine_tuning_is_refused_with_numbers_and_other_methods_are_not(monkeypatch):
    lm, enough = make("llama"), 5_000_000
    wide = lm.shape.parameters * 16  # weights, gradient and two moments in float32
    monkeypatch.setattr(core.training.memory, "available", lambda device: enough)
    assert not result_of(lm, methods=("bitfit", "full")).refused
    monkeypatch.setattr("core.finetuning.runs.COPIES", 4 * enough // wide + 4)  # as if it were larger: too large with its copies
    result = result_of(lm, methods=("bitfit", "full"))
    assert [one.name for one in result.methods] == ["bitfit"]
    assert "26,784 parameters" in result.refused["full"] and "5 MB are free" in result.refused["full"]


def test_a_model_without_a_prefix_is_measured_without_one(monkeypatch):
    lm = make("llama")
    monkeypatch.setattr(lm, "way", replace(lm.way, no_prefix="its layers differ"))
    result = result_of(lm, methods=("prefix", "bitfit"))
    assert "its layers differ" in result.refused["prefix"] and [one.name for one in result.methods] == ["bitfit"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"methods": ("lore",)}, "There is no method 'lore'"),
        ({"seeds": 0}, "0 seeds"),
        ({"task": answer_task(validation=())}, "no validation rows"),
    ],
)
def test_what_can_not_be_asked_for_is_said_before_anything_runs(options, words):
    with pytest.raises(LabError, match=words):
        next(iter(spectrum_steps(**{"lm": make("llama"), "task": answer_task(), "recipe": RECIPE, "book": Scorebook(), **options})))


def test_peft_is_asked_for_before_anything_is_trained(monkeypatch):
    def absent():
        raise LabError("LoRA and IA3 need PEFT.")

    monkeypatch.setattr("core.finetuning.spectrum.need_peft", absent)
    steps = spectrum_steps(make("llama"), answer_task(), RECIPE, Scorebook(), 1, ("prompt", "ia3"))
    with pytest.raises(LabError, match="need PEFT"):
        next(steps)
    assert changes.need_peft().__name__ == "peft"


def test_where_no_method_is_named_those_without_peft_are_measured(monkeypatch):
    def absent():
        raise LabError("LoRA and IA3 need PEFT.")

    monkeypatch.setattr("core.finetuning.spectrum.need_peft", absent)
    result = result_of(make("llama"), recipe=RECIPE.but(steps=1))
    assert list(result.refused) == ["ia3", "lora"] and {one.name for one in result.methods} == set(ADAPTATIONS) - {"ia3", "lora"}


def test_known_results_are_not_measured_again():
    lm, methods = make("llama"), ("none", "prompt", "bitfit")
    first = events_of(lm, methods=methods)
    part = next(event.so_far for event in first if isinstance(event, Measured) and event.result.name == "prompt")
    known = {one.name: one for one in part.methods}
    second = list(spectrum_steps(lm, answer_task(), RECIPE, Scorebook(), 1, methods, known))
    assert {event.method for event in second if isinstance(event, Stepped)} == {"bitfit"}
    assert [(one.name, one.accuracy, one.rate) for one in second[-1].result.methods] == [
        (one.name, one.accuracy, one.rate) for one in first[-1].result.methods
    ]
