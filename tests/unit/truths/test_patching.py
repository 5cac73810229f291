"""States written into a frame: a text's own states change nothing, layer 0 is the frame itself, and nothing stays on the model."""

import pytest
import torch
from tiny_models import ARCHITECTURES, kv_prefix, make, tokenizer
from transformers import AutoModelForCausalLM, MambaConfig

from core.errors import LabError
from core.methods import METHODS
from core.models.language_model import LanguageModel
from core.models.past import expand
from core.probes.hears import states_of_vectors
from core.scoring.contender import Contender
from core.truths.frames import FRAMES, frame_of, likelihoods, own_frame, patched
from core.truths.states import own_states

TEXT, OTHER = "the quick brown fox", "she sells sea shells by the sea shore, yes and no"


@pytest.fixture(scope="module")
def mamba():
    config = MambaConfig(vocab_size=352, hidden_size=32, num_hidden_layers=2, state_size=8, initializer_range=0.2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer(), "tiny-mamba")


def pre_hooks(lm):
    return sum(len(part._forward_pre_hooks) for part in lm.model.modules())


def model_of(arch, tiny, mamba):
    return mamba if arch == "mamba" else tiny(arch)


def vectors_of(lm, text):
    return lm.embed_ids(lm.tokenise(text)).detach()


def logits_after(lm, frame, past):
    """Of the whole vocabulary after each of two rows that follow the frame."""
    ids = torch.tensor([[frame.after[-1], 5], [frame.after[-1], 6]])
    rows, columns = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    with torch.inference_mode():
        return lm.logits_at(expand(past, 2), ids, rows, columns)


@pytest.mark.parametrize("arch", [*ARCHITECTURES, "mamba"])
def test_a_texts_own_states_in_its_own_positions_change_nothing(tiny, mamba, arch):
    lm = model_of(arch, tiny, mamba)
    frame, vectors = frame_of(lm, "§ gives the garden"), vectors_of(lm, TEXT)
    plain = logits_after(lm, frame, frame.fill(lm, vectors))
    with patched(lm, frame, own_states(lm, vectors, 1), 1, holder=vectors) as past:
        torch.testing.assert_close(logits_after(lm, frame, past), plain, atol=1e-5, rtol=0)
    with patched(lm, frame, own_states(lm, vectors_of(lm, OTHER)[: len(vectors)], 1), 1, holder=vectors) as past:
        assert (logits_after(lm, frame, past) - plain).abs().max() > 1e-2  # others are really written


@pytest.mark.parametrize("arch", [*ARCHITECTURES, "mamba"])
def test_layer_0_is_the_frame_with_the_vectors(tiny, mamba, arch):
    lm = model_of(arch, tiny, mamba)
    frame, vectors = frame_of(lm, FRAMES["means"]), vectors_of(lm, TEXT)
    assert torch.equal(own_states(lm, vectors, 0), vectors)
    with patched(lm, frame, own_states(lm, vectors, 0), 0) as past:
        assert torch.equal(logits_after(lm, frame, past), logits_after(lm, frame, frame.fill(lm, vectors)))


def test_earlier_layers_keep_the_word_that_holds_the_place_and_later_ones_have_the_states(lm):
    """In a cache every layer's keys are of what stood at the position in that layer."""
    frame, vectors = frame_of(lm, "§ gives the garden"), vectors_of(lm, TEXT)
    count, holder = len(vectors), lm.embed_ids(lm.continued(" x")[-1:] * len(vectors))
    with patched(lm, frame, own_states(lm, vectors, 1), 1) as past:
        keys = [layer.keys[0, :, :count] for layer in past.layers]
    for layer, rows in enumerate((holder, vectors)):
        torch.testing.assert_close(keys[layer], frame.fill(lm, rows).layers[layer].keys[0, :, :count], atol=1e-5, rtol=0)


def test_with_words_before_the_gap_only_its_positions_are_written(lm):
    frame, vectors = frame_of(lm, FRAMES["means"]), vectors_of(lm, TEXT)
    start, stop = len(frame.before), len(frame.before) + len(vectors)
    plain = frame.fill(lm, vectors).layers[1].keys
    with patched(lm, frame, own_states(lm, vectors_of(lm, OTHER)[: len(vectors)], 1), 1, holder=vectors) as past:
        written = (past.layers[1].keys - plain).abs().amax(dim=(0, 1, 3)) > 1e-4
    assert written.tolist() == [start <= place < stop for place in range(len(written))]


def test_nothing_stays_on_the_model_whatever_happens(mamba):
    lm = make("llama")
    for model in (lm, mamba):
        frame, vectors = frame_of(model, FRAMES["means"]), vectors_of(model, TEXT)
        with pytest.raises(ZeroDivisionError), patched(model, frame, own_states(model, vectors, 1), 1) as past:
            likelihoods(model, frame, past, [OTHER])
            1 / 0  # noqa: B018
        assert pre_hooks(model) == 0


def test_what_can_not_be_patched_says_why(lm):
    frame, vectors = frame_of(lm, FRAMES["means"]), vectors_of(lm, TEXT)
    with pytest.raises(LabError, match="has the layers 0 to 1, not 2"), patched(lm, frame, vectors, 2):
        pass
    array = torch.zeros(METHODS["prefix"].shape(lm.shape, 2))
    with pytest.raises(LabError, match="has no input vectors, so it has no states"):
        states_of_vectors(lm, Contender("learned", "prefix", "{input}", kv_prefix(array)))


@pytest.mark.parametrize(
    "text, said", [("no gap", "holds § 0 times"), ("§ and §", "holds § 2 times"), ("It ends in §", "Nothing comes after")]
)
def test_a_sentence_of_ones_own_without_a_place_for_the_prompt_is_refused(lm, text, said):
    with pytest.raises(LabError, match=said):
        own_frame(lm, text)
    assert lm.decode(own_frame(lm, "Is § good?").after) == " good?"
