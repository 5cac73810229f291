"""Shapes written in core's signatures are checked; tiny random models, and the real one once a session."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test waits for a network

from collections.abc import Callable
from functools import cache
from pathlib import Path

import hypothesis
import pytest
from jaxtyping import install_import_hook

# Before the first import of core. A recipe is left out: it refuses wrong types itself, in words.
CORE = Path(__file__).resolve().parent.parent / "core"
install_import_hook([f"core.{path.stem}" for path in CORE.iterdir() if path.stem not in ("recipe", "__init__")], "beartype.beartype")

from tiny_models import make

from core.model import LanguageModel, load_model

# The same cases at every run, and no time limit: a slow machine is no failure.
hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("lab")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real: runs the real model (SmolLM2-135M-Instruct); minutes")


@pytest.fixture(scope="session")
def tiny() -> Callable[..., LanguageModel]:
    """tiny(arch): a tiny random model, shared by all tests that only run it (`make` gives one of its own)."""
    return cache(make)


@pytest.fixture(scope="session")
def real() -> LanguageModel:
    """The default model in float32 on the CPU."""
    return load_model(device="cpu", dtype="float32")
