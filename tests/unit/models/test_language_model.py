"""The frozen model: what it can't serve it says, and where it comes from makes no difference."""

import pytest
import torch
from tiny_models import ARCHITECTURES, make, save_tiny, sentence_tokenizer, tokenizer
from transformers import AutoModelForCausalLM, BertConfig, BertLMHeadModel, GPT2Config, MambaConfig, MptConfig, Phi3Config, T5Config
from zoo import build

from core.errors import LabError
from core.methods import METHODS
from core.methods.contract import Start
from core.models.devices import pick_device, pick_dtype
from core.models.language_model import LanguageModel, load_model, window_of
from core.models.past import expand

CPU = torch.device("cpu")
FACTORS = [1.0] * 48
LONG = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": FACTORS, "long_factor": FACTORS}


@pytest.fixture
def saved(tmp_path):
    return save_tiny(tmp_path)


@pytest.mark.parametrize("arch, heads", [("gpt2", 4), ("llama", 2), ("neox", 4), ("qwen3", 2), ("gemma3", 2)])
def test_sizes_are_those_of_the_cache_not_of_the_configuration(tiny, arch, heads):
    lm = tiny(arch)
    assert (lm.layers, lm.kv_heads, lm.head_dim, lm.d_model, lm.window) == (2, heads, 8, 32, 160)


def test_special_tokens_are_known_and_no_ordinary_ones(tiny):
    assert tiny("llama").lead == [] and tiny("llama", bos=True).lead == [1]
    assert tiny("llama", bos=True).tokenise("sea") == tiny("llama").tokenise("sea")
    ordinary = tiny("llama").ordinary_tokens.tolist()
    assert not set(ordinary) & set(tokenizer().all_special_ids)
    assert max(ordinary) == len(tokenizer()) - 1  # and rows of the matrix that no token has are none


def test_a_folder_gives_the_model_that_was_saved_there(saved):
    lm, loaded = make("llama"), load_model(str(saved), "cpu", "float32")
    assert loaded.weights_hash == lm.weights_hash and loaded.lead == lm.lead
    ids = torch.tensor([lm.tokenise("the quick brown fox")])
    assert torch.equal(lm.model(ids).logits, loaded.model(ids).logits)
    small = load_model(str(saved), "cpu", "bfloat16")
    assert small.dtype == torch.bfloat16 and small.for_scoring.dtype == torch.float32
    assert small.weights_hash == lm.weights_hash


def test_a_model_without_keys_and_values_takes_soft_prompts_and_refuses_prefixes_by_name():
    config = MambaConfig(vocab_size=352, hidden_size=32, num_hidden_layers=2, state_size=4)
    lm = LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer(), "tiny-mamba")
    assert not lm.way.caches and (lm.layers, lm.kv_heads) == (2, 0)
    with pytest.raises(LabError, match=r"prefix can't be made for 'tiny-mamba' .*: train a soft prompt"):
        METHODS["prefix"].start(lm, Start(3, None, 1.0, 0, torch.Generator()))


def test_a_folder_with_another_kind_of_model_or_none_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("{}")
    with pytest.raises(LabError, match="holds no model"):
        load_model(str(tmp_path), "cpu")
    T5Config(vocab_size=100, d_model=32).save_pretrained(tmp_path)
    with pytest.raises(LabError, match="encoder-decoder model"):
        load_model(str(tmp_path), "cpu")


def test_a_cache_after_which_a_model_answers_otherwise_is_not_used(monkeypatch):
    forward = LanguageModel._forward

    def forgetful(self, past, *args, **inputs):  # as a model would that takes its positions from elsewhere
        out = forward(self, past, *args, **inputs)
        for layer in getattr(past, "layers", []):
            layer.keys = layer.keys * 0
        return out

    monkeypatch.setattr(LanguageModel, "_forward", forgetful)
    assert not make("llama").way.caches


@pytest.mark.parametrize("number", [float("nan"), 1e5])
def test_outputs_that_are_no_numbers_are_told(number):
    lm = make("llama")
    lm.model.lm_head.weight.data[3] = number
    sentence = "are no numbers: its weights are damaged" if number != number else "In float16 .* overflow: choose bfloat16 or float32"
    with pytest.raises(LabError, match=sentence):
        LanguageModel(lm.model, lm.tokenizer, "x").to(CPU, torch.float16)


def test_an_encoder_that_looks_ahead_is_refused_as_such():
    config = BertConfig(vocab_size=352, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48)
    with pytest.raises(LabError, match="'tiny-bert' sees the tokens after it"):
        LanguageModel(BertLMHeadModel(config), tokenizer(), "tiny-bert")


def test_more_positions_than_the_model_has_are_refused_before_it_runs(tiny):
    lm = tiny("gpt2")
    with pytest.raises(LabError, match="The prompt needs 161 positions, the model has 160"):
        METHODS["prefix"].start(lm, Start(161, [5] * 161, 1.0, 0, torch.Generator()))


@pytest.mark.parametrize(
    "config, window",
    [
        (MptConfig(max_seq_len=64), 64),
        (GPT2Config(n_positions=32), 32),
        (MambaConfig(), 1_000_000),
        (Phi3Config(original_max_position_embeddings=40, max_position_embeddings=90, rope_parameters=LONG), 40),
    ],
)
def test_the_window_is_found_under_its_names_and_ends_where_rotation_changes(config, window):
    found, note = window_of(config)
    assert found == window and bool(note) == (window == 40)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors", "tokenizer.json", "weights gone", "tokenizer gone"])
def test_a_damaged_folder_is_refused_in_one_sentence(saved, broken):
    if broken == "weights gone":
        (saved / "model.safetensors").unlink()
    elif broken == "tokenizer gone":
        for path in saved.glob("tokenizer*"):
            path.unlink()
    else:
        (saved / broken).write_bytes(b"{broken")
    with pytest.raises(LabError) as caught:
        load_model(str(saved), "cpu", "float32")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("./nowhere", "no model folder './nowhere'"),
        ("/nowhere/at/all", "no model folder"),
        ("a/b/c", "no model folder"),
        ("x" * 5000, "can't be opened"),
        ("a\0b", "can't be opened"),
        ("owner/no-such-model", "is not on this machine and could not be fetched"),
    ],
)
def test_a_model_that_is_not_here_is_named_without_waiting(name, sentence):
    with pytest.raises(LabError, match=sentence):
        load_model(name, "cpu")


def test_devices_and_dtypes_that_are_not_there_are_refused():
    for device in ("abacus", "cuda:99", "cpu:x"):
        with pytest.raises(LabError, match="is not available here"):
            pick_device(device)
    with pytest.raises(LabError, match="dtype 'int8' is unknown"):
        pick_dtype("int8", CPU, 1)
    assert pick_dtype(None, CPU, 10**12) == pick_dtype("auto", CPU, 1) == torch.float32
    assert pick_dtype("bfloat16", CPU, 1) == torch.bfloat16


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_an_expanded_cache_is_a_view_not_a_copy(tiny, arch):
    lm = tiny(arch)
    cache = lm.prefill(lm.tokenise("the quick brown fox"))
    wide = expand(cache, 64)
    for layer, copy in zip(cache.layers, wide.layers, strict=True):
        assert copy.keys.shape[0] == 64 and copy.keys.data_ptr() == layer.keys.data_ptr()


def test_nothing_before_the_input_is_an_empty_cache(tiny):
    lm = tiny("llama")
    cache = lm.prefill(torch.empty(0, lm.d_model))
    assert cache.get_seq_length() == 0
    ids = torch.tensor([lm.tokenise("the quick brown fox")])
    places = torch.arange(ids.shape[1])
    after = lm.logits_at(expand(cache, 1), ids, torch.zeros_like(places), places)
    torch.testing.assert_close(after, lm.model(ids).logits[0])


def test_a_tokens_text_keeps_the_space_that_begins_it(tiny):
    lm = LanguageModel(tiny("llama").model, sentence_tokenizer(), "sentences")
    texts = {lm.tokenizer.convert_ids_to_tokens(token): lm.token_text(token) for token in range(len(lm.tokenizer))}
    assert texts["▁the"] == " the" and texts["▁"] == " "
    assert all(text == token.replace("▁", " ") for token, text in texts.items() if not token.startswith("<"))
    for token in range(tiny("llama").vocab_size):  # bytes need no mark: as before
        assert tiny("llama").token_text(token) == tiny("llama").decode([token])


def test_pieces_of_a_character_are_one_text(lm):
    for text in ("水果 and 🙂!", "plain words", "é"):
        ids = lm.tokenise(text)
        found = lm.texts(ids)
        assert "".join(found) == text and not any("\ufffd" in piece for piece in found)
    ids = lm.tokenise("水")
    assert len(ids) > 1 and lm.texts(ids) == ["水"] and lm.texts(ids[:1]) == ["\ufffd"]


@pytest.mark.parametrize("kind, left", [("roberta", 1), ("opt", 0)])
def test_the_last_position_can_be_used_also_where_positions_are_counted_from_the_paddings(kind, left):
    lm = LanguageModel(build(kind), tokenizer(), kind)
    assert lm.window == 160 - left
    place = torch.zeros(1, dtype=torch.long)
    past = lm.prefill([20] * (lm.window - 1))
    assert torch.isfinite(lm.logits_at(past, torch.tensor([[21]]), place, place)).all()
