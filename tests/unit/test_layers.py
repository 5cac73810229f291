"""The import order: folders and the few files beside them, each knowing only those before it; core knows no interface."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = {
    "core": "errors events files display fair_share ticket model_pool device_lock jobs engine models methods prefix "
    "recipe tasks inspection scoring training runs finetuning sweeps probes truths bench __init__",
    "app": "__init__ view sessions components panels lessons serving pages commands __main__",
}
FILES = sorted(path for package in ORDER for path in (ROOT / package).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports anywhere in it, with its full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: imports are absolute, so that they name their folder"
            found |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def place(name: str) -> tuple[str, str]:
    """Where a module stands: its package, and its folder (or itself, for a file directly in the package)."""
    package, *rest = name.split(".")
    return package, rest[0] if rest else "__init__"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_comes_before_it(path):
    own = path.relative_to(ROOT).with_suffix("").parts
    package, folder = place(".".join(own[:2]))
    order = ORDER[package].split()
    assert folder in order, "a new folder: say in ORDER where it stands"
    for name in imports(path):
        other, theirs = place(name)
        if other == "core" and package == "app":
            continue
        assert other not in ("gradio", "plotly", "app", "tests") or package == "app", f"core imports {name}"
        if other == package and theirs in order and theirs != "__init__":
            assert order.index(theirs) <= order.index(folder), f"{name} stands after {folder}"


def test_the_view_is_pure():
    assert not [path for path in (ROOT / "app" / "view").rglob("*.py") if "gradio" in {name.split(".")[0] for name in imports(path)}]


def test_importing_core_brings_in_no_interface():
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in FILES if path.parts[-2] != "app" and "core" in path.parts]
    modules = [name.removesuffix(".__init__") for name in modules]
    code = f"import sys, {', '.join(modules)}; print([n for n in ('gradio', 'plotly', 'matplotlib', 'app') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted((ROOT / "core" / "inspection").glob("*.py")), ids=lambda path: path.stem)
def test_readings_know_nothing_of_core_but_each_other(path):
    assert all(name.startswith("core.inspection") for name in imports(path) if name.split(".")[0] == "core")
