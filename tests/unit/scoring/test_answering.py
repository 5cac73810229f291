"""One text answered: the same words, and the same label, as scoring and plain generation give."""

import pytest
import torch
from tiny_models import ARCHITECTURES, EXAMPLES, label_task, make, random_prefix

from core.errors import LabError
from core.models.past import expand
from core.prefix import no_prefix
from core.scoring.answering import answer, label_probabilities
from core.scoring.contender import Contender
from core.scoring.rows import join
from core.scoring.score import score


def contender(lm, kind, template="{input} is", placement="before"):
    prefix = no_prefix() if kind == "none" else random_prefix(lm, kind, 5)
    return Contender("x", kind, template, prefix, placement)


@pytest.mark.parametrize("kind", ["none", "prompt", "prefix"])
@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_answer_is_greedy_generation_shown_word_by_word(tiny, arch, bos, kind):
    lm = tiny(arch, bos)
    asked = contender(lm, kind)
    said = list(answer(lm, asked, "the quick brown fox"))
    ids = torch.tensor([*lm.lead, *lm.tokenise(join("{input} is", "the quick brown fox")[0])])
    tokens = list(lm.generate(expand(asked.prefix.fill(lm), 1), ids, 12))
    texts = [lm.tokenizer.decode(tokens[: end + 1], clean_up_tokenization_spaces=False) for end in range(len(tokens))]
    lines = next((end for end, text in enumerate(texts) if "\n" in text.lstrip()), len(texts))
    assert said == [text.strip().rstrip("\ufffd") for text in texts[:lines]]  # without a character that is not whole yet


@pytest.mark.parametrize("placement", ["before", "after"])
def test_labels_share_the_probability_as_scoring_sees_it(tiny, placement):
    lm, task = tiny("llama", True), label_task()
    asked = contender(lm, "prompt", task.template, placement)
    for result in score(lm, asked, task.held_out, task.labels).results:
        shares = label_probabilities(lm, asked, result.input, task.labels)
        assert sum(shares) == pytest.approx(1)
        assert task.labels[max(range(2), key=shares.__getitem__)] == result.said


def test_what_cannot_be_answered_is_refused(tiny):
    lm = tiny("llama")
    for text in ("", "  \n"):
        with pytest.raises(LabError, match="no text to answer"):
            next(answer(lm, contender(lm, "none"), text))
    with pytest.raises(LabError, match="the model has 160"):
        next(answer(lm, contender(lm, "prompt"), "walk " * 200))


def test_an_answer_changes_nothing_for_the_next_one():
    lm = make("llama")
    asked = contender(lm, "prompt")
    first = list(answer(lm, asked, EXAMPLES[0].input))
    pieces = answer(lm, asked, EXAMPLES[1].input)
    next(pieces)  # another answer in between
    assert not torch.is_inference_mode_enabled()
    assert list(answer(lm, asked, EXAMPLES[0].input)) == first
