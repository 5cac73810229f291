"""Prompt files that somebody made to do harm, or that broke on the way: a sentence, or the prompt; and nothing else happens."""

import hashlib
import io
import json
import os
import pickle
import random
import stat
import struct
import time
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from tiny_models import answer_task, make, random_prefix

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import CONFIG, RECIPE, WEIGHTS
from core.runs.adapter_tensor import TENSOR
from core.runs.saved_adapter import Learned

LM = make("llama")  # d_model 32; 2 layers of 2 K/V heads, 8 wide: a prefix is 64 numbers a virtual token
COUNT = 3
Files = dict[str, bytes]


def good(kind: str = "prompt") -> Files:
    recipe = Recipe(method="prompt" if kind == "prompt" else "prefix", virtual_tokens=COUNT)
    return storage.to_files(LM, random_prefix(LM, kind, COUNT), storage.record_of(LM, answer_task(), recipe, "Word: {input} is"))


SOFT, PREFIX = good("prompt"), good("prefix")
NUMBERS = SOFT[WEIGHTS][-COUNT * 32 * 4 :]


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


# --- weights --------------------------------------------------------------------------------------------------------------------


def raw(header: object, data: bytes = NUMBERS) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(**changes: object) -> bytes:
    return raw({TENSOR: {"dtype": "F32", "shape": [COUNT, 32], "data_offsets": [0, COUNT * 128]} | changes})


def tensors(**named: torch.Tensor) -> bytes:
    return safetensors.torch.save(named)


def one(value: float, dtype: torch.dtype = torch.float32) -> bytes:
    return tensors(**{TENSOR: torch.full((COUNT, 32), value, dtype=dtype)})


def sized(*shape: int) -> bytes:
    return tensors(**{TENSOR: torch.zeros(*shape)})


def one_number_off(value: float) -> bytes:
    """A sound file, but for its last number."""
    return SOFT[WEIGHTS][:-4] + struct.pack("<f", value)


ENTRY = b'{"dtype":"F32","shape":[3,32],"data_offsets":[0,384]}'
SHORT_ENTRY = b'{"dtype":"F32","shape":[],"data_offsets":[0,4]}'
NPY = io.BytesIO()
np.save(NPY, np.zeros((COUNT, 32), np.float32))
SAVED = io.BytesIO()
torch.save({TENSOR: torch.zeros(COUNT, 32)}, SAVED)

BAD_WEIGHTS = {
    "no bytes": b"",
    "a length cut short": SOFT[WEIGHTS][:7],
    "a length alone": SOFT[WEIGHTS][:8],
    "half a header": SOFT[WEIGHTS][:40],
    "a header without numbers": SOFT[WEIGHTS][: -COUNT * 128],
    "all but the last byte": SOFT[WEIGHTS][:-1],
    "one byte more": SOFT[WEIGHTS] + b"\0",
    "twice the file": SOFT[WEIGHTS] * 2,
    "a header that claims 100 MB": struct.pack("<Q", 100 * 2**20) + SOFT[WEIGHTS][8:],
    "a header that claims 16 exabytes": b"\xff" * 8 + SOFT[WEIGHTS][8:],
    "a header of 65 KB": raw(b'{"prompt_embeddings":' + ENTRY + b"}" + b" " * 65 * 2**10),
    "a length in the other byte order": SOFT[WEIGHTS][7::-1] + SOFT[WEIGHTS][8:],
    "a header that is no JSON": raw(b"{" * 50),
    "a header that is no text": raw(b"\xff\xfe" * 30),
    "a header in UTF-16": raw(json.dumps({TENSOR: json.loads(ENTRY)}).encode("utf-16")),
    "a header that is a list": raw([TENSOR]),
    "a header that is null": raw(b"null"),
    "a header nested deeply": raw(b'{"prompt_embeddings":' * 2500 + b"1" + b"}" * 2500),
    "a name twice": raw(b'{"prompt_embeddings":' + ENTRY + b',"prompt_embeddings":' + ENTRY + b"}"),
    "a name twice, sized otherwise": raw(b'{"prompt_embeddings":' + SHORT_ENTRY + b',"prompt_embeddings":' + ENTRY + b"}"),
    "a field twice": raw(b'{"prompt_embeddings":{"dtype":"I32",' + ENTRY[1:] + b"}"),
    "metadata that is no table": raw(b'{"__metadata__":[1],"prompt_embeddings":' + ENTRY + b"}"),
    "metadata nested": raw(b'{"__metadata__":{"a":{"b":1}},"prompt_embeddings":' + ENTRY + b"}"),
    "an entry that is a number": raw({TENSOR: 5}),
    "offsets that overlap": raw(
        {TENSOR: json.loads(ENTRY), "x": {"dtype": "F32", "shape": [COUNT, 32], "data_offsets": [0, COUNT * 128]}},
    ),
    "offsets with a gap": entry(data_offsets=[4, COUNT * 128 + 4]),
    "offsets turned round": entry(data_offsets=[COUNT * 128, 0]),
    "offsets below zero": entry(data_offsets=[-128, COUNT * 128 - 128]),
    "offsets beyond counting": entry(data_offsets=[0, 2**64]),
    "offsets that are words": entry(data_offsets=["0", "384"]),
    "three offsets": entry(data_offsets=[0, 100, 384]),
    "NaN": one_number_off(float("nan")),
    "infinity": one_number_off(float("-inf")),
    "infinity of half size": one(float("inf"), torch.float16),
    "numbers beyond all bounds": one_number_off(3e38),
    "whole numbers of 64 bits": one(1, torch.int64),
    "truth values": one(1, torch.bool),
    "numbers of 64 bits": one(0.1, torch.float64),
    "complex numbers": one(0.1, torch.complex64),
    "numbers of 8 bits": entry(dtype="F8_E4M3"),
    "numbers of no known kind": entry(dtype="F7"),
    "a shape beyond memory": entry(shape=[2**30, 2**30]),
    "a shape beyond counting": entry(shape=[10**30, 32]),
    "a shape whose product wraps around": entry(shape=[2**31 - 1, 2**33 + 1]),
    "a shape below zero": entry(shape=[-COUNT, -32]),
    "a shape of nothing": raw({TENSOR: {"dtype": "F32", "shape": [0, 32], "data_offsets": [0, 0]}}, b""),
    "a shape of fractions": entry(shape=[3.0, 32.0]),
    "a shape of truth values": entry(shape=[True, 96]),
    "a shape in words": entry(shape="3x32"),
    "three sizes": sized(COUNT, 4, 8),
    "one size": sized(COUNT * 32),
    "80,000 empty tensors": raw({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(80_000)}, b""),
    "500 empty tensors beside it": raw(
        {TENSOR: json.loads(ENTRY)} | {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [384, 384]} for i in range(500)}
    ),
    "another name": tensors(embeddings=torch.zeros(COUNT, 32)),
    "a name with a sign that can't be seen": tensors(**{TENSOR + "\u200b": torch.zeros(COUNT, 32)}),
    "a pickle": pickle.dumps({TENSOR: os.getcwd}),
    "what torch.save writes": SAVED.getvalue(),
    "what numpy writes": NPY.getvalue(),
    "a GGUF file": b"GGUF\x03\0\0\0" + b"\0" * 400,
    "a web page": b"<!doctype html><script>alert(1)</script>" * 20,
    "another model's width": sized(COUNT, 576),
    "201 virtual tokens": sized(201, 32),
    "a prefix's numbers": PREFIX[WEIGHTS],
}

# --- settings -------------------------------------------------------------------------------------------------------------------


def told(**changes: object) -> bytes:
    return json.dumps(json.loads(SOFT[RECIPE]) | changes).encode()


DEEP = b"[" * 700 + b"]" * 700
BAD_SETTINGS: dict[str, Files] = {
    "a LoRA": {CONFIG: b'{"peft_type": "LORA"}'},
    "a kind that is a list": {CONFIG: b'{"peft_type": ["PROMPT_TUNING"]}'},
    "a kind in small letters": {CONFIG: b'{"peft_type": "prompt_tuning"}'},
    "settings that are a number": {CONFIG: b"1"},
    "settings that are cut off": {CONFIG: SOFT[CONFIG][:-3]},
    "settings that are binary": {CONFIG: bytes(range(256))},
    "settings nested deeply": {CONFIG: b'{"peft_type": "PROMPT_TUNING", "x": ' + DEEP + b"}"},
    "settings of 3 MB": {CONFIG: SOFT[CONFIG] + b" " * (3 * 2**20)},
    "a number of a million digits": {CONFIG: b'{"peft_type": "PROMPT_TUNING", "x": ' + b"9" * 10**6 + b"}"},
    "a prefix's MLP itself": {
        **PREFIX,
        CONFIG: b'{"peft_type": "PREFIX_TUNING", "prefix_projection": true}',
        WEIGHTS: tensors(**{"embedding.weight": torch.zeros(COUNT, 16), "transform.0.weight": torch.zeros(8, 16)}),
    },
    "a classifier's prompt": {CONFIG: b'{"peft_type": "PROMPT_TUNING", "task_type": "SEQ_CLS"}'},
    "vectors that call themselves a prefix": {CONFIG: PREFIX[CONFIG]},
    "a recipe nested deeply": {RECIPE: b'{"trained_on": [' + DEEP + b"]}"},
    "a recipe that is a list": {RECIPE: b"[]"},
    "a recipe with half a character": {RECIPE: b'{"template": "{input} \\ud800"}'},
    "a key with half a character": {RECIPE: b'{"\\udfff": 1}'},
    "a recipe of another method": {RECIPE: PREFIX[RECIPE]},
    "a recipe of another length": {RECIPE: told(recipe=Recipe(virtual_tokens=COUNT + 1).to_dict())},
    "a recipe with steps that are no number": {RECIPE: told(recipe={"virtual_tokens": COUNT, "steps": float("nan")})},
    "a recipe with steps beyond counting": {RECIPE: told(recipe={"virtual_tokens": COUNT, "steps": 10**400})},
    "a recipe that is a text": {RECIPE: told(recipe="rm -rf /")},
    "a template of a million characters": {RECIPE: told(template="{input}" + "word " * 200_000)},
    "no settings": {CONFIG: b""},
}

# --- zips -----------------------------------------------------------------------------------------------------------------------


def zipped(members: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def named(change: Callable[[str], str | zipfile.ZipInfo], files: Files = SOFT) -> bytes:
    """A zip of the files, each under the name that `change` makes of its own."""
    return zipped([(change(name), data) for name, data in files.items()])


def patched(data: bytes, central: int, local: int, value: bytes) -> bytes:
    """A zip with `value` at these places of every entry's header, in the directory and before the data."""
    changed = bytearray(data)
    for mark, place in ((b"PK\x01\x02", central), (b"PK\x03\x04", local)):
        found = data.find(mark)
        while found >= 0:
            changed[found + place : found + place + len(value)] = value
            found = data.find(mark, found + 4)
    return bytes(changed)


def link(name: str) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = (stat.S_IFLNK | 0o777) << 16
    return made


PACKED = adapter_files.pack(SOFT)
BOMB = zipped([(CONFIG, SOFT[CONFIG]), (WEIGHTS, b"\0" * (64 * 2**20))])

BAD_ZIPS: dict[str, bytes] = {
    "no zip": b"",
    "a zip's first bytes": PACKED[:20],
    "half a zip": PACKED[: len(PACKED) // 2],
    "a zip without its end": PACKED[:-22],
    "a zip's directory alone": PACKED[PACKED.find(b"PK\x01\x02") :],
    "a zip of nothing": zipped([]),
    "a zip of something else": zipped([("readme.txt", b"hello")]),
    "a zip in a zip": zipped([("prompt.zip", PACKED)]),
    "a zip slip": named(lambda name: f"../../{name}"),
    "a zip slip within a folder": named(lambda name: f"prompt/../../../{name}"),
    "a zip slip as Windows writes it": named(lambda name: f"..\\..\\{name}"),
    "an absolute path": named(lambda name: f"/tmp/{name}"),
    "links": named(link),
    "a link to the passwords": zipped([*((n, d) for n, d in SOFT.items() if n != RECIPE), (link(RECIPE), b"/etc/passwd")]),
    "a zip bomb": BOMB,
    "a zip bomb that says it is small": patched(BOMB, 24, 22, struct.pack("<I", 100)),
    "a zip that says it is large": patched(PACKED, 24, 22, struct.pack("<I", 2**31)),
    "other checksums": patched(PACKED, 16, 14, b"\0\0\0\0"),
    "an encrypted zip": patched(PACKED, 8, 6, b"\x01\x00"),
    "a compression that nobody knows": patched(PACKED, 10, 8, struct.pack("<H", 99)),
    "members in each other": patched(PACKED, 42, 4, b"\0\0\0\0"),
    "a file twice": zipped([*SOFT.items(), *SOFT.items()]),
    "a file in two folders": zipped([*SOFT.items(), (f"checkpoint/{WEIGHTS}", SOFT[WEIGHTS])]),
    "a folder by the name of a file": zipped([(f"{name}/", b"") for name in SOFT]),
    "behind 2,000 other files": zipped([(f"{i}.txt", b"") for i in range(2_000)] + list(SOFT.items())),
    "gzip": b"\x1f\x8b\x08" + b"\0" * 200,
    "bare weights": SOFT[WEIGHTS],
}

CASES: dict[str, Files | bytes] = {
    **{name: SOFT | {WEIGHTS: data} for name, data in BAD_WEIGHTS.items()},
    **{name: SOFT | files for name, files in BAD_SETTINGS.items()},
    "another model's layers": PREFIX | {WEIGHTS: sized(COUNT, 128)},
    "no weights": {name: data for name, data in SOFT.items() if name != WEIGHTS},
    "nothing at all": {},
    **BAD_ZIPS,
}


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_gets_a_sentence_and_changes_nothing(deep_inside, name):
    case = CASES[name]
    paths = []
    if isinstance(case, dict):
        folder = deep_inside / name
        folder.mkdir()
        for file, data in case.items():
            (folder / file).write_bytes(data)
        paths.append(folder)
        case = adapter_files.pack(case)
    zipped_up = deep_inside / f"{name}.zip"
    zipped_up.write_bytes(case)
    for path in (*paths, zipped_up):
        with pytest.raises(LabError) as caught:
            storage.load(path, LM)
        sentence = str(caught.value)
        assert len(sentence) < 300 and "\n" not in sentence and sentence.endswith(".")


def test_there_are_more_than_enough_of_them():
    assert len(CASES) >= 100


HARMLESS: dict[str, Files | bytes] = {
    "as it was saved": SOFT,
    "a prefix": PREFIX,
    "without a recipe": {name: data for name, data in SOFT.items() if name != RECIPE},
    "settings that lie about its size": SOFT | {CONFIG: b'{"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 99999, "token_dim": -1}'},
    "settings with a key twice": SOFT | {CONFIG: b'{"peft_type": "LORA", "peft_type": "PROMPT_TUNING"}'},
    "settings in UTF-16": SOFT | {CONFIG: SOFT[CONFIG].decode().encode("utf-16")},
    "a recipe with what nobody knows": SOFT | {RECIPE: told(__import__="os", trained_on=[[], {}, None, 5], examples=-1, seconds="long")},
    "a template with two places": SOFT | {RECIPE: told(template="{input}{input}")},
    "a header with spaces before its numbers": SOFT | {WEIGHTS: raw(b'{"prompt_embeddings":' + ENTRY + b"}" + b" " * 60_000)},
    "stored, not packed": zipped(list(SOFT.items()), zipfile.ZIP_STORED),
    "in a folder": named(lambda name: f"my prompt/{name}"),
    "in a folder as Windows writes it": named(lambda name: f"my prompt\\{name}"),
    "a program before the zip": b"MZ" + b"\0" * 500 + PACKED,
    "a slip beside it, which nobody unpacks": zipped([*SOFT.items(), ("../../../evil.sh", b"rm"), (link("passwd"), b"/etc/passwd")]),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_an_odd_file_that_is_sound_is_loaded_as_it_is(tmp_path, name):
    case = HARMLESS[name]
    (tmp_path / "x.zip").write_bytes(case if isinstance(case, bytes) else adapter_files.pack(case))
    learned = storage.load(tmp_path / "x.zip", LM)
    assert_sound(learned)
    assert np.array_equal(learned.prefix.snapshot(), random_prefix(LM, learned.prefix.kind, COUNT).snapshot())
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"] and fingerprint(LM) == WEIGHTS_OF_LM


# --- what a folder may hold -------------------------------------------------------------------------------------------------------


def folder_of(files: Files, folder: Path) -> Path:
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("make_it", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink(path, path)])
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
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


@pytest.mark.parametrize("name", [CONFIG, RECIPE, WEIGHTS, "x.zip"])
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


# --- mutations --------------------------------------------------------------------------------------------------------------------

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
    zips = [zipped(list(files.items()), method) for files in (SOFT, PREFIX) for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED)]
    path, folder = tmp_path / "x.zip", tmp_path / "x"
    folder.mkdir()
    loaded, began = 0, time.monotonic()
    for number in range(MUTATIONS):
        files = (SOFT, PREFIX)[number % 2]
        name = (CONFIG, WEIGHTS, RECIPE, WEIGHTS)[number // 2 % 4]
        damaged = files | {name: mutated(files[name], chance)}
        match number % 5:
            case 0 | 1:  # the zip itself
                path.write_bytes(mutated(zips[number // 5 % 4], chance))
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
