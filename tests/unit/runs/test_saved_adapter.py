"""Saved prompts: what comes back is what went in, PEFT reads it too, and a bad file gives a sentence, never a traceback."""

import io
import json
import random
import struct
import warnings
import zipfile
from pathlib import Path

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
from plain import peft_loss
from tiny_models import EXAMPLES, answer_task, make, random_prefix
from transformers import AutoModelForCausalLM

from core.errors import LabError
from core.models.language_model import LanguageModel, load_model
from core.prefix import no_prefix
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import CONFIG, RECIPE, WEIGHTS
from core.runs.adapter_tensor import TENSOR
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.scoring.score import score
from core.training.start import create

KINDS = ("prompt", "prefix")


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return make("llama")


def files_of(lm, kind, recipe=None):
    task = answer_task()
    recipe = recipe or Recipe(method="prompt" if kind == "prompt" else "prefix", virtual_tokens=6)
    return storage.to_files(lm, random_prefix(lm, kind, 6), storage.record_of(lm, task, recipe, "Word: {input} is"))


def vectors(value: object, name=TENSOR, dtype=torch.float32) -> bytes:
    tensor = value if isinstance(value, torch.Tensor) else torch.full((6, 32), value, dtype=dtype)
    return safetensors.torch.save({name: tensor})


def raw(header: object, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


# --- what goes in comes out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_zip", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_comes_back_as_it_was_saved(lm, tmp_path, kind, as_zip):
    files = files_of(lm, kind)
    if as_zip:
        path = tmp_path / "prompt.zip"
        path.write_bytes(adapter_files.pack(files))
    else:
        path = adapter_files.save(tmp_path / "deep" / "prompt", files)
        assert sorted(file.name for file in path.iterdir()) == sorted(files)
        assert not [file for file in path.parent.iterdir() if file != path]  # no scratch is left
    learned = storage.load(path, lm)
    assert learned.prefix.kind == kind
    assert np.array_equal(learned.prefix.snapshot(), random_prefix(lm, kind, 6).snapshot())
    assert (learned.template, learned.placement, learned.warnings) == ("Word: {input} is", "before", ())
    assert learned.recipe == Recipe(method="prompt" if kind == "prompt" else "prefix", virtual_tokens=6)
    again = storage.to_files(lm, learned.prefix, learned.record)
    assert again == files  # byte by byte


def test_the_rows_that_it_was_trained_on_do_not_count_for_it(lm, tmp_path):
    task = answer_task()
    contender = storage.load(adapter_files.save(tmp_path / "x", files_of(lm, "prompt")), lm).contender("saved")
    assert contender.excluded == task.seen
    assert score(lm, contender, (*task.train, *task.held_out)).n == len(task.held_out)
    with pytest.raises(LabError, match="No rows are left"):
        score(lm, contender, task.train)


def test_a_prompt_made_by_an_mlp_is_saved_as_what_the_mlp_makes(lm, tmp_path):
    recipe = Recipe(method="prefix", init="random", mlp=8, virtual_tokens=6)
    prefix = create(lm, answer_task(), recipe)
    files = storage.to_files(lm, prefix, storage.record_of(lm, answer_task(), recipe, "{input}"))
    loaded = storage.load(adapter_files.save(tmp_path / "x", files), lm)
    assert np.array_equal(loaded.prefix.snapshot(), prefix.snapshot())


def test_saving_again_replaces_the_prompt_and_keeps_what_else_lies_there(lm, tmp_path):
    folder = adapter_files.save(tmp_path / "x", files_of(lm, "prompt"))
    (folder / "notes.txt").write_text("mine")
    adapter_files.save(folder, files_of(lm, "prefix"))
    assert storage.load(folder, lm).prefix.kind == "prefix"
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_folder_of_someone_elses_is_never_written_to(lm, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "file"):
        with pytest.raises(LabError, match="exists and is not a saved prompt"):
            adapter_files.save(tmp_path / name, files_of(lm, "prompt"))
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    (tmp_path / "empty").mkdir()
    adapter_files.save(tmp_path / "empty", files_of(lm, "prompt"))
    assert (tmp_path / "empty" / CONFIG).is_file()


@pytest.mark.parametrize("over_an_old_one", [False, True])
def test_a_full_disk_leaves_no_half_written_prompt(lm, tmp_path, monkeypatch, over_an_old_one):
    folder = tmp_path / "x"
    if over_an_old_one:
        adapter_files.save(folder, files_of(lm, "prompt"))
    write = Path.write_bytes

    def full(self, data):
        if self.name == WEIGHTS:
            write(self, data[:10])
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LabError, match="No space left"):
        adapter_files.save(folder, files_of(lm, "prefix"))
    assert list(tmp_path.iterdir()) == ([folder] if over_an_old_one else [])
    if over_an_old_one:
        assert storage.load(folder, lm).prefix.kind == "prompt"


def test_a_folder_is_exchanged_where_the_system_cannot_do_it_in_one_go(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(adapter_files.ctypes, "CDLL", lambda *_, **__: object())
    monkeypatch.setattr(adapter_files.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "no links here")))
    folder = adapter_files.save(tmp_path / "x", files_of(lm, "prompt"))
    (folder / "more").mkdir()
    (folder / "more" / "notes.txt").write_text("mine")
    adapter_files.save(folder, files_of(lm, "prefix"))
    assert storage.load(folder, lm).prefix.kind == "prefix" and (folder / "more" / "notes.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_place_that_cannot_be_written_is_named(lm, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(LabError, match=r"can't be saved|exists and is not"):
        adapter_files.save(tmp_path / "file" / "x", files_of(lm, "prompt"))


# --- PEFT -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved_base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    made = make("llama")
    made.model.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_peft_loads_the_folder_and_gets_the_same_loss(saved_base, tmp_path, kind):
    lm = load_model(str(saved_base), "cpu", "float32")
    files = files_of(lm, kind)
    folder = adapter_files.save(tmp_path / "x", files)
    base = AutoModelForCausalLM.from_pretrained(saved_base)
    model = peft.PeftModel.from_pretrained(base, folder).eval()
    auto = peft.AutoPeftModelForCausalLM.from_pretrained(folder).eval()  # by the name of the base in it alone
    learned = storage.load(folder, lm)
    prepared = prepare(lm, learned.contender("x"), EXAMPLES, None)
    with torch.no_grad():
        loss = answer_loss(lm, prepared.fill(lm), prepared.rows).item()
        rows = encode(lm, learned.template, EXAMPLES, None)
        assert peft_loss(lm, model, rows).item() == pytest.approx(loss, abs=1e-5)
        assert peft_loss(lm, auto, rows).item() == pytest.approx(loss, abs=1e-5)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_saved_by_peft_itself_is_read(saved_base, tmp_path, kind):
    lm = load_model(str(saved_base), "cpu", "float32")
    from core.bench import peft_model

    prefix = random_prefix(lm, kind, 6)
    peft_model(lm, prefix).save_pretrained(tmp_path / "theirs")
    learned = storage.load(tmp_path / "theirs", lm, template="Say {input}:")
    assert np.array_equal(learned.prefix.snapshot(), prefix.snapshot())
    assert learned.template == "Say {input}:" and learned.recipe is None
    assert "no recipe.json" in learned.warnings[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("way", ["text", "projected"])
def test_what_peft_trains_in_ways_of_its_own_is_read_as_it_scores_there(saved_base, tmp_path, way):
    """A start from a text, and a prefix behind an MLP: PEFT's file holds what they come to, in one tensor."""
    lm = load_model(str(saved_base), "cpu", "float32")
    text = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "the quick brown fox", "tokenizer_name_or_path": str(saved_base)}
    config = (
        peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=6, **text)
        if way == "text"
        else peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=6, prefix_projection=True, encoder_hidden_size=24)
    )
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(saved_base), config).eval()
    rows = encode(lm, "Say {input}:", EXAMPLES, None)
    with torch.no_grad():
        theirs = peft_loss(lm, model, rows).item()
    model.save_pretrained(tmp_path / "theirs")
    assert list(safetensors.torch.load_file(tmp_path / "theirs" / WEIGHTS)) == [TENSOR]
    learned = storage.load(tmp_path / "theirs", lm, "Say {input}:")
    prepared = prepare(lm, learned.contender("x"), EXAMPLES, None)
    with torch.no_grad():
        assert answer_loss(lm, prepared.fill(lm), prepared.rows).item() == pytest.approx(theirs, abs=1e-5)


def test_placement_after_bos_is_refused_by_name_because_peft_cannot_say_it(lm):
    with_bos = make("llama", bos=True)
    with pytest.raises(LabError, match=r"BOS token \(placement 'after'\)"):
        files_of(with_bos, "prompt", Recipe(virtual_tokens=6, placement="after"))
    files_of(lm, "prompt", Recipe(virtual_tokens=6, placement="after"))  # without a BOS token it is the same place


def test_nothing_learned_is_nothing_to_save(lm):
    with pytest.raises(LabError, match="Only a learned prompt"):
        storage.to_files(lm, no_prefix(), {})


def test_other_weights_of_the_same_shapes_are_noticed(lm):
    other = make("llama")
    with torch.no_grad():
        next(other.model.parameters()).mul_(2)
    files = files_of(other, "prompt")
    assert "other weights" in storage.from_files(files, lm, "x").warnings[0]


# --- bad files ------------------------------------------------------------------------------------------------------------------

GOOD = {CONFIG: json.dumps({"peft_type": "PROMPT_TUNING"}).encode(), WEIGHTS: vectors(0.1), RECIPE: b"{}"}
PREFIX = {CONFIG: json.dumps({"peft_type": "PREFIX_TUNING"}).encode()}


def entry(**changes: object) -> dict:
    return {TENSOR: {"dtype": "F32", "shape": [6, 32], "data_offsets": [0, 768]} | changes}


def config(**more: object) -> bytes:
    return json.dumps(more).encode()


BAD = {
    "no config": ({CONFIG: None}, "adapter_config.json is missing"),
    "no weights": ({WEIGHTS: None}, "adapter_model.safetensors is missing"),
    "config not JSON": ({CONFIG: b"not json"}, "adapter_config.json is not a readable table"),
    "config empty": ({CONFIG: b""}, "not a readable table"),
    "config a list": ({CONFIG: b"[]"}, "not a readable table"),
    "config not text": ({CONFIG: b"\xff\xfe\x00"}, "not a readable table"),
    "config nested deeply": ({CONFIG: b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"}, "not a readable table"),
    "config huge": ({CONFIG: b" " * 3_000_000 + b"{}"}, "not a readable table"),
    "recipe not JSON": ({RECIPE: b"{"}, "recipe.json is not a readable table"),
    "recipe nested deeply": ({RECIPE: b"[" * 100_000}, "recipe.json is not a readable table"),
    "LoRA": ({CONFIG: config(peft_type="LORA", r=8)}, "is a LoRA adapter"),
    "P-tuning": ({CONFIG: config(peft_type="P_TUNING")}, "is a P-tuning adapter"),
    "unknown kind": ({CONFIG: config(peft_type=["x"])}, "adapter: only prompt tuning and prefix tuning"),
    "no kind": ({CONFIG: b"{}"}, "only prompt tuning and prefix tuning"),
    "an encoder-decoder's": ({CONFIG: config(peft_type="PROMPT_TUNING", task_type="SEQ_2_SEQ_LM")}, "trained on an encoder-decoder model"),
    "a classifier's": ({CONFIG: config(peft_type="PROMPT_TUNING", task_type="SEQ_CLS")}, "a model with a classifier on top"),
    "multi-task": ({CONFIG: config(peft_type="MULTITASK_PROMPT_TUNING")}, "is a multi-task prompt tuning adapter .one shared prompt"),
    "Cartridge": ({CONFIG: config(peft_type="CARTRIDGE")}, "is a Cartridge adapter .a key/value cache"),
    "a prefix's MLP itself": (
        PREFIX | {WEIGHTS: safetensors.torch.save({"embedding.weight": torch.zeros(6, 16), "transform.0.weight": torch.zeros(6, 16)})},
        "holds the tensors",
    ),
    "weights empty": ({WEIGHTS: b""}, "damaged weights"),
    "weights truncated": ({WEIGHTS: vectors(0.1)[:-5]}, "damaged weights"),
    "weights too long": ({WEIGHTS: vectors(0.1) + b"\0"}, "damaged weights"),
    "header truncated": ({WEIGHTS: vectors(0.1)[:20]}, "damaged weights"),
    "header of 2^63 bytes": ({WEIGHTS: b"\xff" * 7 + b"\x7f" + b"x" * 100}, "damaged weights"),
    "header of 1 MB": ({WEIGHTS: raw(b" " * 2**20 + b"{}")}, "damaged weights"),
    "header not JSON": ({WEIGHTS: raw(b"{nope}")}, "damaged weights"),
    "header a list": ({WEIGHTS: raw([])}, "damaged weights"),
    "header a number": ({WEIGHTS: raw(5)}, "damaged weights"),
    "header nested deeply": ({WEIGHTS: raw(b"[" * 60_000)}, "damaged weights"),
    "a pickle renamed": ({WEIGHTS: b"\x80\x04\x95" + b"cos\nsystem\n" * 20}, "damaged weights"),
    "torch.save renamed": ({WEIGHTS: b"PK\x03\x04" + b"\0" * 200}, "damaged weights"),
    "another tensor": ({WEIGHTS: vectors(0.1, name="lora_A.weight")}, "holds the tensors 'lora_A.weight'"),
    "two tensors": ({WEIGHTS: safetensors.torch.save({TENSOR: torch.zeros(6, 32), "x": torch.zeros(1)})}, "holds the tensors"),
    "no tensor": ({WEIGHTS: raw({})}, "holds the tensors ''"),
    "NaN": ({WEIGHTS: vectors(float("nan"))}, "not finite or far too large"),
    "infinity": ({WEIGHTS: vectors(float("inf"))}, "not finite or far too large"),
    "infinity of half size": ({WEIGHTS: vectors(float("-inf"), dtype=torch.float16)}, "not finite or far too large"),
    "absurdly large": ({WEIGHTS: vectors(1e30)}, "not finite or far too large"),
    "int64": ({WEIGHTS: vectors(1, dtype=torch.int64)}, "numbers of type 'I64'"),
    "float64": ({WEIGHTS: vectors(0.1, dtype=torch.float64)}, "numbers of type 'F64'"),
    "dtype a list": ({WEIGHTS: raw(entry(dtype=["F32"]), b"\0" * 768)}, "numbers of type"),
    "three sizes": ({WEIGHTS: vectors(torch.zeros(6, 4, 8))}, "has two sizes"),
    "no sizes": ({WEIGHTS: raw(entry(shape=None), b"\0" * 768)}, "has two sizes"),
    "negative sizes": ({WEIGHTS: raw(entry(shape=[-6, -32]), b"\0" * 768)}, "has two sizes"),
    "sizes that overflow": ({WEIGHTS: raw(entry(shape=[2**31, 2**31]), b"\0" * 768)}, "has two sizes"),
    "size not whole": ({WEIGHTS: raw(entry(shape=[6.0, 32]), b"\0" * 768)}, "has two sizes"),
    "offsets elsewhere": ({WEIGHTS: raw(entry(data_offsets=[100, 868]), b"\0" * 768)}, "damaged weights"),
    "no offsets": ({WEIGHTS: raw({TENSOR: {"dtype": "F32", "shape": [6, 32]}}, b"\0" * 768)}, "damaged weights"),
    "entry a list": ({WEIGHTS: raw({TENSOR: [1, 2]}, b"\0" * 768)}, "numbers of type"),
    "another model's width": ({WEIGHTS: vectors(torch.zeros(6, 576))}, r"another model: .* \[6, 576\], .* \[6, 32\]"),
    "another model's prefix": (PREFIX | {WEIGHTS: vectors(torch.zeros(6, 100))}, r"another model: .* \[6, 64\]"),
    "201 virtual tokens": ({WEIGHTS: vectors(torch.zeros(201, 32))}, "at most 200"),
}


def changed(files, changes):
    return {name: data for name, data in (files | changes).items() if data is not None}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_prompt_is_refused_in_one_sentence(lm, tmp_path, name):
    changes, sentence = BAD[name]
    files = changed(GOOD, changes)
    assert storage.from_files(GOOD, lm, "fine").prefix.virtual_tokens == 6
    with pytest.raises(LabError, match=sentence) as caught:
        storage.from_files(files, lm, "my prompt")
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value)
    (tmp_path / "folder").mkdir()
    for file, data in files.items():
        (tmp_path / "folder" / file).write_bytes(data)
    with pytest.raises(LabError):
        storage.load(tmp_path / "folder", lm)


@pytest.mark.parametrize(
    "record",
    [
        {"recipe": 5},
        {"recipe": {"steps": -1}},
        {"recipe": {"steps": 10**400}},
        {"trained_on": 5},
        {"trained_on": None},
        {"trained_on": {"a": 1}},
        {"trained_on": [[], {}, 5, None]},
        {"base": 5},
        {"base": {"weights": ["x"]}},
        {"template": 5, "placement": []},
        {"template": "{input}{input}"},
        {"template": None, "base": None, "recipe": None, "task": None},
    ],
    ids=str,
)
def test_an_odd_recipe_file_is_refused_or_does_no_harm(lm, record):
    files = GOOD | {RECIPE: json.dumps(record).encode()}
    try:
        learned = storage.from_files(files, lm, "x")
        contender = learned.contender("x")
        learned.recipe  # noqa: B018  reading it checks it
    except LabError:
        return
    assert contender.template == "{input}" and contender.placement == "before"


def test_a_zip_is_found_whatever_folder_it_was_made_of(lm, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files_of(lm, "prompt").items():
            archive.writestr(f"my prompt/deep/{name}", data)
        archive.writestr("__MACOSX/junk", b"")
    assert storage.load(path, lm).prefix.virtual_tokens == 6


def zipped(members: list[tuple[str, bytes]], method=zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data, sentence",
    [
        (b"", "not a readable zip"),
        (b"PK\x03\x04 not really", "not a readable zip"),
        (vectors(0.1), "not a readable zip"),
        (zipped([*GOOD.items(), (WEIGHTS, vectors(0.2))]), "twice or too large"),
        (zipped([*GOOD.items(), ("other/" + CONFIG, b"{}")]), "twice or too large"),
        (zipped([(CONFIG, b" " * (3 * 2**20))]), "twice or too large"),
        (zipped([("readme.txt", b"hello")]), "adapter_config.json is missing"),
        (zipped([]), "adapter_config.json is missing"),
        (zipped(list(GOOD.items()))[:-30], "not a readable zip"),
    ],
    ids=["empty", "magic number", "bare weights", "a file twice", "two folders", "a bomb", "other files", "nothing", "cut off"],
)
def test_a_bad_zip_is_refused_in_one_sentence(lm, tmp_path, data, sentence):
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises(LabError, match=sentence):
        storage.load(path, lm)


def test_a_missing_path_is_named(lm, tmp_path):
    with pytest.raises(LabError, match="no learned prompt at"):
        storage.load(tmp_path / "nowhere", lm)
    for name in ("x" * 5000, "a\0b"):
        with pytest.raises(LabError):
            storage.load(name, lm)
        with pytest.raises(LabError):
            adapter_files.save(name, files_of(lm, "prompt"))
    with pytest.raises(LabError, match="is missing"):
        storage.load(tmp_path, lm)


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled or put in."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        # Mostly near the start, where the headers are.
        place = min(int(chance.expovariate(1 / 150)), len(broken) - 1) if chance.random() < 0.7 else chance.randrange(len(broken))
        match chance.randrange(4):
            case 0:
                broken[place] = chance.randrange(256)
            case 1:
                broken[place] ^= 1 << chance.randrange(8)
            case 2:
                del broken[place : place + chance.randint(1, 40)]
            case 3:
                broken[place:place] = broken[place : place + chance.randint(1, 40)]
        if not broken:
            break
    return bytes(broken)


def loads_or_says_why(read, *arguments) -> bool:
    try:
        learned = read(*arguments)
        learned.contender("x")
        learned.recipe  # noqa: B018
    except LabError:
        return False
    assert np.isfinite(learned.prefix.snapshot()).all() and 1 <= learned.prefix.virtual_tokens <= 200
    assert learned.template.count("{input}") == 1
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_damaged_file_ever_gives_a_traceback(lm, kind):
    chance = random.Random(0)
    files = files_of(lm, kind)
    read = 0
    for number in range(300):
        name = (CONFIG, WEIGHTS, RECIPE)[number % 3]
        broken = files | {name: mutate(files[name], chance)}
        read += loads_or_says_why(storage.from_files, broken, lm, "x")
    assert 10 < read < 290  # some damage is harmless, some is not: both ways were walked


@pytest.mark.parametrize("method", ["ZIP_DEFLATED", "ZIP_STORED", "ZIP_BZIP2", "ZIP_LZMA"])
def test_no_damaged_zip_ever_gives_a_traceback(lm, tmp_path, method):
    chance = random.Random(1)
    good = zipped(list(files_of(lm, "prompt").items()), getattr(zipfile, method))
    path = tmp_path / "x.zip"
    for _ in range(300):
        path.write_bytes(mutate(good, chance))
        loads_or_says_why(storage.load, path, lm)
