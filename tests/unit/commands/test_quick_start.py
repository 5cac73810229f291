"""Help, lists and errors that need no model come before any library that takes long to import."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
SLOW = {"torch", "transformers", "sklearn", "scipy", "gradio", "plotly", "huggingface_hub", "safetensors", "datasets"}
ERRORS = {
    "unknown command": "trian",
    "bad login": "--auth nobody",
    "no port": "--port x",
    "recipe out of bounds": "train --task capitals --steps 0",
    "settings that exclude each other": "train --task capitals --mlp 5",
    "unknown method": "train --task capitals --method lora",
    "unknown task": "train --task nope",
    "unreadable file": "train --task LICENSE",
    "missing test file": "evaluate --task capitals --test nowhere.csv",
    "bad template": "evaluate --task capitals --prompt x",
    "bad columns": "evaluate --task capitals --columns one",
    "unknown dtype": "evaluate --task capitals --dtype int3",
    "missing model": "evaluate --task capitals --model ./nowhere",
    "folder to save in that holds other files": "train --task capitals --out docs",
    "folder without a prompt": "evaluate --task capitals --learned docs",
    "folder without a prompt to read": "nearest docs",
    "folder without a prompt to report": "report docs",
    "missing prompt": "evaluate --task capitals --learned nowhere",
    "missing prompt to read": "nearest nowhere",
    "missing prompt to report": "report nowhere",
    "missing prompt to push": "push nowhere me/prompt",
    "no name of the Hub": "push assets me",
    "too few rounds": "bench --rounds 1",
    "unknown recording": "record nothing",
    "unknown question": "sweep --question nope --task capitals",
    "question that needs labels": "sweep --question swapped --task capitals",
    "missing sweep": "sweep nowhere.toml",
    "no TOML": "sweep LICENSE",
    "unknown task of the atlas": "atlas --tasks nope",
}


def run(arguments: str) -> tuple[int, set[str]]:
    """The exit code of `python -m app`, and the slow libraries that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "app", *arguments.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return done.returncode, SLOW & {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize("arguments", ["--help", "tasks", "tasks --json", *(f"{name} --help" for name in COMMANDS)])
def test_help_and_lists_import_nothing_slow(arguments):
    assert run(arguments) == (0, set())


@pytest.mark.parametrize("arguments", ERRORS.values(), ids=ERRORS)
def test_an_error_that_needs_no_model_imports_nothing_slow(arguments):
    assert run(arguments) == (2, set())


@pytest.mark.parametrize("command", ["evaluate --task capitals --learned", "nearest", "report"])
def test_an_adapter_of_another_method_is_refused_before_anything_slow_is_imported(command, tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA", "task_type": "CAUSAL_LM"}')
    assert run(f"{command} {tmp_path}") == (2, set())


def test_names_of_core_are_imported_when_first_used():
    code = "import sys, core; core.Recipe, core.load_task, core.LabError; print(sorted({'torch', 'scipy'} & set(sys.modules)), dir(core))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.startswith("[] ") and all(name in done.stdout for name in ("'LabError'", "'load_model'", "'train'"))
    code = "from core import *; print(train, Training, load_model); import core; core.nothing"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "<function train" in done.stdout and "module 'core' has no attribute 'nothing'" in done.stderr
