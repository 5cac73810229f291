"""A text that imitates a prompt: found at once where the prompt is a text, never worse, as brute force finds it, blind to held-out rows."""

import itertools
from dataclasses import replace

import pytest
import torch
from generators import returned
from tiny_models import answer_task, label_task, make, random_prefix, soft_prompt

from core.errors import LabError
from core.events import Progress
from core.inspection.snap import snap
from core.prefix import no_prefix
from core.probes import text_rounds
from core.probes.text_rounds import Round, at_a_time, begin, divergences, listen, next_round, random_text, readable, search, words_of
from core.probes.text_search import Found, as_prompt, best_written, in_words, surprise, text_search
from core.recipe import Recipe
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender
from core.scoring.imitation import answer_logs, divergence
from core.scoring.prepared import prepare
from core.tasks.task import Example, Handcrafted
from core.training.start import create

TEXT = "the quick brown fox:\n"
SHORT = dict(rounds=3, candidates=6, rows=4)


def of_text(lm, text=TEXT, placement="before"):
    """A soft prompt that is the embeddings of a text."""
    return Contender("learned", "prompt", "{input}", soft_prompt(lm.embed_ids(lm.tokenise(text))), placement)


def learned(lm, method="prompt", count=3):
    return Contender("learned", method, "{input}", random_prefix(lm, method, count))


def found_by(lm, contender, task=None, **more):
    """The rounds of both searches, and the end."""
    events = text_search(lm, task or answer_task(), contender, Scorebook(), **(SHORT | more))
    progress, *rounds, end = (event for event in events if event is not None)
    assert isinstance(progress, Progress) and progress.total >= len(rounds) + 1 and isinstance(end, Found)
    assert all(isinstance(one, Round) for one in rounds)
    return rounds, end


def of(rounds, start):
    return [one for one in rounds if one.start == start]


@pytest.fixture(scope="module")
def found(lm):
    """The rounds and the end of a search for a random prompt."""
    return found_by(lm, learned(lm), rounds=6)


@pytest.mark.parametrize("arch", ["llama", "gemma3"])
def test_a_prompt_that_is_a_text_is_found_at_once(tiny, arch):
    rounds, end = found_by(tiny(arch), of_text(tiny(arch)))
    (first,) = of(rounds, "words")
    assert first.text == TEXT and first.kl == pytest.approx(0, abs=1e-5) and first.over
    words, mine = end.of("words"), end.of("learned")
    assert words.text == TEXT and words.likeness.kl == pytest.approx(0, abs=1e-5) and words.likeness.share == 1
    assert [one.said for one in words.score.results] == [one.said for one in mine.score.results]
    assert of(rounds, "random")[-1].kl > 0.01  # the control has to search


def test_the_same_holds_behind_a_token_that_begins_every_text():
    lm = make("llama", bos=True)
    for placement in ("after", "before"):
        contender = of_text(lm, placement=placement)
        target = returned(listen(lm, contender, answer_task().train, 4, 0))
        first = begin(lm, target, "words", words_of(lm, contender, target))
        assert first.text == TEXT and first.over == (placement == "after")  # vectors before that token are no text


@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_no_round_is_worse_than_the_one_before(lm, method, found):
    rounds, end = found if method == "prompt" else found_by(lm, learned(lm, method), rounds=6)
    assert {one.start for one in rounds} == ({"words", "random"} if method == "prompt" else {"random"})
    for start in {one.start for one in rounds}:
        values = [one.kl for one in of(rounds, start)]
        assert values == sorted(values, reverse=True) and values[-1] < values[0] and len(values) == 7
        assert end.of(start).kl == values[-1] and end.of(start).text == of(rounds, start)[-1].text
    assert (end.of("words") is None) == (method == "prefix")


def test_what_is_shown_is_what_is_run_and_scored(lm, found):
    """The text of every round, put before the template and tokenised by the scoring code, has the divergence that the round reports."""
    task = answer_task()
    target = returned(listen(lm, learned(lm), task.train, 4, 0))
    for one in found[0]:
        assert lm.tokenise(one.text) == list(one.ids)
        scored = prepare(lm, as_prompt(task, target, "words", one), [row.example for row in target.rows], None)
        rows = [replace(row, answer=own.answer) for row, own in zip(scored.rows, target.rows, strict=True)]
        with torch.no_grad():
            apart = divergence(target.logs, answer_logs(lm, scored.fill(lm), rows)).mean().item()
        assert apart == pytest.approx(one.kl, abs=1e-5)


def test_texts_that_read_otherwise_are_no_candidates(lm):
    target = returned(listen(lm, learned(lm), answer_task().train, 4, 0))
    split = [token for sign in "jump:\n" for token in lm.tokenise(sign)]
    assert lm.decode(split) == "jump:\n" and lm.tokenise("jump:\n") != split
    texts = [lm.tokenise(TEXT), split, lm.tokenise("the {input}\n")]
    assert readable(lm, target, texts) == [True, False, False]


def test_with_all_candidates_one_round_finds_what_brute_force_finds(lm, monkeypatch):
    monkeypatch.setattr(text_rounds, "TOP", 10_000)
    monkeypatch.setattr(lm, "ordinary_tokens", lm.ordinary_tokens[:60])
    target = returned(listen(lm, learned(lm), answer_task().train, 3, 0))
    first = begin(lm, target, "random", random_text(lm, target, 1, 0))
    after = returned(next_round(lm, target, first, 10_000, 0))
    every = [[token] for token in lm.ordinary_tokens.tolist()]
    every = [text for text, good in zip(every, readable(lm, target, every), strict=True) if good]
    values = [divergences(lm, target, [text])[0] for text in every]  # each alone, not in a batch
    best = min(range(len(every)), key=values.__getitem__)
    assert len(every) > 20 and after.tried == len(every) - 1 and list(after.ids) == every[best]
    assert after.kl == pytest.approx(values[best], abs=1e-6)
    last = returned(next_round(lm, target, after, 10_000, 0))
    assert last.ids == after.ids and last.over  # there is nothing left to try


def test_a_text_is_swapped_in_one_place_a_round_and_no_swap_is_tried_twice(found):
    for start in ("words", "random"):
        own = of(found[0], start)
        for one, other in itertools.pairwise(own):
            changed = sum(a != b for a, b in zip(one.ids, other.ids, strict=True))
            assert changed == (other.kl < one.kl) and (changed == 1 or other.looked > one.looked or one.over)


def test_held_out_rows_choose_nothing(lm, found):
    task = answer_task()
    poison = tuple(Example(f"zz{number} {row.input}", f"poison {number}") for number, row in enumerate(task.held_out))
    plain, end = found
    other, poisoned = found_by(lm, learned(lm), replace(task, held_out=poison), rounds=6)
    assert plain == other
    assert poisoned.of("handcrafted").text == end.of("handcrafted").text and poisoned.of("words").score.accuracy == 0


def test_the_handcrafted_prompt_is_chosen_on_validation_rows(lm):
    from core.scoring.contender import written
    from core.scoring.score import score

    prompts = tuple(Handcrafted(f"p{number}", text) for number, text in enumerate(("{input} ->", "so {input} is", "{input}: yes yes yes,")))
    task = answer_task(handcrafted=prompts)
    task = replace(task, validation=tuple(replace(row, output="yes") for row in task.validation))
    best = max(prompts, key=lambda one: score(lm, written(task, one), task.validation).accuracy)
    assert returned(best_written(lm, task, learned(lm), Scorebook())).name == best.name
    assert returned(best_written(lm, replace(task, validation=()), learned(lm), Scorebook())) is None


@pytest.mark.parametrize("stopped", [1, 7])
def test_a_search_that_is_stopped_and_continued_is_the_same(lm, found, stopped):
    whole, end = found
    again, continued = found_by(lm, learned(lm), rounds=6, done=whole[:stopped])
    assert [replace(one, known=False) for one in again] == whole
    assert [one.known for one in again] == [True] * stopped + [False] * (len(whole) - stopped)
    assert [one.text for one in continued.verdicts] == [one.text for one in end.verdicts]


def test_the_control_does_not_start_where_a_run_of_the_same_seed_started(lm):
    """A run's vectors mostly keep the words that they started from: the same draw again would be no control."""
    task = answer_task()
    begun = create(lm, task, Recipe(task="tiny", virtual_tokens=8, init="vocab", seed=0))
    contender = Contender("learned", "prompt", "{input}", begun)
    target = returned(listen(lm, contender, task.train, 2, 0))
    nearest = snap(begun.array().detach(), lm.vocabulary)[0].tolist()
    assert sum(a == b for a, b in zip(random_text(lm, target, 8, 0), nearest, strict=True)) <= 1


def test_labels_are_answered_too(lm):
    _, end = found_by(lm, learned(lm), label_task())
    assert end.of("words").likeness.n == end.of("words").score.n == end.of("learned").score.n
    assert "held-out rows right" in in_words(end) and "Readability" in in_words(end)


def test_readability_is_the_models_own_loss(lm):
    ids = lm.tokenise(TEXT)
    logits = lm.model(input_ids=torch.tensor([ids])).logits[0, :-1]
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:])).item()
    assert surprise(lm, ids) == pytest.approx(wanted, abs=1e-5)
    assert surprise(lm, ids[:1]) is None and surprise(make("llama", bos=True), ids[:1]) is not None


def test_texts_are_run_in_batches_that_fit(lm, monkeypatch):
    target = returned(listen(lm, learned(lm), answer_task().train, 4, 0))
    texts = [random_text(lm, target, 4, seed) for seed in range(3)]
    together = divergences(lm, target, texts)
    assert together == pytest.approx([divergences(lm, target, [text])[0] for text in texts], abs=1e-5)
    monkeypatch.setattr(text_rounds, "MOST_LOGITS", 1)
    assert at_a_time(lm, target, 4) == 1


def test_models_without_a_cache_search_alike(lm):
    plain = make("llama")
    plain.way = replace(plain.way, caches=False)
    found = []
    for one in (lm, plain):
        target = returned(listen(one, learned(lm), answer_task().train, 3, 0))
        found.append([event for event in search(one, target, {"random": random_text(one, target, 3, 0)}, 2, 4, 0) if event])
    for one, other in zip(*found, strict=True):
        assert one.text == other.text and one.kl == pytest.approx(other.kl, abs=1e-4)


def test_a_search_can_be_left_between_any_two_pieces(lm):
    target = returned(listen(lm, learned(lm), answer_task().train, 3, 0))
    pieces = search(lm, target, {"random": random_text(lm, target, 3, 0)}, 2, 4, 0)
    assert next(pieces) is not None
    next(pieces)
    assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    pieces.close()


@pytest.mark.parametrize(
    "numbers, words",
    [({"rounds": 0}, "0 rounds"), ({"candidates": 9999}, "9999 candidates"), ({"rows": -1}, "-1 rows"), ({"seed": -1}, "seed is -1")],
)
def test_bad_numbers_are_one_sentence(lm, numbers, words):
    with pytest.raises(LabError, match=words):
        found_by(lm, learned(lm), **numbers)


def test_prompts_that_no_text_is_searched_for_are_refused(lm):
    with pytest.raises(LabError, match="no learned prompt"):
        found_by(lm, Contender("no prompt", "none", "{input}", no_prefix()))
    with pytest.raises(LabError, match="more than 64"):
        found_by(lm, learned(lm, count=65))
    with pytest.raises(LabError, match="no training rows"):
        found_by(lm, learned(lm), answer_task(train=()))
