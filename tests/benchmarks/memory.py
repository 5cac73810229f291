"""The memory that a training run takes, measured, beside the estimate that is made before it.

    OMP_NUM_THREADS=1 python tests/benchmarks/memory.py            # every setting
    OMP_NUM_THREADS=1 python tests/benchmarks/memory.py 1 5        # those with these numbers

Each setting runs two steps in a process of its own, on the CPU. Measured: the most that the process held during these steps (VmHWM of
Linux, reset before them), less what it held before. All rows are as long as the longest, as the estimate assumes. Models other than
SmolLM2-135M-Instruct have random weights, in the sizes given below; memory does not depend on the weights' values.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
SMOLLM = "SmolLM2-135M-Instruct"


class Setting(NamedTuple):
    model: str = SMOLLM
    tokens: int = 40  # of each row's input
    dtype: str = "float32"
    labels: bool = False
    recipe: Mapping[str, Any] = MappingProxyType({})


SIZES: dict[str, tuple[str, dict[str, Any]]] = {  # models with random weights: the architecture, and what its configuration says
    "GPT-2, 124M": ("gpt2", {"n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}),
    "GPT-NeoX, 162M": (
        "neox",
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 50304},
    ),
    "Qwen3, 8 layers of the 0.6B": (
        "qwen3",
        {"hidden_size": 1024, "num_hidden_layers": 8, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128}
        | {"intermediate_size": 3072, "vocab_size": 151936, "tie_word_embeddings": True, "layer_types": ["full_attention"] * 8},
    ),
    "Gemma 3, 6 layers of the 270M": (
        "gemma3",
        {"hidden_size": 640, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256}
        | {"intermediate_size": 2048, "vocab_size": 262144, "tie_word_embeddings": True, "sliding_window": 512}
        | {"layer_types": ["sliding_attention"] * 5 + ["full_attention"], "query_pre_attn_scalar": 256},
    ),
    "Llama, 2 layers, 32 million weights": (
        "llama",
        {"hidden_size": 512, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8}
        | {"intermediate_size": 2048, "vocab_size": 49152},
    ),
}
SETTINGS = [
    Setting(tokens=20, recipe={"batch_size": 16, "virtual_tokens": 10}),
    Setting(tokens=100, recipe={"batch_size": 32, "virtual_tokens": 20}),
    Setting(tokens=40, recipe={"batch_size": 16, "virtual_tokens": 100}),
    Setting(tokens=400, recipe={"batch_size": 2, "virtual_tokens": 20}),
    Setting(tokens=40, recipe={"batch_size": 16, "virtual_tokens": 20, "method": "prefix"}),
    Setting(tokens=60, recipe={"batch_size": 32, "virtual_tokens": 100, "method": "prefix"}),
    Setting(tokens=20, recipe={"batch_size": 16, "virtual_tokens": 20, "method": "prefix", "mlp": 256}),
    Setting(tokens=60, labels=True, recipe={"batch_size": 16, "virtual_tokens": 20, "loss": "labels"}),
    Setting(tokens=40, recipe={"batch_size": 16, "virtual_tokens": 20, "loss": "imitate", "teacher": "Answer this. {input}"}),
    Setting(tokens=60, dtype="bfloat16", recipe={"batch_size": 16, "virtual_tokens": 20}),
    Setting(tokens=60, dtype="bfloat16", recipe={"batch_size": 16, "virtual_tokens": 50, "method": "prefix"}),
    Setting("GPT-2, 124M", tokens=60, recipe={"batch_size": 16, "virtual_tokens": 20}),
    Setting("GPT-2, 124M", tokens=60, recipe={"batch_size": 16, "virtual_tokens": 50, "method": "prefix"}),
    Setting("GPT-NeoX, 162M", tokens=60, recipe={"batch_size": 16, "virtual_tokens": 20}),
    Setting("Qwen3, 8 layers of the 0.6B", tokens=60, recipe={"batch_size": 16, "virtual_tokens": 20}),
    Setting("Gemma 3, 6 layers of the 270M", tokens=60, recipe={"batch_size": 16, "virtual_tokens": 20}),
    Setting("Llama, 2 layers, 32 million weights", tokens=200, recipe={"batch_size": 16, "virtual_tokens": 20}),
]


def main() -> None:
    chosen = [int(number) for number in sys.argv[1:]] or range(1, len(SETTINGS) + 1)
    print("| | model | method | loss | rows | tokens | vectors | dtype | estimate | measured | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    missed = 0
    for number in chosen:
        done = subprocess.run([sys.executable, __file__, "--alone", str(number)], stdout=subprocess.PIPE, cwd=ROOT, check=True)
        told = json.loads(done.stdout.splitlines()[-1])
        setting = SETTINGS[number - 1]
        ratio = told["estimate"] / told["measured"]
        missed += not 1 <= ratio <= 1.25
        recipe = {"method": "prompt", "loss": "vocabulary"} | setting.recipe
        method = recipe["method"] + (", MLP" if recipe.get("mlp") else "")
        facts = [
            number,
            setting.model,
            method,
            recipe["loss"],
            recipe["batch_size"],
            setting.tokens,
            recipe["virtual_tokens"],
            setting.dtype,
        ]
        sizes = [f"{told[name] / 2**20:,.0f} MB" for name in ("estimate", "measured")]
        print("|", " | ".join(map(str, [*facts, *sizes, f"{ratio:.2f}"])), "|", flush=True)
        print(json.dumps({"number": number, **told}), file=sys.stderr, flush=True)
    print(f"\n{len(chosen) - missed} of {len(chosen)} estimates are between the measured peak and 25 % more.")
    sys.exit(missed > 0)


def alone(setting: Setting) -> dict[str, Any]:
    """The estimate and the measured peak, in bytes, in this process, which has done nothing else."""
    import torch
    from tiny_models import make

    from core import Recipe, load_model
    from core.tasks.task import Example, Task
    from core.training.memory import check
    from core.training.training import Training

    torch.manual_seed(0)
    if setting.model == SMOLLM:
        lm = load_model(dtype=setting.dtype)
    else:
        arch, sizes = SIZES[setting.model]
        lm = make(arch, max_position_embeddings=2048, **sizes).to(torch.device("cpu"), getattr(torch, setting.dtype))
    said = "very good" if setting.labels else "yes"
    text = lm.tokenizer.decode(lm.tokenise("the quick brown fox jumps over the lazy dog " * setting.tokens)[: setting.tokens - 2])
    rows = tuple(Example(f"{i} {text}", said) for i in range(10, 74))
    labels = ("bad", "very good", "not very good", "quite bad") if setting.labels else None
    task = Task("rows", "Rows", "{input}\nLabel:", rows, rows[:4], rows[4:8], labels=labels)
    training = Training(lm, task, Recipe(steps=2, **setting.recipe))
    for _ in training.begin():
        pass
    with torch.no_grad():  # weights that are mapped from a file are in memory once they were used
        lm.model(input_ids=torch.tensor([lm.tokenise("a few words")]), use_cache=False)
    parts = check(training).parts
    state = training.start()
    Path("/proc/self/clear_refs").write_text("5")
    before = held("VmRSS")
    training.advance(state, 2)
    return {"estimate": sum(parts.values()), "measured": held("VmHWM") - before, "parts": parts}


def held(name: str) -> int:
    """Bytes of this process's memory, as Linux says them."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(alone(SETTINGS[int(sys.argv[2]) - 1])))
    else:
        main()
