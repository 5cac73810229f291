"""What a run will need: an estimate that is near what autograd really keeps, and a refusal that says the numbers."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_models import ARCHITECTURES, answer_task, label_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.tasks.task import Example
from core.training import memory
from core.training.memory import COPIES, FLOAT, MOST_SNAPSHOT_BYTES, available, check, estimate, smallest_free
from core.training.training import Training


def kept_for_backward(lm, run):
    """Bytes of all tensors that autograd saves while `run` makes its result, each storage once, without the model's own."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*lm.model.parameters(), *lm.model.buffers())}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = run()
    return sum(storage.nbytes() for storage in saved.values()), result


WORDS = Example("the quick brown fox jumps over the lazy dog", "yes")
SAME = tuple(Example(WORDS.input + end, "yes") for end in (" one", " two", " sea", " fox", " run", " day", " bad", " red"))
TASKS = {
    "answers": (answer_task(train=SAME, template="Word: {input} gives"), "vocabulary"),
    "labels": (label_task(train=tuple(Example(e.input, "very good") for e in SAME)), "labels"),
}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("method", ["prompt", "prefix"])
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_estimate_is_near_what_autograd_keeps(arch, name, method, attention):
    lm = make(arch)
    lm.model.set_attn_implementation(attention)
    known, true = known_and_true(lm, name, method)
    assert true <= known <= 2.6 * true


def test_the_estimate_holds_in_bfloat16():
    lm = make("llama").to(torch.device("cpu"), torch.bfloat16)
    known, true = known_and_true(lm, "answers", "prompt")
    assert lm.dtype == torch.bfloat16 and true <= known <= 2.6 * true


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_below_float32_the_norms_of_each_architecture_are_counted(arch, monkeypatch):
    """Each keeps a float32 copy of its input: two in a layer, in Gemma 3 four."""
    lm = make(arch).to(torch.device("cpu"), torch.bfloat16)
    assert memory._norms(lm, lm.d_model) == (4 if arch == "gemma3" else 2)
    assert memory._norms(lm, lm.head_dim) == (2 if arch in ("qwen3", "gemma3") else 0)
    counted = estimate(lm, Recipe(), 20).parts["activations"]
    monkeypatch.setattr(memory, "_norms", lambda lm, size: 9)
    assert estimate(lm, Recipe(), 20).parts["activations"] > counted


def test_an_activation_that_is_written_out_counts_more_and_a_layer_without_a_gate_less():
    inners = {arch: memory._inners(make(arch), make(arch).model.config, 128 if arch == "gpt2" else 48) for arch in ARCHITECTURES}
    assert inners == {"gpt2": 6, "llama": 4, "neox": 1.5, "qwen3": 4, "gemma3": 4}


def known_and_true(lm, name, method):
    """Bytes of what is kept for the way back: as estimated, and as it is."""
    task, loss = TASKS[name]
    training = Training(lm, task, Recipe(method=method, batch_size=8, virtual_tokens=12, loss=loss))
    parts = check(training).parts
    known = parts["activations"] + parts["keys and values"] + parts["logits"] // 2  # half of these are gradients, made later
    true, _ = kept_for_backward(lm, lambda: training.loss(training.prepared.rows))
    return known, true


@pytest.mark.parametrize(
    "changes", [{}, {"method": "prefix"}, {"method": "prefix", "mlp": 16}, {"method": "prefix", "mlp": 16, "init": "random"}]
)
def test_parameters_are_counted_to_the_number(tiny, changes):
    recipe = Recipe(virtual_tokens=5, **changes)
    training = Training(tiny("llama"), answer_task(), recipe)
    assert check(training).parts["parameters"] == training.prefix.parameter_count() * COPIES * FLOAT


def test_the_estimate_follows_what_a_visitor_can_change(tiny):
    lm = tiny("llama")
    small = estimate(lm, Recipe(), 20, 2)
    assert estimate(lm, Recipe(batch_size=32), 20, 2).parts["logits"] == 2 * small.parts["logits"]
    assert estimate(lm, Recipe(virtual_tokens=40), 20, 2).parts["keys and values"] > small.parts["keys and values"]
    assert estimate(lm, Recipe(loss="labels"), 20, 2, labels=4).bytes > estimate(lm, Recipe(loss="labels"), 20, 2, labels=2).bytes
    assert small.bytes == sum(small.parts.values())
    few, many = (estimate(lm, Recipe(virtual_tokens=100, steps=steps), 10).parts["snapshots"] for steps in (20, 10_000))
    assert few == 20 * 100 * lm.d_model * 4 and many == MOST_SNAPSHOT_BYTES  # no more than are kept


def test_a_run_that_does_not_fit_is_refused_with_the_numbers_before_its_first_step(tiny, monkeypatch):
    lm, task, recipe = tiny("llama"), answer_task(), Recipe(virtual_tokens=4, steps=3)
    record = new_record(task, recipe)
    monkeypatch.setattr(memory, "available", lambda device: 1000)
    job = training_job(lm, task, recipe, Vocabulary(lm), Scorebook(), record, lambda: False)
    with pytest.raises(LabError, match=r"would need about \d+ (k|M)B of memory, and 1 kB are free: use fewer virtual tokens"):
        next(job)
    assert record.readings == [] and record.losses == []


def test_free_memory_is_read_again_before_a_refusal_and_where_it_is_unknown_nothing_is_refused(tiny, monkeypatch):
    training, answers = Training(tiny("llama"), answer_task(), Recipe(virtual_tokens=4)), [1000, 10**12]
    monkeypatch.setattr(memory, "available", lambda device: answers.pop(0))
    check(training)
    assert answers == []
    monkeypatch.setattr(memory, "available", lambda device: None)
    assert check(training).bytes > 0
    assert available(torch.device("meta")) is None


MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemFree:  10 kB\nMemAvailable:   5000 kB\nHugePages_Total:  0\n"}
TWO = {"sys/fs/cgroup/memory.current": "2000000", "sys/fs/cgroup/memory.stat": "anon 1500000\ninactive_file 400000\n"}
ONE = {"sys/fs/cgroup/memory/memory.usage_in_bytes": "2000000", "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 100000\n"}


@pytest.mark.parametrize(
    "files, free",
    [
        ({}, None),
        (MEMINFO, 5000 * 1024),
        (MEMINFO | TWO | {"sys/fs/cgroup/memory.max": "max\n"}, 5000 * 1024),
        (MEMINFO | TWO | {"sys/fs/cgroup/memory.max": "3000000\n"}, 1_400_000),
        (MEMINFO | TWO | {"sys/fs/cgroup/memory.max": "1000000\n"}, 0),
        (MEMINFO | TWO | {"sys/fs/cgroup/memory.max": "900000000\n"}, 5000 * 1024),
        (MEMINFO | ONE | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "3000000\n"}, 1_100_000),
        (MEMINFO | ONE | {"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 5000 * 1024),
    ],
)
def test_the_least_of_what_the_system_and_the_container_leave(tmp_path, files, free):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert smallest_free(tmp_path) == free


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is read from /proc")
def test_a_limit_on_the_address_space_is_a_limit():
    """In a process of its own: ulimit -v, as a careful administrator sets it."""
    told = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, cwd=Path(__file__).resolve().parents[3])
    assert int(told.stdout) <= 2**27, told.stderr


LIMITED = """
import resource, torch
from core.training.memory import available
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + 2**27
resource.setrlimit(resource.RLIMIT_AS, (size, size))
print(available(torch.device("cpu")))
"""
