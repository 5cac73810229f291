"""How labels are compared: by sum, mean or calibrated, with an end where one begins another, in pieces that fit the memory."""

from dataclasses import replace

import pytest
import torch
from tiny_models import label_task, make

import core.scoring.likelihood as likelihood
from core.errors import LabError
from core.recipe import Recipe
from core.scoring.calibration import content_free_shares
from core.scoring.contender import by_one_score, handcrafted
from core.scoring.likelihood import candidate_scores, resolved
from core.scoring.prepared import prepare
from core.scoring.rows import END, answer_ends, encode
from core.scoring.score import score
from core.tasks.task import Example
from core.training.training import Training

PROMPT = handcrafted("a", "Review: {input}\nLabel:")
BEGUN = ("1", "10", "100", "New York", "New York City", "good")
APART = ("good", "very good film", "bad")


def rows_of(labels, count=9):
    return [Example(f"a film, number {i}{' again' * (i % 3)}", labels[i % len(labels)]) for i in range(count)]


def by_hand(lm, prompt, ids):
    """Log-probabilities of a label's tokens, from one plain pass."""
    with torch.inference_mode():
        logs = torch.log_softmax(lm.model(torch.tensor([[*prompt, *ids[:-1]]])).logits[0].float(), dim=-1)
    ends = answer_ends(lm)
    at = range(len(prompt) - 1, len(prompt) - 1 + len(ids))
    return [float(logs[i, ends].logsumexp(0) if token == END else logs[i, token]) for i, token in zip(at, ids, strict=True)]


@pytest.mark.parametrize("labels", [BEGUN, APART], ids=["one begins another", "apart"])
@pytest.mark.parametrize("most", [1, 70, 24_576])
def test_the_probability_of_each_label_is_that_of_a_plain_pass_in_pieces_of_any_size(lm, labels, most, monkeypatch):
    monkeypatch.setattr(likelihood, "MOST_KEYS", most)
    prepared = prepare(lm, PROMPT, rows_of(labels), labels)
    with torch.inference_mode():
        found, _ = candidate_scores(lm, prepared.fill(lm), prepared.rows)
    for row, sums in zip(encode(lm, PROMPT.template, rows_of(labels), labels), found, strict=True):
        wanted = [sum(by_hand(lm, row.prompt, ids)) for ids in row.candidates]
        assert sums.tolist() == pytest.approx(wanted, abs=1e-4)


def test_labels_end_only_where_one_begins_another(lm):
    begun, apart = (encode(lm, PROMPT.template, rows_of(labels), labels)[0] for labels in (BEGUN, APART))
    assert all(ids[-1] == END for ids in begun.candidates) and END not in begun.answer
    assert not any(END in ids for ids in apart.candidates)
    with pytest.raises(LabError, match="same tokens"):
        encode(lm, PROMPT.template, [Example("a", "b")], ["b", "b"])


def test_an_end_is_a_stop_token_or_a_new_line(lm):
    ends = answer_ends(lm)
    assert set(lm.stop_tokens) <= set(ends) and lm.tokenise("\n")[0] in ends
    assert all(token in lm.stop_tokens or lm.token_text(token).lstrip(" ").startswith("\n") for token in ends)


def test_the_rules_compare_sums_means_and_what_a_label_gets_for_nothing(lm):
    rows = rows_of(APART, 30)
    encoded = encode(lm, PROMPT.template, rows, APART)
    sums = torch.tensor([[sum(by_hand(lm, row.prompt, ids)) for ids in row.candidates] for row in encoded])
    lengths = torch.tensor([len(ids) for ids in encoded[0].candidates])
    free = torch.tensor(content_free_shares(lm, PROMPT, APART))
    for rule, compared in (("sum", sums), ("mean", sums / lengths), ("calibrated", sums - free)):
        found = score(lm, by_one_score([PROMPT], rule)[0], rows, APART)
        assert [r.shares.index(max(r.shares)) for r in found.results] == compared.argmax(dim=1).tolist()
        loss = -sum(float(row[APART.index(example.output)]) for row, example in zip(sums, rows, strict=True)) / len(rows)
        assert found.label_score == rule and found.loss == pytest.approx(loss, abs=1e-3)  # nats per answer, however labels are compared


def test_by_themselves_labels_are_calibrated_where_their_lengths_differ_and_else_compared_by_the_sum(lm):
    equal = ("sea", "shore", "jump", "play")
    for labels, rule in ((APART, "calibrated"), (equal, "sum")):
        rows = rows_of(labels, 12)
        assert len(labels) > 1 and resolved("auto", encode(lm, PROMPT.template, rows, labels)) == rule
        auto, wanted = (score(lm, by_one_score([PROMPT], name)[0], rows, labels) for name in ("auto", rule))
        assert [r.shares for r in auto.results] == [r.shares for r in wanted.results]


def test_by_themselves_labels_are_compared_by_the_sum_for_a_prompt_that_was_trained(lm):
    rows = rows_of(APART, 12)
    task = replace(label_task(), template=PROMPT.template)
    learned = Training(lm, task, Recipe(steps=1, virtual_tokens=2)).contender()
    auto, by_sum, calibrated = (score(lm, by_one_score([learned], name)[0], rows, APART) for name in ("auto", "sum", "calibrated"))
    assert [r.shares for r in auto.results] == [r.shares for r in by_sum.results] != [r.shares for r in calibrated.results]


def test_two_hundred_labels_share_what_they_begin_with_and_are_run_few_at_a_time(monkeypatch):
    lm = make("llama")
    labels = tuple(f"the kind number {i // 10} {i % 10}" for i in range(200))
    rows, widths = rows_of(labels, 4), []
    run = lm.logits_at
    monkeypatch.setattr(lm, "logits_at", lambda cache, ids, *more: widths.append(ids.shape) or run(cache, ids, *more))
    monkeypatch.setattr(likelihood, "MOST_KEYS", 2000)
    prepared = prepare(lm, PROMPT, rows, labels)
    with torch.inference_mode():
        candidate_scores(lm, prepared.fill(lm), prepared.rows)
    sequences = sum(many for many, _ in widths if many > len(rows))
    assert max(many for many, _ in widths) < 2000 // 20
    different = len({ids[:-1] for ids in prepared.rows[0].candidates})
    assert different < 200 and sequences <= different * len(rows)
