"""A run that imitates a teacher: what is measured of the result, on which rows, and that the record keeps it."""

from dataclasses import replace

import pytest
import torch
from tiny_models import answer_task, label_task, soft_prompt

from core.recipe import Recipe
from core.runs.contest import Scored, common_rows
from core.runs.imitation import Imitation, Likeness, in_words, measure, teacher_name, teacher_of
from core.runs.record_json import record_from_json, record_to_json
from core.runs.run import run
from core.runs.scorebook import Scorebook
from core.runs.trained_run import train
from core.scoring.answering import answer
from core.scoring.contender import Contender, bare, handcrafted
from core.scoring.score import score
from core.tasks.task import Handcrafted

WORDS = "jump -> yes\nsea -> no\n"
RECIPE = Recipe(
    loss="imitate", teacher=WORDS + "{input} ->", steps=20, batch_size=4, virtual_tokens=4, template="{input} ->", learning_rate=0.05
)

TEACHER = teacher_name(RECIPE.teacher)


def finished(iterator):
    while True:
        try:
            next(iterator)  # between any two pieces another session may train
            assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("task", [answer_task(), label_task()], ids=["answers", "labels"])
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_run_measures_its_likeness_beside_its_start_and_no_prompt(lm, task, method):
    made = train(lm, task, RECIPE.but(method=method), progress=False)
    found = made.imitation
    assert [found.learned.name, found.nothing.name, found.teacher] == ["learned", "no prompt, own template", TEACHER]
    assert {found.learned.n, found.start.n, found.nothing.n} == {made.record.held_out["learned"].n} == {made.record.held_out[TEACHER].n}
    assert 0 < found.learned.kl < found.start.kl and found.learned.kl_interval[0] <= found.learned.kl <= found.learned.kl_interval[1]
    assert found.tokens == 4 + len(lm.tokenise(" ->")) and found.saved == len(lm.tokenise(WORDS)) - 4
    assert min(found.seconds) > 0 and "The first token of an answer takes" in in_words(found, made.record.scores)
    again = record_from_json(record_to_json(made.record))
    assert again.imitation == found
    files = made.files()  # saved as any other run, and its card says what it imitates
    card = files["README.md"].decode()
    assert "adapter_config.json" in files and "jump -> yes\n  sea -> no\n" in card and "stop at the first new line" in card
    assert f"{found.learned.same} of {found.learned.n} held-out rows" in card and "continuation `own`" in card


def test_a_prompt_that_is_the_teacher_agrees_on_every_row(lm):
    task, teacher = answer_task(), handcrafted("teacher", RECIPE.teacher)
    same = Contender("same", "prompt", "{input} ->", soft_prompt(lm.embed_ids(lm.tokenise(WORDS))))
    found = finished(measure(lm, task, teacher, [same, bare(task), bare(task)], task.held_out, Scorebook()))
    assert found.learned.kl == pytest.approx(0, abs=1e-4) and found.learned.same == found.learned.n == len(task.held_out)
    assert found.nothing.kl > 0.1 and found.saved == 0


def test_the_same_answer_is_the_same_greedy_text(lm):
    task, teacher = answer_task(), handcrafted("teacher", RECIPE.teacher)
    near = Contender(
        "near",
        "prompt",
        "{input} ->",
        soft_prompt(
            lm.embed_ids(lm.tokenise(WORDS))
            + 0.05 * torch.randn(len(lm.tokenise(WORDS)), lm.d_model, generator=torch.Generator().manual_seed(1))
        ),
    )
    found = finished(measure(lm, task, teacher, [near, bare(task), bare(task)], task.held_out, Scorebook()))
    texts = [[[*answer(lm, one, row.input, 32)][-1:] for row in task.held_out] for one in (teacher, near)]
    assert found.learned.same == sum(one == other for one, other in zip(*texts, strict=True))


def test_labels_agree_where_the_same_label_is_chosen(lm):
    task = label_task()
    made = train(lm, task, RECIPE.but(label_score="sum"), progress=False)
    own, nothing, teacher = (made.record.held_out[name].results for name in ("learned", "no prompt, own template", TEACHER))
    for found, results in ((made.imitation.learned, own), (made.imitation.nothing, nothing)):
        assert found.same == sum(a.said == b.said for a, b in zip(results, teacher, strict=True))


def test_a_row_that_the_teacher_shows_counts_for_no_measure(lm):
    task = answer_task()
    row = task.held_out[0]
    recipe = RECIPE.but(teacher=f"{row.input} -> {row.output}\n{{input}} ->", steps=1)
    events = [event for event in run(lm, task, recipe) if event is not None]
    (found,) = [event for event in events if isinstance(event, Imitation)]
    held_out = [event.score for event in events if isinstance(event, Scored) and event.part == "held_out" and event.final]
    assert found.learned.n == len(task.held_out) - 1 == held_out[0].n
    assert common_rows(task.held_out, [teacher_of(task, recipe)]) == list(task.held_out[1:])


def test_a_teacher_among_the_tasks_prompts_is_scored_once_under_its_own_name(lm):
    task = answer_task(handcrafted=(Handcrafted("example", RECIPE.teacher),))
    made = train(lm, task, RECIPE.but(steps=1), progress=False)
    assert made.imitation.teacher == "example" and TEACHER not in made.record.held_out


def test_another_loss_measures_nothing(lm):
    assert train(lm, answer_task(), Recipe(steps=1, virtual_tokens=2), progress=False).imitation is None


def test_the_result_in_words(lm):
    learned, start, nothing = (
        Likeness(name, kl, (kl - 0.05, kl + 0.05), same, (same / 100, same / 100 + 0.1), 100)
        for name, kl, same in (("learned", 0.19, 89), ("start", 12.1, 0), ("no prompt", 9.8, 2))
    )
    text = in_words(Imitation("examples", 47, 10, learned, start, nothing), [])
    assert text == (
        "10 tokens in place of the 47 of “examples” (37 saved) give the same answer on 89 of 100 held-out rows (89 %, 89–99; before "
        "training 0, without a prompt 2), at a KL divergence of 0.19 nats per token (0.14–0.24; "
        "before training 12.10, without a prompt 9.80)."
    )
    right = [replace(score(lm, bare(answer_task()), answer_task().held_out), name=name) for name in ("learned", "examples")]
    assert ", both on 0 rows." in in_words(Imitation("examples", 47, 10, learned, start, nothing), right)
    assert "both" not in in_words(Imitation("examples", 47, 10, learned, start, nothing), [replace(one, results=()) for one in right])
    assert "3 more" in in_words(Imitation("short", 7, 10, learned, start, nothing), [])
