"""Imitating a teacher prompt: the loss is the divergence from it, its answers are its own, and a run can be paused and continued."""

import math

import pytest
import torch
from steps import assert_same_steps
from tiny_models import ARCHITECTURES, answer_task, label_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.scoring.answering import answer
from core.scoring.contender import handcrafted
from core.scoring.imitation import own_answers, template_for
from core.scoring.prepared import prepare
from core.tasks.task import Example
from core.training import teacher as teaching
from core.training.slices import TrainingSlice
from core.training.training import State, Training

TEACHER = "jump -> yes\nsea -> no\n{input} ->"
RECIPE = Recipe(loss="imitate", teacher=TEACHER, steps=8, batch_size=4, virtual_tokens=3, warmup=0, template="{input} ->")


def begun(lm, recipe=RECIPE, task=None):
    training = Training(lm, task or answer_task(), recipe)
    for _ in training.begin():  # between any two pieces another session may train
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    return training


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("continuation", ["own", "rows"])
def test_a_prompt_that_is_the_teachers_tokens_has_no_divergence(tiny, arch, method, continuation):
    lm, words = tiny(arch), "jump -> yes\nsea -> no\n"
    recipe = RECIPE.but(method=method, init="text", init_text=words, virtual_tokens=len(lm.tokenise(words)), continuation=continuation)
    training = begun(lm, recipe)
    assert training.loss(training.prepared.rows).item() == pytest.approx(0, abs=2e-3)  # predictions are kept in float16
    other = begun(lm, RECIPE.but(continuation=continuation))
    assert other.loss(other.prepared.rows).item() > 0.05


@pytest.mark.parametrize("kept", [0, 2**30])
@pytest.mark.parametrize("task", [answer_task(), label_task(template="{input}\nLabel:")], ids=["answers", "labels"])
def test_the_gradient_is_that_of_a_plain_divergence(tiny, monkeypatch, kept, task):
    monkeypatch.setattr(teaching, "MOST_KEPT_BYTES", kept)
    lm = tiny("llama")
    training = begun(lm, RECIPE.but(template=""), task)
    rows, vectors = training.prepared.rows[:5], training.prefix.vectors
    (found,) = torch.autograd.grad(training.loss(rows), vectors)

    terms = []
    for row in rows:
        text = TEACHER.replace("{input}", row.example.input)
        prompt = training.prepared.shared + row.prompt
        ids = torch.tensor([[*lm.tokenise(text), *row.answer]])
        mine = torch.cat([vectors, lm.embed(torch.tensor([*prompt, *row.answer]))])[None]
        size = len(row.answer)
        with torch.no_grad():
            p = lm.model(input_ids=ids).logits[0, -size - 1 : -1].log_softmax(-1)
        q = lm.model(inputs_embeds=mine).logits[0, -size - 1 : -1].log_softmax(-1)
        terms.append((p.exp() * (p - q)).sum(-1))
    (wanted,) = torch.autograd.grad(torch.cat(terms).mean(), vectors)
    assert (found - wanted).norm() < (2e-3 if kept else 1e-4) * wanted.norm()


def test_the_teachers_answers_are_what_it_writes_alone(tiny):
    lm, rows = tiny("llama"), answer_task().train
    contender = handcrafted("teacher", TEACHER)
    said = [ids for batch in own_answers(lm, prepare(lm, contender, rows, None), 12) for _, ids in batch]
    for ids, row in zip(said, rows, strict=True):
        *_, text = ["", *answer(lm, contender, row.input, 12)]
        assert lm.decode(list(ids)).strip().split("\n")[0].replace("<eos>", "").strip().startswith(text)
    assert len({len(ids) for ids in said}) >= 1 and all(1 <= len(ids) <= 12 for ids in said)


def test_vectors_after_the_first_token_of_a_model_that_has_one_are_the_teachers_words(tiny):
    lm, words = make("llama", bos=True), "jump -> yes\nsea -> no\n"
    recipe = RECIPE.but(placement="after", init="text", init_text=words, virtual_tokens=len(lm.tokenise(words)))
    training = begun(lm, recipe)
    assert training.loss(training.prepared.rows).item() == pytest.approx(0, abs=2e-3)
    assert begun(lm, recipe.but(placement="before")).loss(training.prepared.rows).item() > 0.01


def test_rows_that_occur_twice_and_a_beginning_that_was_broken_off_change_nothing(tiny):
    lm, task = tiny("llama"), answer_task()
    twice = answer_task(train=(*task.train[:3], *task.train))
    once, again = begun(lm, task=task), Training(lm, twice, RECIPE)
    next(again.begin())
    for _ in again.begin():
        pass
    assert again.teacher.answers == once.teacher.answers
    assert [row.answer for row in again.prepared.rows[3:]] == [row.answer for row in once.prepared.rows]
    assert again.loss(again.prepared.rows[3:]).item() == pytest.approx(once.loss(once.prepared.rows).item(), rel=1e-5)


def test_the_rows_answers_are_followed_by_the_end_of_a_line(tiny):
    lm = tiny("llama")
    for row in begun(lm, RECIPE.but(continuation="rows")).prepared.rows:
        assert lm.decode(list(row.answer)) == f" {row.example.output}\n"


def test_without_answers_in_the_rows_the_run_is_the_same(tiny):
    """Learning from the teacher's own answers uses the inputs alone."""
    lm = tiny("llama")
    task = answer_task()
    blank = answer_task(train=tuple(Example(row.input, "?") for row in task.train))
    runs = []
    for each in (task, blank):
        training = Training(lm, each, RECIPE)
        runs.append(training.advance(training.start(), 8)[0])
    assert_same_steps(runs[1], runs[0])


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_it_learns_and_continues_from_a_saved_state_as_if_never_paused(tiny, method):
    lm, recipe = tiny("llama"), RECIPE.but(method=method, steps=30, learning_rate=0.05)
    training = Training(lm, answer_task(), recipe)
    whole, _ = training.advance(training.start(), 30)
    assert whole[-1].loss < 0.7 * whole[0].loss and all(math.isfinite(event.loss) for event in whole)
    first = Training(lm, answer_task(), recipe)
    before, state = first.advance(first.start(), 11)
    later = Training(lm, answer_task(), recipe)  # as after a restart: nothing but the state is left
    after, _ = later.advance(State.from_bytes(state.to_bytes()), 30)
    assert_same_steps(before + after, whole)


def test_a_slice_in_another_process_does_the_same_steps(tiny):
    lm = tiny("llama")
    training = Training(lm, answer_task(), RECIPE)
    whole, _ = training.advance(training.start(), 8)
    fresh = Training(lm, answer_task(), RECIPE)
    events, _ = TrainingSlice(answer_task(), RECIPE, fresh.start().to_bytes(), 8, 1).do(lm)
    assert_same_steps(events, whole)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"teacher": ""}, "The teacher prompt is empty: give a text with {input} exactly once"),
        ({"teacher": "no place"}, "'no place' holds {input} 0 times: give a text"),
        ({"teacher": "{input} {input}"}, "holds {input} 2 times"),
        ({"teacher": "word " * 300 + "{input} ->"}, "The teacher prompt needs [0-9]+ positions with row 1 .*: shorten it"),
        ({"teacher": '"{input}" becomes "'}, "before an answer.*: set the template to one that ends as the teacher prompt does"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_refused_in_one_sentence(tiny, changes, sentence):
    with pytest.raises(LabError, match=sentence) as caught:
        Training(tiny("llama"), answer_task(), Recipe.from_dict({**RECIPE.to_dict(), **changes}))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_every_written_prompt_has_a_template_whose_answers_begin_alike():
    task = answer_task()
    assert template_for(task, TEACHER) == "{input}"
    assert template_for(task, 'The past of "{input}" is "') == 'The past of "{input}" is "'
    assert template_for(task, 'a\n"{input}" is "') == '"{input}" is "'
