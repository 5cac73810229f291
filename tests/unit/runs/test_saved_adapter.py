"""Saved prompts: what comes back is what went in, PEFT reads it too, and a bad file gives a sentence, never a traceback."""

from pathlib import Path

import numpy as np
import peft
import pytest
import safetensors.torch
import torch
from plain import peft_loss
from tiny_models import EXAMPLES, answer_task, make, random_prefix
from transformers import AutoModelForCausalLM

from core.bench import peft_model
from core.errors import LabError
from core.models.language_model import load_model
from core.models.weights import ADAPTER_CONFIG
from core.prefix import no_prefix
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import WEIGHTS
from core.runs.adapter_tensor import TENSOR
from core.scoring.likelihood import answer_loss
from core.scoring.prepared import prepare
from core.scoring.rows import encode
from core.scoring.score import score

KINDS = ("prompt", "prefix")


def files_of(lm, kind, recipe=None):
    task = answer_task()
    recipe = recipe or Recipe(method=kind, virtual_tokens=6)
    return storage.to_files(lm, random_prefix(lm, kind, 6), storage.record_of(lm, task, recipe, "Word: {input} is"))


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
    assert learned.recipe == Recipe(method=kind, virtual_tokens=6)
    again = storage.to_files(lm, learned.prefix, learned.record)
    assert again == files  # byte by byte


def test_the_rows_that_it_was_trained_on_do_not_count_for_it(lm, tmp_path):
    task = answer_task()
    contender = storage.load(adapter_files.save(tmp_path / "x", files_of(lm, "prompt")), lm).contender("saved")
    assert contender.excluded == task.seen
    assert score(lm, contender, (*task.train, *task.held_out)).n == len(task.held_out)
    with pytest.raises(LabError, match="No rows are left"):
        score(lm, contender, task.train)


@pytest.mark.parametrize("in_one_go", [True, False])  # False: where the system cannot exchange two folders or link files
def test_saving_again_replaces_the_prompt_and_keeps_other_files(lm, tmp_path, monkeypatch, in_one_go):
    if not in_one_go:
        monkeypatch.setattr(adapter_files.ctypes, "CDLL", lambda *_, **__: object())
        monkeypatch.setattr(adapter_files.os, "link", lambda *_, **__: (_ for _ in ()).throw(OSError(1, "no links here")))
    folder = adapter_files.save(tmp_path / "x", files_of(lm, "prompt"))
    (folder / "more").mkdir()
    for notes in (folder / "notes.txt", folder / "more" / "notes.txt"):
        notes.write_text("mine")
    adapter_files.save(folder, files_of(lm, "prefix"))
    assert storage.load(folder, lm).prefix.kind == "prefix"
    assert (folder / "notes.txt").read_text() == (folder / "more" / "notes.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [folder]


def test_another_programs_folder_is_never_written_to(lm, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("x")
    (tmp_path / "file").write_text("x")
    for name in ("thesis", "file"):
        with pytest.raises(LabError, match="exists and is not a saved prompt"):
            adapter_files.save(tmp_path / name, files_of(lm, "prompt"))
    with pytest.raises(LabError, match=r"can't be saved|exists and is not"):
        adapter_files.save(tmp_path / "file" / "x", files_of(lm, "prompt"))
    assert [file.name for file in (tmp_path / "thesis").iterdir()] == ["chapter.tex"]
    (tmp_path / "empty").mkdir()
    adapter_files.save(tmp_path / "empty", files_of(lm, "prompt"))
    assert (tmp_path / "empty" / ADAPTER_CONFIG).is_file()


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


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_saved_by_peft_itself_is_read(tiny_folder, tmp_path, kind):
    lm = load_model(tiny_folder, "cpu", "float32")
    prefix = random_prefix(lm, kind, 6)
    peft_model(lm, prefix).save_pretrained(tmp_path / "theirs")
    learned = storage.load(tmp_path / "theirs", lm, template="Say {input}:")
    assert np.array_equal(learned.prefix.snapshot(), prefix.snapshot())
    assert learned.template == "Say {input}:" and learned.recipe is None
    assert "no recipe.json" in learned.warnings[0]


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("way", ["text", "projected"])
def test_what_peft_trains_in_ways_of_its_own_is_read_as_it_scores_there(tiny_folder, tmp_path, way):
    """A start from a text, and a prefix behind an MLP: PEFT's file holds what they come to, in one tensor."""
    lm = load_model(tiny_folder, "cpu", "float32")
    text = {"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "the quick brown fox", "tokenizer_name_or_path": tiny_folder}
    config = (
        peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=6, **text)
        if way == "text"
        else peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=6, prefix_projection=True, encoder_hidden_size=24)
    )
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_folder), config).eval()
    rows = encode(lm, "Say {input}:", EXAMPLES, None)
    with torch.no_grad():
        theirs = peft_loss(lm, model, rows).item()
    model.save_pretrained(tmp_path / "theirs")
    assert list(safetensors.torch.load_file(tmp_path / "theirs" / WEIGHTS)) == [TENSOR]
    learned = storage.load(tmp_path / "theirs", lm, "Say {input}:")
    prepared = prepare(lm, learned.contender("x"), EXAMPLES, None)
    with torch.no_grad():
        assert answer_loss(lm, prepared.fill(lm), prepared.rows).item() == pytest.approx(theirs, abs=1e-5)


def test_what_peft_has_no_form_for_is_not_saved(lm):
    with pytest.raises(LabError, match="Only a learned prompt"):
        storage.to_files(lm, no_prefix(), {})
    with_bos = make("llama", bos=True)
    with pytest.raises(LabError, match=r"BOS token \(placement 'after'\)"):
        files_of(with_bos, "prompt", Recipe(virtual_tokens=6, placement="after"))
    files_of(lm, "prompt", Recipe(virtual_tokens=6, placement="after"))  # without a BOS token it is the same place


def test_other_weights_of_the_same_shapes_are_noticed(lm):
    other = make("llama")
    with torch.no_grad():
        next(other.model.parameters()).mul_(2)
    files = files_of(other, "prompt")
    assert "other weights" in storage.from_files(files, lm, "x").warnings[0]


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
