"""Each reading on prompts whose meaning is built in: vectors that are a text's own tokens must be read as that text."""

import pytest
import torch
from generators import returned

from core.models.past import expand
from core.probes.hears import said_alone
from core.scoring.contender import Contender
from core.truths.behaviour import Behaviours
from core.truths.frames import FRAMES, frame_of, likelihoods
from core.truths.heard import continued
from core.truths.readings import READINGS, Readers, embedding_match
from core.truths.states import alike, states_after, text_states
from core.truths.truths import Truth, Truths
from core.truths.words import shared_words

TEXTS = ("the quick brown fox", "she sells sea shells", "one two three four five", "the capital of France")
TRUTHS = Truths(
    "\n{input} gives",
    ("jump", "walk", "play", "run"),
    ("sea", "the garden"),
    tuple(Truth(name, "task", text) for name, text in zip("abcd", TEXTS, strict=True)),
)


@pytest.fixture(scope="module")
def readers(lm):
    return Readers(lm, Behaviours(lm, TRUTHS))


def vectors_of(lm, text):
    return lm.embed_ids(lm.tokenise(text))


@pytest.mark.parametrize("true", range(len(TEXTS)))
def test_a_prompt_that_is_a_text_is_read_as_that_text(lm, readers, true):
    vectors = vectors_of(lm, TEXTS[true])
    read = returned(readers.read(vectors, TEXTS, readers.usual(vectors_of(lm, "call() run()"), TEXTS)))
    for name in ("snapped", "nearest", "embeddings", "states", "behaviour"):
        assert max(range(len(TEXTS)), key=lambda i, of=read.scores[name]: of[i]) == true, name
    assert read.said["snapped"] == TEXTS[true] and read.scores["snapped"][true] == pytest.approx(1)
    assert read.scores["embeddings"][true] == pytest.approx(1) == read.scores["states"][true]
    assert read.scores["behaviour"][true] == pytest.approx(0, abs=1e-3) and sorted(read.scores["behaviour"])[-2] < -0.1
    assert set(read.scores) == set(READINGS) - {"chat"}  # this model has no chat template
    assert all(len(scores) == len(TEXTS) for scores in read.scores.values())


def test_what_is_taken_off_a_likelihood_is_the_controls(lm, readers):
    """A prompt that is its own control has no likelihood left, whatever the candidates are."""
    vectors = vectors_of(lm, TEXTS[0])
    read = returned(readers.read(vectors, TEXTS, readers.usual(vectors, TEXTS)))
    asked = [*FRAMES, "patched"]
    assert [read.scores[name] for name in asked] == [[0.0] * len(TEXTS)] * len(asked)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_around_real_tokens_is_the_sentence_with_these_words(lm, name):
    """The likelihood is the plain model's, of the whole text run at once."""
    frame, text = frame_of(lm, FRAMES[name]), TEXTS[0]
    ids = [*frame.before, *lm.tokenise(text), *frame.after]
    answer = lm.continued(frame.lead + TEXTS[1])
    logs = torch.log_softmax(lm.model(input_ids=torch.tensor([[*ids, *answer]])).logits[0].float(), dim=-1)
    plain = sum(logs[len(ids) - 1 + i, token].item() for i, token in enumerate(answer)) / len(answer)
    assert likelihoods(lm, frame, frame.fill(lm, vectors_of(lm, text)), [TEXTS[2], TEXTS[1]])[1].item() == pytest.approx(plain, abs=1e-4)


def test_the_tokens_of_a_frame_are_those_of_its_text(lm):
    frame = frame_of(lm, 'Word "§" means: ')
    assert lm.decode(frame.before) == 'Word "' and lm.decode(frame.after) == '" means:' and frame.lead == " "


def test_a_frame_with_a_chat_is_there_where_the_model_has_a_template(lm, monkeypatch):
    template = "{% for turn in messages %}User: {{ turn.content }}\n{% endfor %}Assistant:"
    monkeypatch.setattr(lm.tokenizer, "chat_template", template)
    chat = Readers(lm, Behaviours(lm, TRUTHS)).frames["chat"]
    assert lm.decode(chat.before).startswith("User: What does") and lm.decode(chat.after) == "\nAssistant:"


def test_continuations_in_one_pass_are_those_of_one_after_another(lm):
    past = frame_of(lm, "§\n").fill(lm, vectors_of(lm, TEXTS[0]))
    token = lm.tokenise("\n")[-1]
    greedy, *sampled = continued(lm, past, token, 6, samples=3, seed=1)
    [*_, alone] = said_alone(lm, Contender("x", "handcrafted", TEXTS[0] + "\n{input}", _nothing()), most=6, samples=0)
    assert greedy == alone.text
    assert continued(lm, expand(past, 1), token, 6, samples=3, seed=1) == [greedy, *sampled]
    assert len(set(sampled)) > 1


def _nothing():
    from core.prefix import no_prefix

    return no_prefix()


def test_the_state_after_a_prompt_is_the_models_own(lm):
    states = states_after(lm, vectors_of(lm, TEXTS[0]))
    ids = torch.tensor([[*lm.tokenise(TEXTS[0]), *lm.tokenise("\n")]])
    hidden = lm.model(input_ids=ids, output_hidden_states=True).hidden_states
    assert torch.allclose(states[1, -1], hidden[1][0, -1], atol=1e-4) and len(states) == lm.layers + 1
    assert torch.allclose(text_states(lm, TEXTS[:1], 1)[0], hidden[1][0, -1], atol=1e-4)


def test_activations_are_compared_without_what_all_candidates_share():
    shared = torch.tensor([100.0, 0.0, 0.0])
    candidates = shared + torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, -1.0]])
    assert alike(shared + torch.tensor([0.0, 0.1, 2.0]), candidates).argmax() == 1


def test_behaviour_is_the_divergence_from_what_the_candidate_does(lm):
    """A prompt that is one candidate's text is as far from another one as the two texts are from each other."""
    behaviours = Behaviours(lm, TRUTHS)
    kl = behaviours.divergences(vectors_of(lm, TEXTS[0]), TEXTS)
    assert kl[0] == pytest.approx(0, abs=1e-3) and min(kl[1:]) > 0.1
    answers, logs = behaviours.of(TEXTS[1])
    assert len(answers) == len(TRUTHS.held_out) and len(logs) == sum(map(len, answers))


def test_words_that_all_candidates_have_say_little():
    candidates = ["Put the text into French", "Put the text into German", "Put the text away"]
    one_rare, one_common = shared_words("French", candidates), shared_words("text", candidates)
    assert one_rare[0] > 1.4 * max(one_common) and one_rare[1:] == [0.0, 0.0] and min(one_common) > 0
    assert shared_words("", TEXTS) == [0.0] * 4 and shared_words("unheard of", ["a", "b"]) == [0.0, 0.0]
    assert shared_words("x", ["!", "?"]) == [0.0, 0.0] == shared_words("what is it", ["What is the opposite of", "You are a pirate"])


def test_a_candidate_matches_by_direction_not_by_length():
    tokens = torch.eye(3)
    assert embedding_match(5 * tokens[:2], tokens[:2]) == pytest.approx(1) and embedding_match(tokens[:1], tokens[1:]) == 0
