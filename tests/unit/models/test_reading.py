"""Reading a base model: all weights are the file's own, no code of a folder runs, and each refusal has its own true sentence."""

import builtins
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import peft
import pytest
import torch
import transformers
from tiny_models import make, save_tiny, tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMultimodalLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaModel,
    ViTConfig,
)
from zoo import build, config_of

from core.errors import LabError, reason
from core.models.language_model import load_model


@pytest.fixture
def folder(tmp_path):
    return save_tiny(tmp_path)


def change(folder, file="config.json", **fields):
    path = folder / file
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def saved_as(folder, kind, tied):
    config = make("llama").model.config.to_dict() | {"tie_word_embeddings": tied}
    kind(LlamaConfig(**config)).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_is_not_in_the_files_is_missing_unless_it_is_tied(tmp_path, tied):
    name = saved_as(tmp_path, LlamaModel, tied)
    if tied:
        assert load_model(name, "cpu").layers == 2
    else:
        with pytest.raises(LabError, match=r"no weights for lm_head\.weight: .* saved from LlamaForCausalLM"):
            load_model(name, "cpu")


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_classifies_is_refused_as_such(tmp_path, tied):
    with pytest.raises(LabError, match="saved as LlamaForSequenceClassification, which predicts no next token"):
        load_model(saved_as(tmp_path, LlamaForSequenceClassification, tied), "cpu")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"num_hidden_layers": 3}, r"no weights for model\.layers\.2\..* and 6 more"),
        ({"num_hidden_layers": 1}, r"weights that LlamaForCausalLM has no place for \(model\.layers\.1"),
        ({"intermediate_size": 40}, r"mlp\.down_proj\.weight in the size 32 × 48, its config\.json says 32 × 40"),
        ({"model_type": "unheard-of"}, "architecture 'unheard-of' .* is unknown to transformers"),
        ({"model_type": None}, "has no model_type: it is unknown to transformers"),
        ({"model_type": "unheard-of", "auto_map": {"AutoConfig": "own.C"}}, "needs Python code of its own, which is never run here"),
        ({"is_encoder_decoder": True}, "is an encoder-decoder model"),
    ],
)
def test_what_config_json_and_the_weights_disagree_on_is_told(folder, changes, sentence):
    change(folder, **changes)
    with pytest.raises(LabError, match=sentence) as caught:
        load_model(str(folder), "cpu")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes", [{"return_dict": False}, {"attn_implementation": "flash_attention_2"}, {"attn_implementation": "flex_attention"}]
)
def test_how_the_saver_ran_the_model_is_not_taken_over(folder, changes):
    ids, plain = torch.arange(20, 30)[None], load_model(str(folder), "cpu")
    change(folder, **changes)
    lm = load_model(str(folder), "cpu")
    assert lm.model.config._attn_implementation == plain.model.config._attn_implementation
    assert torch.equal(lm.model(input_ids=ids).logits, plain.model(input_ids=ids).logits)


def test_a_tokenizer_that_can_not_tokenise_is_told_when_it_is_read(folder):
    change(folder, "tokenizer_config.json", tokenizer_class="BertTokenizer")
    with pytest.raises(LabError, match=r"can't be read as a causal language model with its tokenizer \(.*UNK"):
        load_model(str(folder), "cpu")


def test_a_model_of_another_kind_is_told_by_its_kind(tmp_path):
    ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(LabError, match="is a vit model, which predicts no next token"):
        load_model(str(tmp_path), "cpu")


@pytest.mark.parametrize("place", ["config.json", "tokenizer_config.json"])
def test_code_in_a_folder_is_never_asked_about_and_never_run(folder, place, monkeypatch, capsys):
    monkeypatch.setattr(builtins, "input", lambda *_: pytest.fail("it asks"))
    (folder / "own.py").write_text("print('RUN'); raise SystemExit")
    if place == "config.json":
        change(folder, auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.M"})  # of an architecture that transformers has
        assert "not run" in load_model(str(folder), "cpu").notes[0]
        change(folder, model_type="unheard-of")
    else:
        change(folder, place, auto_map={"AutoTokenizer": ["own.T", None]}, tokenizer_class="OwnTokenizer")
    with pytest.raises(LabError, match="code of its own, which is never run here"):
        load_model(str(folder), "cpu")
    assert capsys.readouterr().out == ""


def test_an_adapter_beside_the_model_is_said_and_not_applied(folder):
    ids = torch.arange(20, 30)[None]
    alone = load_model(str(folder), "cpu")
    assert alone.notes == ()
    wrapped = peft.get_peft_model(
        LlamaForCausalLM.from_pretrained(folder), peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False)
    )
    wrapped.save_pretrained(folder)
    applied = AutoModelForCausalLM.from_pretrained(folder)
    beside = load_model(str(folder), "cpu")
    assert not torch.equal(applied(ids).logits, alone.model(ids).logits)  # as transformers would do
    assert torch.equal(beside.model(ids).logits, alone.model(ids).logits)
    assert "LORA" in beside.notes[0] and "not applied" in beside.notes[0]


@pytest.mark.parametrize("kind", ["llava", "mistral3", "qwen2_5_vl", "gemma3"])
def test_models_with_images_load_as_language_models(tmp_path, kind):
    model = build(kind)
    model.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    lm, ids = load_model(str(tmp_path), "cpu"), torch.arange(20, 30)[None]
    assert lm.way.caches and lm.layers == 4
    torch.testing.assert_close(lm.model(input_ids=ids).logits, model(input_ids=ids).logits)


def test_the_text_part_of_a_whole_is_read_without_the_rest(tmp_path):
    whole = AutoModelForMultimodalLM.from_config(config_of("qwen3_5", {}), dtype=torch.float32).eval()
    whole.save_pretrained(tmp_path)
    tokenizer().save_pretrained(tmp_path)
    lm, ids = load_model(str(tmp_path), "cpu"), torch.arange(20, 30)[None]
    assert type(lm.model).__name__ == "Qwen3_5ForCausalLM"
    torch.testing.assert_close(lm.model(input_ids=ids).logits, whole(input_ids=ids).logits)


def test_a_folder_that_holds_an_adapter_or_gguf_says_so(tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "PROMPT_TUNING", "base_model_name_or_path": "owner/base"}))
    with pytest.raises(LabError, match=r"holds an adapter \(PROMPT_TUNING\) of 'owner/base': choose that as the model"):
        load_model(str(tmp_path), "cpu")
    (tmp_path / "adapter_config.json").unlink()
    (tmp_path / "model.gguf").touch()
    with pytest.raises(LabError, match="a model in GGUF only"):
        load_model(str(tmp_path), "cpu")


def test_weights_of_every_precision_are_read(folder):
    lm = load_model(str(folder), "cpu")
    for dtype in (torch.float64, torch.bfloat16):
        lm.model.to(dtype).save_pretrained(folder)
        assert load_model(str(folder), "cpu").model.dtype == torch.float32


def test_a_reason_is_cut_between_words():
    assert reason(ValueError("seven letters " * 40), 200).endswith("letters …")


REPOSITORIES = {  # name -> status, X-Error-Code, files
    "owner/gated": (403, "GatedRepo", {}),
    "owner/hidden": (401, "RepoNotFound", {}),
    "owner/adapter": (200, "", {"adapter_config.json": {"peft_type": "LORA", "base_model_name_or_path": "owner/base"}}),
    "owner/gguf": (200, "", {"model.Q4.gguf": {}}),
    "owner/code": (200, "", {"config.json": {"model_type": "unheard-of", "auto_map": {"AutoConfig": "own.C"}}, "own.py": {}}),
}


class Handler(BaseHTTPRequestHandler):
    """Answers the Hub's client as the Hub does."""

    def do_GET(self):
        path = self.path.removeprefix("/api/models").split("?")[0]
        name = "/".join(path.split("/")[1:3])
        status, code, files = REPOSITORIES[name]
        body = {"id": name, "sha": "a" * 40, "siblings": [{"rfilename": file} for file in files]}
        headers = {"X-Error-Code": code} if code else {}
        if status == 200 and "/resolve/" in path:
            file = path.split("/resolve/")[1].split("/", 1)[1]
            body, headers = files.get(file, {}), {"X-Repo-Commit": "a" * 40, "ETag": f'"{name}{file}"'}
            if file not in files:
                status, headers = 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": "a" * 40}
        data = json.dumps(body).encode()
        self.send_response(status)
        for key, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The Hub's real client, online, against a stand-in on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    for place in (constants, transformers.utils.hub.constants):
        monkeypatch.setattr(place, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(place, "HF_HUB_CACHE", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    yield
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("owner/gated", "is gated on the Hub: ask for access"),
        ("owner/hidden", "is not on the Hub, or not for you to see"),
        ("owner/adapter", "'owner/adapter' is an adapter of 'owner/base': choose that as the model"),
        ("owner/gguf", "'owner/gguf' holds a model in GGUF only"),
        ("owner/code", "needs Python code of its own, which is never run here"),
    ],
)
def test_each_refusal_of_the_hub_has_its_own_sentence(hub, name, sentence):
    with pytest.raises(LabError, match=sentence):
        load_model(name, "cpu")
