"""Commands run on a tiny model and a small table."""

import signal

import pytest
from tiny_models import make, random_prefix

import core.models.language_model
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.tasks.load import load_task


@pytest.fixture(scope="module")
def lm():
    return make("llama")


@pytest.fixture(autouse=True)
def tiny_model(lm, monkeypatch):
    """Every command gets a tiny model; and Ctrl-C is as it was afterwards."""
    monkeypatch.setattr(core.models.language_model, "load_model", lambda *_: lm)
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def csv(tmp_path) -> str:
    path = tmp_path / "pets.csv"
    path.write_text("input,output\n" + "".join(f"pet {i},{'yes' if i % 3 else 'no'}\n" for i in range(20)))
    return str(path)


@pytest.fixture
def saved(lm, csv, tmp_path) -> str:
    """A soft prompt of random vectors, saved as if trained on the CSV."""
    record = storage.record_of(lm, load_task(csv), Recipe(virtual_tokens=3), "{input} is")
    return str(adapter_files.save(tmp_path / "saved", storage.to_files(lm, random_prefix(lm, "prompt", 3), record)))
