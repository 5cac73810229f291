"""The fast way (one shared prefill, few logits) gives the plain way's numbers, PEFT's numbers, and the text's own."""

import pytest
import torch
from plain import peft_loss, plain_logits, plain_loss, relative_error
from tiny_models import ARCHITECTURES, EXAMPLES, SLIDING_WINDOW, kv_prefix, label_task, make, random_prefix

from core.bench import peft_model
from core.models.past import expand
from core.prefix import no_prefix
from core.scoring.contender import Contender
from core.scoring.likelihood import answer_loss, candidate_scores, label_loss
from core.scoring.prepared import prepare
from core.scoring.rows import Row, encode
from core.scoring.score import score
from core.tasks.task import Example

SHORT, LONG = 4, 2 * SLIDING_WINDOW + 3
BARE, SHARED, EXAMPLE_FIRST = "{input}", "Word: {input} gives", "fox -> foxes\ndog -> dogs\n{input} ->"


def fast_loss(lm, prefix, template):
    prepared = prepare(lm, Contender("x", prefix.kind, template, prefix), EXAMPLES, None)
    return answer_loss(lm, prepared.fill(lm), prepared.rows), prepared


def gradient(loss, prefix):
    (parameter,) = prefix.parameters()
    (found,) = torch.autograd.grad(loss, parameter)
    return found


def assert_same(loss, plain, prefix):
    """The same loss, with the same gradient."""
    assert loss.item() == pytest.approx(plain.item(), abs=1e-5)
    assert relative_error(gradient(loss, prefix), gradient(plain, prefix)) < 1e-5


def assert_plain(lm, prefix, template):
    loss, prepared = fast_loss(lm, prefix, template)
    assert_same(loss, plain_loss(lm, prefix, encode(lm, template, EXAMPLES, None)), prefix)
    return loss, prepared


@pytest.mark.parametrize("template", [BARE, SHARED, EXAMPLE_FIRST])
@pytest.mark.parametrize("count", [1, SHORT, LONG])
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_loss_and_gradient_are_the_plain_ways(tiny, arch, kind, count, template):
    lm = tiny(arch)
    _, prepared = assert_plain(lm, random_prefix(lm, kind, count), template)
    assert bool(prepared.shared) == (template != BARE)


@pytest.mark.parametrize("count", [SHORT, LONG])
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_with_a_bos_token_the_vectors_are_before_it_as_in_peft(tiny, arch, kind, count):
    lm = tiny(arch, bos=True)
    _, prepared = assert_plain(lm, random_prefix(lm, kind, count), SHARED)
    assert prepared.shared[0] == lm.tokenizer.bos_token_id


@pytest.mark.parametrize("template", [BARE, SHARED])
@pytest.mark.parametrize("arch", ["llama", "gemma3"])
def test_placement_after_puts_the_vectors_between_bos_and_the_words(tiny, arch, template):
    lm = tiny(arch, bos=True)
    prefix = random_prefix(lm, "prompt", SHORT)
    prepared = prepare(lm, Contender("x", "prompt", template, prefix, placement="after"), EXAMPLES, None)
    loss = answer_loss(lm, prepared.fill(lm), prepared.rows)
    total, tokens = 0.0, 0
    for row in encode(lm, template, EXAMPLES, None):
        words = lm.embed(torch.tensor([*row.prompt, *row.answer]))
        inputs = torch.cat([words[:1], prefix.vectors, words[1:]])
        logits = lm.model(inputs_embeds=inputs[None]).logits[0]
        size = len(row.answer)
        total = total + torch.nn.functional.cross_entropy(logits[-size - 1 : -1], torch.tensor(row.answer), reduction="sum")
        tokens += size
    assert_same(loss, total / tokens, prefix)
    before = plain_loss(lm, prefix, encode(lm, template, EXAMPLES, None))
    assert abs(loss.item() - before.item()) > 1e-3  # so the placement does matter here


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_label_loss_and_gradient_are_the_plain_ways(tiny, arch):
    lm = tiny(arch)
    task = label_task()
    prefix = random_prefix(lm, "prompt", LONG)
    prepared = prepare(lm, Contender("x", "prompt", task.template, prefix), task.train, task.labels)
    loss = label_loss(lm, prepared.fill(lm), prepared.rows)
    rows = encode(lm, task.template, task.train, task.labels)
    plain = torch.nn.functional.cross_entropy(brute_force(lm, prefix, rows), torch.tensor([row.label for row in rows]))
    assert_same(loss, plain, prefix)


@pytest.mark.parametrize("template", [BARE, SHARED])
@pytest.mark.parametrize("count", [SHORT, LONG])
@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_loss_and_gradient_are_pefts_own(arch, kind, count, template):
    lm = make(arch)  # PEFT marks the model that it wraps
    prefix = random_prefix(lm, kind, count)
    loss, _ = fast_loss(lm, prefix, template)
    model = peft_model(lm, prefix).eval()
    theirs = peft_loss(lm, model, encode(lm, template, EXAMPLES, None))
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-5)
    (weight,) = (parameter for parameter in model.parameters() if parameter.requires_grad)
    (their_gradient,) = torch.autograd.grad(theirs, weight)
    ours = gradient(loss, prefix)
    ours = ours if kind == "prompt" else ours.permute(2, 0, 1, 3, 4).reshape(count, -1)
    assert relative_error(ours, their_gradient) < 1e-5


@pytest.mark.parametrize("kind", ["prompt", "prefix", "none"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_rows_score_does_not_depend_on_its_batch_or_padding(tiny, arch, kind):
    lm = tiny(arch)
    prefix = no_prefix() if kind == "none" else random_prefix(lm, kind, LONG)
    contender = Contender("x", kind, BARE, prefix)
    longer = [*EXAMPLES, Example("the quick brown fox jumps over the lazy dog and runs away from the garden", "yes and no")]
    together = score(lm, contender, longer).results
    alone = [score(lm, contender, [example]).results[0] for example in longer]
    assert [result.loss for result in together] == pytest.approx([result.loss for result in alone], abs=1e-4)
    assert [result.said for result in together] == [result.said for result in alone]


@pytest.mark.parametrize("template", [SHARED, EXAMPLE_FIRST])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_a_handcrafted_prompt_scores_as_its_plain_text(tiny, arch, bos, template):
    lm = tiny(arch, bos)
    contender = Contender("x", "handcrafted", template, no_prefix())
    assert len(prepare(lm, contender, EXAMPLES, None).shared) >= 2
    for example, result in zip(EXAMPLES, score(lm, contender, EXAMPLES).results, strict=True):
        prompt = template.replace("{input}", example.input)
        whole = lm.tokenizer(prompt + " " + example.output, return_tensors="pt").input_ids  # one string, BOS and all
        start = lm.tokenizer(prompt, return_tensors="pt").input_ids.shape[1]
        log_probs = lm.model(input_ids=whole).logits[0].log_softmax(-1)
        answer = whole[0, start:]
        loss = -log_probs[start - 1 : -1].gather(1, answer[:, None]).sum()
        assert result.loss == pytest.approx(loss.item(), abs=1e-4)
        assert result.tokens == len(answer)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_keys_and_values_of_a_text_score_as_that_text(tiny, arch):
    lm = tiny(arch)
    text = lm.tokenise("the quick brown fox jumps over the lazy dog")
    assert len(text) > SLIDING_WINDOW
    prefix = kv_prefix(lm.keys_values(text))
    loss, _ = fast_loss(lm, prefix, BARE)
    rows = [Row(row.example, (*text, *row.prompt), row.answer) for row in encode(lm, BARE, EXAMPLES, None)]
    assert loss.item() == pytest.approx(plain_loss(lm, no_prefix(), rows).item(), abs=1e-5)


def greedy(lm, prefix, ids, most):
    """Greedy generation the slow way: the whole input anew for every token."""
    said = []
    for _ in range(most):
        row = torch.tensor([[*ids, *said]])
        said.append(int(plain_logits(lm, prefix, row, torch.ones_like(row))[0, -1].argmax()))
    return said


@pytest.mark.parametrize("kind", ["prompt", "prefix", "none"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_generation_after_a_cache_is_greedy_generation(tiny, arch, kind):
    lm = tiny(arch)
    prefix = no_prefix() if kind == "none" else random_prefix(lm, kind, LONG)
    shared, rest = lm.tokenise("the quick brown"), lm.tokenise(" fox jumps")
    cache = prefix.fill(lm, (), shared)
    for _ in range(2):  # the prefix's cache is not used up
        assert list(lm.generate(expand(cache, 1), torch.tensor(rest), 12)) == greedy(lm, prefix, [*shared, *rest], 12)


def test_generation_ends_before_a_stop_token_and_at_the_window(tiny):
    lm = make("llama")
    ids = torch.tensor(lm.tokenise("the quick brown"))
    said = list(lm.generate(no_prefix().fill(lm), ids, 12))
    lm.stop_tokens = {said[3]}
    first = said.index(said[3])
    assert list(lm.generate(no_prefix().fill(lm), ids, 12)) == said[:first]
    lm.stop_tokens = set()
    assert len(list(lm.generate(no_prefix().fill(lm), ids, 1000))) == lm.window - len(ids) + 1


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_a_model_that_caps_its_logits_still_does(kind):
    capped, free = make("gemma3", final_logit_softcapping=1.5), make("gemma3")
    prefix = random_prefix(capped, kind, LONG)
    loss, prepared = assert_plain(capped, prefix, SHARED)
    assert abs(loss.item() - fast_loss(free, prefix, SHARED)[0].item()) > 0.1
    batch = torch.tensor([prepared.rows[1].prompt])
    place = torch.zeros(1, dtype=torch.long)
    with torch.no_grad():
        assert capped.logits_at(expand(prepared.fill(capped), 1), batch, place, place).abs().max() <= 1.5


def brute_force(lm, prefix, rows):
    """Each label's natural-log probability, from full logits of prompt and label run as one row."""
    totals = []
    for row in rows:
        for ids in row.candidates:
            whole = torch.tensor([[*row.prompt, *ids]])
            log_probs = plain_logits(lm, prefix, whole, torch.ones_like(whole))[0].log_softmax(-1)
            start = len(row.prompt) - 1
            totals.append(log_probs[start : start + len(ids)].gather(1, torch.tensor(ids)[:, None]).sum())
    return torch.stack(totals).view(len(rows), -1)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_labels_of_several_tokens_score_as_brute_force_does(tiny, arch):
    lm = tiny(arch)
    labels = ("bad", "very good", "too long; red")
    examples = [Example(e.input, labels[number % 3]) for number, e in enumerate(EXAMPLES)]
    prefix = random_prefix(lm, "prompt", SHORT)
    prepared = prepare(lm, Contender("x", "prompt", "{input}\nLabel:", prefix), examples, labels)
    assert len({len(ids) for ids in prepared.rows[0].candidates}) == 3
    found, _ = candidate_scores(lm, prepared.fill(lm), prepared.rows)
    brute = brute_force(lm, prefix, encode(lm, "{input}\nLabel:", examples, labels))
    torch.testing.assert_close(found, brute, atol=1e-4, rtol=0)
    results = score(lm, Contender("x", "prompt", "{input}\nLabel:", prefix), examples, labels).results
    assert [result.said for result in results] == [labels[int(row.argmax())] for row in brute]


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_labels_of_one_token_score_the_same_by_either_way(tiny, arch):
    lm = tiny(arch)
    red, blue, long = (50,), (60,), (70, 80)
    single = [Row(e, tuple(lm.tokenise(e.input)), red, (red, blue), 0) for e in EXAMPLES]
    mixed = [*single, Row(EXAMPLES[0], single[0].prompt, red, (red, long), 0)]  # one long label sends all of them the long way
    cache = random_prefix(lm, "prompt", SHORT).fill(lm)
    scores, firsts = candidate_scores(lm, cache, single)
    slow_scores, slow_firsts = candidate_scores(lm, cache, mixed)
    torch.testing.assert_close(scores, slow_scores[:-1], atol=1e-5, rtol=0)
    assert torch.equal(firsts, slow_firsts[:-1])


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_running_rows_leaves_the_shared_cache_as_it_was(tiny, arch):
    lm = tiny(arch)
    prefix = random_prefix(lm, "prompt", LONG)
    first, prepared = fast_loss(lm, prefix, SHARED)
    cache = prepared.fill(lm)
    keys = [layer.keys.clone() for layer in cache.layers]
    assert answer_loss(lm, cache, prepared.rows).item() == first.item()
    assert answer_loss(lm, cache, prepared.rows).item() == first.item()
    assert all(torch.equal(layer.keys, key) for layer, key in zip(cache.layers, keys, strict=True))
