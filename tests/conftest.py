"""Shapes written in core's signatures are checked; tiny random models, and the real one once a session."""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test waits for a network
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()  # servers of the tests keep their sessions here
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from jaxtyping import install_import_hook

atexit.register(shutil.rmtree, os.environ["XDG_STATE_HOME"], ignore_errors=True)

# Before the first import of core. A recipe is left out: it refuses wrong types itself, in words. So are the few files that know a
# type for type checkers alone, and do without its library.
ROOT = Path(__file__).resolve().parent.parent
FILES = [path for path in (ROOT / "core").rglob("*.py") if path.stem not in ("recipe", "__init__")]
CHECKED = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if "TYPE_CHECKING" not in path.read_text("utf-8")]
install_import_hook(CHECKED, "beartype.beartype")

from serving import serve  # noqa: E402  after the hook
from timed_engine import until  # noqa: E402
from tiny_models import make, save_tiny  # noqa: E402

from core.models.language_model import LanguageModel, load_model  # noqa: E402


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Of a test that was tried again, why: pytest itself keeps what its last try said."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


# --doctest-modules would collect these files, too, and refuse two modules of one name.
collect_ignore_glob = ["*/conftest.py"]

# The same cases at every run, and no time limit: a slow machine is no failure.
hypothesis.settings.register_profile("lab", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("lab")


@pytest.fixture(scope="session")
def tiny() -> Callable[..., LanguageModel]:
    """tiny(arch): a tiny random model, shared by all tests that only run it (`make` gives one of its own)."""
    return cache(make)


@pytest.fixture(scope="session")
def lm(tiny: Callable[..., LanguageModel]) -> LanguageModel:
    """A tiny Llama, shared by all tests that only run it."""
    return tiny("llama")


@pytest.fixture(scope="session")
def real() -> LanguageModel:
    """The default model in float32 on the CPU."""
    return load_model(device="cpu", dtype="float32")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that holds a tiny random model."""
    return str(save_tiny(tmp_path_factory.mktemp("tiny-model")))


@pytest.fixture(scope="session")
def tiny_app(tiny_folder: str) -> Iterator[str]:
    """The app over a tiny random model in a local folder: quick, for everything that needs no clever answers."""
    yield from serve("--model", tiny_folder, "--dtype", "float32")


@pytest.fixture(scope="session")
def lab() -> Any:
    """The `Lab` of a server whose tiny random model is loaded."""
    from app.sessions.lab import Lab  # not imported for tests of core alone

    lab = Lab(lambda: make("llama", max_position_embeddings=2048), "tiny", "float32")
    until(lambda: lab.engine.lm is not None)
    return lab
