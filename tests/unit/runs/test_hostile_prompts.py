"""Prompt files made to do harm, or broken on the way: a sentence, or the prompt; and nothing else happens."""

import hashlib
import json
import os
import random
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bad_prompts import BOMB, CASES, COUNT, HARMLESS, LM, PREFIX, SOFT, Files, zipped
from tiny_models import random_prefix

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.models.weights import ADAPTER_CONFIG
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import RECIPE, WEIGHTS
from core.runs.saved_adapter import Learned


def fingerprint(lm: LanguageModel) -> str:
    digest = hashlib.sha256()
    for tensor in lm.model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


WEIGHTS_OF_LM = fingerprint(LM)


@pytest.fixture
def deep_inside(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder to work in, three below one that is looked through afterwards: nothing may have been written, and no weight moved."""
    folder = tmp_path / "a" / "b" / "c"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    yield folder
    assert fingerprint(LM) == WEIGHTS_OF_LM
    left = {path.name for path in tmp_path.rglob("*")} - {"a", "b", "c", *CASES, *(f"{name}.zip" for name in CASES), *SOFT}
    assert left == set()


def assert_sound(learned: Learned) -> None:
    """It fits the model, and all that is later done with it can be done."""
    values = learned.prefix.snapshot()
    count = learned.prefix.virtual_tokens
    assert 1 <= count <= 200 and np.isfinite(values).all()
    assert values.shape == ((count, 32) if learned.prefix.kind == "prompt" else (2, 2, count, 2, 8))
    assert learned.template.count("{input}") == 1
    LM.tokenise(learned.template)
    learned.contender("x")
    assert learned.recipe is None or learned.recipe.virtual_tokens == count
    storage.to_files(LM, learned.prefix, learned.record)


def folder_of(files: Files, folder: Path) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_gets_a_sentence_and_changes_nothing(deep_inside, name):
    case, sentence = CASES[name]

    def refused(read, *arguments, match=None):
        with pytest.raises(LabError, match=match) as caught:
            read(*arguments, LM)
        message = str(caught.value)
        assert len(message) < 300 and "\n" not in message and message.endswith(".")

    zip_file = deep_inside / f"{name}.zip"
    if isinstance(case, bytes):
        zip_file.write_bytes(case)
        refused(storage.load, zip_file, match=sentence)
        return
    refused(lambda lm: storage.from_files(case, lm, "my prompt"), match=sentence)
    refused(storage.load, folder_of(case, deep_inside / name))
    zip_file.write_bytes(adapter_files.pack(case))
    refused(storage.load, zip_file)


def test_there_are_enough_cases():
    assert len(CASES) >= 100


@pytest.mark.parametrize(
    "record",
    [
        *({"recipe": value} for value in (5, {"steps": -1}, {"steps": 10**400})),
        *({"trained_on": value} for value in (5, None, {"a": 1}, [[], {}, 5, None])),
        *({"base": 5}, {"base": {"weights": ["x"]}}),
        *({"template": 5, "placement": []}, {"template": "{input}{input}"}, {"template": None, "base": None, "recipe": None, "task": None}),
    ],
    ids=str,
)
def test_an_odd_recipe_file_is_refused_or_does_no_harm(record):
    try:
        learned = storage.from_files(SOFT | {RECIPE: json.dumps(record).encode()}, LM, "x")
        contender = learned.contender("x")
        learned.recipe  # noqa: B018  reading it checks it
    except LabError:
        return
    assert contender.template == "{input}" and contender.placement == "before"


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_file_that_is_sound_is_loaded_as_it_is(tmp_path, name):
    case = HARMLESS[name]
    (tmp_path / "x.zip").write_bytes(case if isinstance(case, bytes) else adapter_files.pack(case))
    learned = storage.load(tmp_path / "x.zip", LM)
    assert_sound(learned)
    assert np.array_equal(learned.prefix.snapshot(), random_prefix(LM, learned.prefix.kind, COUNT).snapshot())
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"] and fingerprint(LM) == WEIGHTS_OF_LM


@pytest.mark.parametrize("make_it", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink(path, path)])
@pytest.mark.parametrize("name", [ADAPTER_CONFIG, WEIGHTS])
def test_what_is_no_file_is_never_read(tmp_path, name, make_it):
    folder = folder_of(SOFT, tmp_path / "x")
    (folder / name).unlink()
    make_it(folder / name)
    with pytest.raises(LabError, match="is missing"):
        storage.load(folder, LM)


def test_links_to_files_are_followed_as_the_hub_lays_them(tmp_path):
    blobs = folder_of(SOFT, tmp_path / "blobs")
    (tmp_path / "x").mkdir()
    for name in SOFT:
        (tmp_path / "x" / name).symlink_to(blobs / name)
    assert_sound(storage.load(tmp_path / "x", LM))


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    folder = folder_of(SOFT, tmp_path / "x")

    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(LabError, match="Permission denied"):
        storage.load(folder, LM)


@pytest.mark.parametrize("name", [ADAPTER_CONFIG, RECIPE, WEIGHTS, "x.zip"])
def test_a_giant_file_is_refused_by_its_size_alone(tmp_path, monkeypatch, name):
    folder = folder_of(SOFT, tmp_path / "x")
    with (folder / name).open("wb") as file:
        file.truncate(20 * 2**30)  # of zeros that take no room
    reads = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("read") if self.name == name else reads(self))
    with pytest.raises(LabError, match="larger than a learned prompt for this model can be"):
        storage.load(folder / name if name == "x.zip" else folder, LM)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    (tmp_path / "x.zip").write_bytes(BOMB)
    opens = zipfile.ZipFile.open
    monkeypatch.setattr(
        zipfile.ZipFile, "open", lambda self, member: pytest.fail("unpacked") if member.filename == WEIGHTS else opens(self, member)
    )
    with pytest.raises(LabError, match="twice or too large"):
        storage.load(tmp_path / "x.zip", LM)


def test_what_is_nested_deeper_than_python_can_write_is_refused_at_every_depth():
    for depth in (*range(20, 50), *range(940, 1000)):
        nested = b"[" * depth + b"]" * depth
        try:
            assert_sound(storage.from_files(SOFT | {RECIPE: b'{"trained_on": [' + nested + b"]}"}, LM, "x"))
        except LabError:
            assert depth > 25


MUTATIONS = 2000


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Bytes flipped, put in, cut out, doubled, or the end cut off: anywhere, near the start (headers) or near the end (a zip's
    directory)."""
    broken = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        size = len(broken)
        if not size:
            break
        where = chance.choice(("anywhere", "start", "end"))
        place = chance.randrange(size)
        if where == "start":
            place = min(chance.randrange(160), size - 1)
        elif where == "end":
            place = max(size - 1 - chance.randrange(400), 0)
        length = chance.choice((1, 2, 4, 8, 30))
        match chance.choice(("flip", "set", "insert", "delete", "duplicate", "swap", "truncate")):
            case "flip":
                broken[place] ^= 1 << chance.randrange(8)
            case "set":
                broken[place] = chance.choice((0, 1, 0x22, 0x2C, 0x39, 0x7B, 0x7F, 0x80, 0xFF))
            case "insert":
                broken[place:place] = chance.randbytes(length)
            case "delete":
                del broken[place : place + length]
            case "duplicate":
                broken[place:place] = broken[place : place + length]
            case "swap":
                other = chance.randrange(size)
                broken[place], broken[other] = broken[other], broken[place]
            case "truncate" if chance.random() < 0.3:
                del broken[place:]
    return bytes(broken)


def test_thousands_of_damaged_files_are_refused_or_sound(tmp_path):
    chance = random.Random(5)
    methods = (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    zips = [zipped(list(files.items()), method) for files in (SOFT, PREFIX) for method in methods]
    path, folder = tmp_path / "x.zip", tmp_path / "x"
    folder.mkdir()
    loaded, began = 0, time.monotonic()
    for number in range(MUTATIONS):
        files = (SOFT, PREFIX)[number % 2]
        name = (ADAPTER_CONFIG, WEIGHTS, RECIPE, WEIGHTS)[number // 2 % 4]
        damaged = files | {name: mutated(files[name], chance)}
        match number % 5:
            case 0 | 1:  # the zip itself
                path.write_bytes(mutated(zips[number // 5 % 8], chance))
            case 2:  # a sound zip of a damaged file
                path.write_bytes(adapter_files.pack(damaged))
            case _:
                for file, data in damaged.items():
                    (folder / file).write_bytes(data)
        try:
            learned = storage.load(path if number % 5 < 3 else folder, LM)
        except LabError as error:
            assert "\n" not in str(error)
            continue
        assert_sound(learned)
        loaded += 1
    assert MUTATIONS // 20 < loaded < MUTATIONS // 2  # some damage is harmless: both ways were walked
    assert time.monotonic() - began < 300
    assert {file.name for file in tmp_path.rglob("*")} == {"x.zip", "x", *SOFT} and fingerprint(LM) == WEIGHTS_OF_LM
