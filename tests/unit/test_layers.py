"""Who may know whom: core knows no interface, and each file of it only those above."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "core"
TOP_TO_BOTTOM = (
    "errors printed weights model sizes mistakes recipe table split taskfile task hub prefix rows measures scoring contenders answering "
    "training memory slices run race reading card storage record recordings runfile result remote paths projector probes engine bench "
    "commands __main__"
)
FILES = sorted(CORE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, with its full name."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            base += node.module.split(".") if node.module else []
            # `from . import storage` may name a module; `from .errors import LabError` does not.
            found |= {".".join([*base, alias.name]) for alias in node.names} if not node.module else {".".join(base)}
    return found


def test_importing_core_brings_in_no_interface():
    modules = [f"core.{path.relative_to(CORE).with_suffix('').as_posix().replace('/', '.')}" for path in FILES if path.stem != "__init__"]
    code = f"import sys, {', '.join(['core', *modules])}; print([n for n in ('gradio', 'plotly', 'matplotlib', 'app') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORE).as_posix())
def test_no_file_of_core_imports_an_interface(path):
    roots = {name.split(".")[0] for name in imports(path)}
    forbidden = {"gradio", "plotly", "matplotlib", "app", "tests"}
    if path == CORE / "commands" / "report.py":  # an entry point, as app.py is: it knows the page's figures, when it is run
        forbidden.remove("app")
    assert not roots & forbidden


@pytest.mark.parametrize("path", [path for path in CORE.glob("*.py") if path.stem != "__init__"], ids=lambda path: path.stem)
def test_a_file_of_core_knows_only_those_above_it(path):
    order = TOP_TO_BOTTOM.split()
    assert path.stem in order, "a new file: say in TOP_TO_BOTTOM where it stands"
    above = set(order[: order.index(path.stem)]) | {"inspection"}
    own = {name.split(".")[1] for name in imports(path) if name.startswith("core.")}
    assert own <= above
    if path.stem in ("errors", "recipe", "table", "split", "taskfile", "task", "hub"):
        assert "inspection" not in own


@pytest.mark.parametrize("path", sorted((CORE / "inspection").glob("*.py")), ids=lambda path: path.stem)
def test_readings_know_nothing_of_core_but_each_other(path):
    assert all(name.startswith("core.inspection") for name in imports(path) if name.split(".")[0] == "core")
