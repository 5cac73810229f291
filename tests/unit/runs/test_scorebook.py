"""The scorebook: what is scored once is not scored again, at one time or later."""

from dataclasses import replace

import torch
from tiny_models import Counting, answer_task, label_task, make, random_prefix

from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, bare, handcrafted
from core.scoring.row_results import BATCH
from core.scoring.score import score
from core.tasks.task import Example
from core.training import slices


def last(items):
    return list(items)[-1]


def test_the_book_never_runs_the_model_for_what_it_knows():
    lm, task, book = make("llama"), answer_task(), Scorebook()
    counting = Counting(lm)
    first = last(book.score(lm, bare(task), task.held_out, None))
    assert counting.runs > 0 and first == score(lm, bare(task), task.held_out)
    before = counting.runs
    again = list(book.score(lm, handcrafted("other name", "{input}"), task.held_out, None))
    assert counting.runs == before and len(again) == 1
    assert again[0].results == first.results and (again[0].name, again[0].kind) == ("other name", "handcrafted")


def test_the_book_tells_apart_what_differs():
    lm, task, book = make("llama"), answer_task(), Scorebook()
    known = last(book.score(lm, bare(task), task.held_out, None))
    other_rows = (Example(task.held_out[0].input, "other"), *task.held_out[1:])
    assert book.get(lm, bare(task), task.held_out, None) == known
    assert book.get(lm, bare(task), other_rows, None) is None
    assert book.get(lm, bare(task), task.held_out[1:], None) is None
    assert book.get(lm, bare(task, "{input} is"), task.held_out, None) is None
    assert book.get(lm, bare(task), task.held_out, ("yes", "no")) is None
    assert book.get(make("gpt2"), bare(task), task.held_out, None) is None
    learned = Contender("learned", "prompt", "{input}", random_prefix(lm, "prompt", 3))
    list(book.score(lm, learned, task.held_out, None))
    assert book.get(lm, learned, task.held_out, None) is not None
    with torch.no_grad():
        learned.prefix.vectors[0, 0] += 0.5
    assert book.get(lm, learned, task.held_out, None) is None  # other parameters are another contender


def test_the_book_does_not_grow_without_end():
    lm, task, book = make("llama"), answer_task(), Scorebook(size=2)
    for template in ("{input}", "{input} a", "{input} b"):
        list(book.score(lm, bare(task, template), task.held_out, None))
    assert book.get(lm, bare(task), task.held_out, None) is None
    assert book.get(lm, bare(task, "{input} b"), task.held_out, None) is not None


def test_half_a_score_is_never_kept_as_a_whole():
    lm, book = make("llama"), Scorebook()
    rows = [Example(f"w{i}", "yes") for i in range(2 * BATCH)]
    next(book.score(lm, bare(answer_task()), rows, None))  # a job that ended after one batch
    assert book.get(lm, bare(answer_task()), rows, None) is None


def test_jobs_that_need_the_same_score_share_its_computation(monkeypatch):
    lm = make("llama")
    task, calls = answer_task(), []
    score_steps = slices.score_steps

    def slow(lm, contender, examples, labels):
        calls.append(contender.name)
        for row in range(len(examples)):  # a batch a row
            *_, latest = score_steps(lm, contender, examples[: row + 1], labels)
            yield replace(latest, final=row + 1 == len(examples))

    monkeypatch.setattr(slices, "score_steps", slow)
    book, baseline = Scorebook(), bare(task)
    jobs = [book.score(lm, replace(baseline, name=name), task.held_out, None) for name in ("one", "two", "three")]
    parts = [[next(job)] for job in jobs]
    assert [part.n for (part,) in parts] == [1, 2, 3], "each does the next batch of the same scoring"
    jobs[0].close()  # its session ended
    for part, job in zip(parts[1:], jobs[1:], strict=True):
        part += job
    assert calls == ["one"]
    assert [part[-1].name for part in parts[1:]] == ["two", "three"]
    whole = replace(score(lm, baseline, task.held_out), name="two")
    assert parts[1][-1] == whole and replace(parts[2][-1], name="two") == whole
    assert not book._running


def test_a_score_whose_jobs_all_ended_is_computed_anew():
    lm, task, book = make("llama"), label_task(), Scorebook()
    job = book.score(lm, bare(task), task.held_out * 20, task.labels)
    next(job)
    assert book._running
    job.close()
    assert not book._running
    *_, latest = book.score(lm, bare(task), task.held_out * 20, task.labels)
    assert latest.n == 20 * len(task.held_out)
