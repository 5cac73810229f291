"""Prompt files made to do harm, or broken on the way, by the sentence that refuses them; and odd ones that are sound."""

import io
import json
import os
import pickle
import stat
import struct
import warnings
import zipfile
from collections.abc import Callable

import numpy as np
import safetensors.torch
import torch
from tiny_models import answer_task, make, random_prefix

from core.models.weights import ADAPTER_CONFIG
from core.recipe import Recipe
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import RECIPE, WEIGHTS
from core.runs.adapter_tensor import TENSOR

LM = make("llama")  # d_model 32; 2 layers of 2 K/V heads, 8 wide: a prefix is 64 numbers a virtual token
COUNT = 3
Files = dict[str, bytes]


def good(kind: str) -> Files:
    recipe = Recipe(method=kind, virtual_tokens=COUNT)
    return storage.to_files(LM, random_prefix(LM, kind, COUNT), storage.record_of(LM, answer_task(), recipe, "Word: {input} is"))


SOFT, PREFIX = good("prompt"), good("prefix")
SAFE = SOFT[WEIGHTS]
NUMBERS = SAFE[-COUNT * 32 * 4 :]


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


def last_number(value: float) -> bytes:
    """A sound file, but for its last number."""
    return SAFE[:-4] + struct.pack("<f", value)


ENTRY = b'{"dtype":"F32","shape":[3,32],"data_offsets":[0,384]}'
NAMED = b'{"prompt_embeddings":'
NPY, SAVED = io.BytesIO(), io.BytesIO()
np.save(NPY, np.zeros((COUNT, 32), np.float32))
torch.save({TENSOR: torch.zeros(COUNT, 32)}, SAVED)

BAD_WEIGHTS: dict[str, Files] = {
    "damaged weights": {
        "no bytes": b"",
        "a length cut short": SAFE[:7],
        "a length alone": SAFE[:8],
        "half a header": SAFE[:40],
        "a header without numbers": SAFE[: -COUNT * 128],
        "all but the last byte": SAFE[:-1],
        "one byte more": SAFE + b"\0",
        "twice the file": SAFE * 2,
        "a header that claims 100 MB": struct.pack("<Q", 100 * 2**20) + SAFE[8:],
        "a header that claims 8 exabytes": b"\xff" * 7 + b"\x7f" + SAFE[8:],
        "a header that claims 16 exabytes": b"\xff" * 8 + SAFE[8:],
        "a header of 65 KB": raw(NAMED + ENTRY + b"}" + b" " * 65 * 2**10),
        "a length in the other byte order": SAFE[7::-1] + SAFE[8:],
        "a header that is no JSON": raw(b"{" * 50),
        "a header that is no text": raw(b"\xff\xfe" * 30),
        "a header in UTF-16": raw(json.dumps({TENSOR: json.loads(ENTRY)}).encode("utf-16")),
        "a header that is a list": raw([TENSOR]),
        "a header that is a number": raw(5),
        "a header that is null": raw(b"null"),
        "a header nested deeply": raw(NAMED * 2500 + b"1" + b"}" * 2500),
        "a header of open lists": raw(b"[" * 60_000),
        "a name twice": raw(NAMED + ENTRY + b',"prompt_embeddings":' + ENTRY + b"}"),
        "a name twice, sized otherwise": raw(
            NAMED + b'{"dtype":"F32","shape":[],"data_offsets":[0,4]}' + b',"prompt_embeddings":' + ENTRY + b"}"
        ),
        "a field twice": raw(NAMED + b'{"dtype":"I32",' + ENTRY[1:] + b"}"),
        "metadata that is no table": raw(b'{"__metadata__":[1],"prompt_embeddings":' + ENTRY + b"}"),
        "metadata nested": raw(b'{"__metadata__":{"a":{"b":1}},"prompt_embeddings":' + ENTRY + b"}"),
        "no offsets": raw({TENSOR: {"dtype": "F32", "shape": [COUNT, 32]}}),
        "offsets with a gap": entry(data_offsets=[4, COUNT * 128 + 4]),
        "offsets turned round": entry(data_offsets=[COUNT * 128, 0]),
        "offsets below zero": entry(data_offsets=[-128, COUNT * 128 - 128]),
        "offsets beyond counting": entry(data_offsets=[0, 2**64]),
        "offsets that are words": entry(data_offsets=["0", "384"]),
        "three offsets": entry(data_offsets=[0, 100, 384]),
        "a shape beyond memory": entry(shape=[2**30, 2**30]),
        "80,000 empty tensors": raw({f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(80_000)}, b""),
        "a pickle": pickle.dumps({TENSOR: os.getcwd}),
        "what torch.save writes": SAVED.getvalue(),
        "what numpy writes": NPY.getvalue(),
        "a GGUF file": b"GGUF\x03\0\0\0" + b"\0" * 400,
        "a web page": b"<!doctype html><script>alert(1)</script>" * 20,
    },
    "holds the tensors": {
        "no tensor": raw({}, b""),
        "offsets that overlap": raw({name: json.loads(ENTRY) for name in (TENSOR, "x")}),
        "500 more tensors, all empty": raw(
            {TENSOR: json.loads(ENTRY)} | {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [384, 384]} for i in range(500)}
        ),
        "another name": tensors(embeddings=torch.zeros(COUNT, 32)),
        "a name with a sign that can't be seen": tensors(**{TENSOR + "\u200b": torch.zeros(COUNT, 32)}),
    },
    "not finite or far too large": {
        "NaN": last_number(float("nan")),
        "infinity": last_number(float("-inf")),
        "infinity of half size": one(float("inf"), torch.float16),
        "numbers beyond all bounds": last_number(1e30),
    },
    "numbers of type 'None'": {"an entry that is a number": raw({TENSOR: 5}), "an entry that is a list": raw({TENSOR: [1, 2]})},
    "numbers of type 'I64'": {"whole numbers of 64 bits": one(1, torch.int64)},
    "numbers of type 'BOOL'": {"truth values": one(1, torch.bool)},
    "numbers of type 'C64'": {"complex numbers": one(0.1, torch.complex64)},
    "numbers of type": {
        "numbers of 8 bits": entry(dtype="F8_E4M3"),
        "numbers of no known kind": entry(dtype="F7"),
        "a kind of numbers that is a list": entry(dtype=["F32"]),
    },
    "has two sizes": {
        "a shape beyond counting": entry(shape=[10**30, 32]),
        "a shape whose product wraps around": entry(shape=[2**31 - 1, 2**33 + 1]),
        "a shape below zero": entry(shape=[-COUNT, -32]),
        "a shape of nothing": raw({TENSOR: {"dtype": "F32", "shape": [0, 32], "data_offsets": [0, 0]}}, b""),
        "a shape of fractions": entry(shape=[3.0, 32.0]),
        "a shape of truth values": entry(shape=[True, 96]),
        "a shape in words": entry(shape="3x32"),
        "a shape that is null": entry(shape=None),
        "three sizes": sized(COUNT, 4, 8),
        "one size": sized(COUNT * 32),
    },
    r"another model: .* \[3, 576\], .* \[3, 32\]": {"another model's width": sized(COUNT, 576)},
    r"another model: .* \[3, 64\], .* \[3, 32\]": {"a prefix's numbers": PREFIX[WEIGHTS]},
}


def told(**changes: object) -> bytes:
    return json.dumps(json.loads(SOFT[RECIPE]) | changes).encode()


def config(**more: object) -> dict[str, bytes | None]:
    return {ADAPTER_CONFIG: json.dumps({"peft_type": "PROMPT_TUNING"} | more).encode()}


DEEP = b"[" * 700 + b"]" * 700
PROJECTION = tensors(**{"embedding.weight": torch.zeros(COUNT, 16), "transform.0.weight": torch.zeros(8, 16)})
BAD_FILES: dict[str, dict[str, dict[str, bytes | None]]] = {
    "adapter_config.json is missing": {"nothing at all": dict.fromkeys(SOFT), "no settings file": {ADAPTER_CONFIG: None}},
    "adapter_model.safetensors is missing": {"no weights": {WEIGHTS: None}},
    "adapter_config.json is not a readable table": {
        "no settings": {ADAPTER_CONFIG: b""},
        "settings that are no JSON": {ADAPTER_CONFIG: b"not json"},
        "settings that are a number": {ADAPTER_CONFIG: b"1"},
        "settings that are a list": {ADAPTER_CONFIG: b"[]"},
        "settings that are cut off": {ADAPTER_CONFIG: SOFT[ADAPTER_CONFIG][:-3]},
        "settings that are binary": {ADAPTER_CONFIG: bytes(range(256))},
        "settings in half of UTF-16": {ADAPTER_CONFIG: b"\xff\xfe\x00"},
        "settings nested deeply": {ADAPTER_CONFIG: b'{"peft_type": "PROMPT_TUNING", "x": ' + DEEP + b"}"},
        "settings nested beyond parsing": {ADAPTER_CONFIG: b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
        "settings of 3 MB": {ADAPTER_CONFIG: SOFT[ADAPTER_CONFIG] + b" " * (3 * 2**20)},
        "a number of a million digits": {ADAPTER_CONFIG: b'{"peft_type": "PROMPT_TUNING", "x": ' + b"9" * 10**6 + b"}"},
    },
    "is a LoRA adapter": {"a LoRA": config(peft_type="LORA", r=8)},
    "is a multi-task prompt tuning adapter .one shared prompt": {"a multi-task prompt": config(peft_type="MULTITASK_PROMPT_TUNING")},
    "adapter: only prompt tuning, P-tuning, prefix tuning and Cartridges": {
        "a kind that is a list": config(peft_type=["PROMPT_TUNING"]),
        "a kind in small letters": config(peft_type="prompt_tuning"),
        "no kind": {ADAPTER_CONFIG: b"{}"},
    },
    "trained on an encoder-decoder model": {"an encoder-decoder's prompt": config(task_type="SEQ_2_SEQ_LM")},
    "a model with a classifier on top": {"a classifier's prompt": config(task_type="SEQ_CLS")},
    "a model that is read for its hidden states": {"a feature extractor's prompt": config(task_type="FEATURE_EXTRACTION")},
    "trained on a model for 'IMAGE_CLS'": {"another task's prompt": config(task_type="IMAGE_CLS")},
    "an encoder and one for a decoder .num_transformer_submodules is 2": {"two prompts in one": config(num_transformer_submodules=2)},
    "num_transformer_submodules 'True': a causal": {"a truth value for a number of prompts": config(num_transformer_submodules=True)},
    "not a whole encoder": {"half of a prefix's MLP": config(peft_type="PREFIX_TUNING", prefix_projection=True) | {WEIGHTS: PROJECTION}},
    "is damaged: its weights have 3 rows, and adapter_config.json says num_virtual_tokens 99999": {
        "settings that lie about its length": config(num_virtual_tokens=99999),
    },
    r"made for another model, 'a/b': it has num_layers 4 .here 2., token_dim 64 .here 32.\. Load": {
        "another model's sizes": config(num_layers=4, num_attention_heads=4, token_dim=64, base_model_name_or_path="a/b"),
    },
    r"it has num_layers 4 .here 2., num_attention_heads 1 .here 2., token_dim 8 .here 16.\. Load": {
        "a prefix of as many numbers, laid out otherwise": PREFIX
        | config(peft_type="PREFIX_TUNING", num_layers=4, num_attention_heads=1, token_dim=8),
    },
    "token_dim '-1' in adapter_config.json, which is no size": {"a size below zero": config(token_dim=-1)},
    "num_layers 'two' in adapter_config.json": {"a size in words": config(num_layers="two")},
    r"another model: .* \[3, 128\], .* \[3, 64\]": {"another model's layers": PREFIX | {WEIGHTS: sized(COUNT, 128)}},
    "at most 200": {"201 virtual tokens": config(num_virtual_tokens=201) | {WEIGHTS: sized(201, 32), RECIPE: None}},
    "recipe.json is not a readable table": {
        "a recipe that is no JSON": {RECIPE: b"{"},
        "a recipe nested deeply": {RECIPE: b'{"trained_on": [' + DEEP + b"]}"},
        "a recipe nested beyond parsing": {RECIPE: b"[" * 100_000},
        "a recipe that is a list": {RECIPE: b"[]"},
        "a recipe with half a character": {RECIPE: b'{"template": "{input} \\ud800"}'},
        "a key with half a character": {RECIPE: b'{"\\udfff": 1}'},
    },
    "recipe.json of another prompt": {
        "vectors that call themselves a prefix": {ADAPTER_CONFIG: PREFIX[ADAPTER_CONFIG]},
        "a recipe of another method": {RECIPE: PREFIX[RECIPE]},
        "a recipe of another length": {RECIPE: told(recipe=Recipe(virtual_tokens=COUNT + 1).to_dict())},
    },
    "steps is": {
        "a recipe with steps that are no number": {RECIPE: told(recipe={"virtual_tokens": COUNT, "steps": float("nan")})},
        "a recipe with steps beyond counting": {RECIPE: told(recipe={"virtual_tokens": COUNT, "steps": 10**400})},
    },
    "recipe is not a table of settings": {"a recipe that is a text": {RECIPE: told(recipe="rm -rf /")}},
    "a template of 1,000,007 characters": {"a giant template": {RECIPE: told(template="{input}" + "word " * 200_000)}},
}


def zipped(members: list[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of two members of one name
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def named(change: Callable[[str], str | zipfile.ZipInfo]) -> bytes:
    """A zip of a prompt's files, each under the name that `change` makes of its own."""
    return zipped([(change(name), data) for name, data in SOFT.items()])


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
BOMB = zipped([(ADAPTER_CONFIG, SOFT[ADAPTER_CONFIG]), (WEIGHTS, b"\0" * (64 * 2**20))])
BAD_ZIPS: dict[str, Files] = {
    "not a readable zip": {
        "no zip": b"",
        "a zip's first bytes": PACKED[:20],
        "half a zip": PACKED[: len(PACKED) // 2],
        "a zip without its end": PACKED[:-22],
        "a zip's directory alone": PACKED[PACKED.find(b"PK\x01\x02") :],
        "a zip bomb that says it is small": patched(BOMB, 24, 22, struct.pack("<I", 100)),
        "other checksums": patched(PACKED, 16, 14, b"\0\0\0\0"),
        "an encrypted zip": patched(PACKED, 8, 6, b"\x01\x00"),
        "an unknown compression": patched(PACKED, 10, 8, struct.pack("<H", 99)),
        "members in each other": patched(PACKED, 42, 4, b"\0\0\0\0"),
        "gzip": b"\x1f\x8b\x08" + b"\0" * 200,
        "bare weights": SAFE,
    },
    "adapter_config.json is missing": {
        "a zip of nothing": zipped([]),
        "a zip of something else": zipped([("readme.txt", b"hello")]),
        "a zip in a zip": zipped([("prompt.zip", PACKED)]),
        "a folder by the name of a file": zipped([(f"{name}/", b"") for name in SOFT]),
        "behind 2,000 other files": zipped([(f"{i}.txt", b"") for i in range(2_000)] + list(SOFT.items())),
    },
    "holds 2 prompts .'run/50', 'run/100'.: name one of them, as in '.*/run/100'": {
        "two checkpoints": zipped([(f"run/{step}/{name}", data) for step in (50, 100) for name, data in SOFT.items()]),
    },
    "as a link, or outside of itself": {
        "a zip slip": named(lambda name: f"../../{name}"),
        "a zip slip within a folder": named(lambda name: f"prompt/../../../{name}"),
        "a zip slip as Windows writes it": named(lambda name: f"..\\..\\{name}"),
        "an absolute path": named(lambda name: f"/tmp/{name}"),
        "links": named(link),
        "a link to the passwords": zipped([*((n, d) for n, d in SOFT.items() if n != RECIPE), (link(RECIPE), b"/etc/passwd")]),
    },
    "twice or too large": {
        "a zip bomb": BOMB,
        "a zip bomb of settings": zipped([(ADAPTER_CONFIG, b" " * (3 * 2**20))]),
        "a zip that says it is large": patched(PACKED, 24, 22, struct.pack("<I", 2**31)),
        "a file twice": zipped([*SOFT.items(), (WEIGHTS, one(0.2))]),
        "all files twice": zipped([*SOFT.items(), *SOFT.items()]),
    },
}


def changed(changes: dict[str, bytes | None]) -> Files:
    return {name: data for name, data in {**SOFT, **changes}.items() if data is not None}


CASES: dict[str, tuple[Files | bytes, str]] = {
    **{name: (SOFT | {WEIGHTS: data}, sentence) for sentence, cases in BAD_WEIGHTS.items() for name, data in cases.items()},
    **{name: (changed(changes), sentence) for sentence, cases in BAD_FILES.items() for name, changes in cases.items()},
    **{name: (data, sentence) for sentence, cases in BAD_ZIPS.items() for name, data in cases.items()},
}

HARMLESS: dict[str, Files | bytes] = {
    "as it was saved": SOFT,
    "a prefix": PREFIX,
    "without a recipe": changed({RECIPE: None}),
    "settings without sizes, as PEFT fills in": changed(config(num_layers=None, token_dim=None, num_transformer_submodules=None)),
    "settings of an older version, with unknown fields": changed(config(task_type=None, prompt_tuning_init="RANDOM", gone=[1])),
    "numbers of 64 bits": SOFT | {WEIGHTS: tensors(**{TENSOR: safetensors.torch.load(SAFE)[TENSOR].double()})},
    "P-tuning": changed(config(peft_type="P_TUNING") | {RECIPE: None}),
    "context-aware prompt tuning": changed(config(peft_type="CPT") | {RECIPE: None}),
    "a Cartridge": {ADAPTER_CONFIG: config(peft_type="CARTRIDGE")[ADAPTER_CONFIG], WEIGHTS: PREFIX[WEIGHTS]},
    "settings with a key twice": SOFT | {ADAPTER_CONFIG: b'{"peft_type": "LORA", "peft_type": "PROMPT_TUNING"}'},
    "settings in UTF-16": SOFT | {ADAPTER_CONFIG: SOFT[ADAPTER_CONFIG].decode().encode("utf-16")},
    "a recipe with unknown fields": SOFT | {RECIPE: told(__import__="os", trained_on=[[], {}, None, 5], examples=-1, seconds="long")},
    "a template with two places": SOFT | {RECIPE: told(template="{input}{input}")},
    "a header with spaces before its numbers": SOFT | {WEIGHTS: raw(NAMED + ENTRY + b"}" + b" " * 60_000)},
    "stored, not packed": zipped(list(SOFT.items()), zipfile.ZIP_STORED),
    "in a folder": zipped([*((f"my prompt/deep/{name}", data) for name, data in SOFT.items()), ("__MACOSX/junk", b"")]),
    "in a folder as Windows writes it": named(lambda name: f"my prompt\\{name}"),
    "with a checkpoint inside": zipped([*SOFT.items(), *((f"checkpoint-5/{name}", b"") for name in SOFT)]),
    "weights in two folders": zipped([*SOFT.items(), (f"checkpoint/{WEIGHTS}", SAFE)]),
    "a program before the zip": b"MZ" + b"\0" * 500 + PACKED,
    "a slip among the other members": zipped([*SOFT.items(), ("../../../evil.sh", b"rm"), (link("passwd"), b"/etc/passwd")]),
}
