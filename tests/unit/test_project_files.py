"""Files that no code reads: they parse, agree with each other, and say what is true."""

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from audit import audit
from huggingface_hub import SpaceCard, SpaceHardware
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
COLOURS = ("red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray")


def read(name):
    return (ROOT / name).read_text("utf-8")


def requirements(path):
    """Requirements by name, each with its reason."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith(("#", "-r"))]
    return {Requirement(line.split("  #")[0]).name: (Requirement(line.split("  #")[0]), line.partition("  # ")[2]) for line in lines}


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """The folder that `make space` writes."""
    folder = tmp_path_factory.mktemp("space") / "made"
    subprocess.run([sys.executable, "tools/space.py", str(folder), "ada/lab"], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-ray.txt", "requirements-spectrum.txt"])
def test_every_requirement_is_bounded_has_its_reason_and_is_what_is_installed(name):
    for package, (requirement, reason) in requirements(ROOT / name).items():
        assert reason, f"{package} in {name} has no reason"
        assert re.search("==|<", str(requirement.specifier)), f"{package} in {name} has no upper bound"
        try:
            installed = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue  # those for tests alone, where people run these without them
        assert requirement.specifier.contains(installed.split("+")[0]), package


def test_the_project_says_one_version_one_licence_and_one_python():
    project = tomllib.loads(read("pyproject.toml"))["project"]
    citation = yaml.safe_load(read("CITATION.cff"))
    assert project["version"] == citation["version"]
    assert project["license"] == citation["license"] == "Apache-2.0"
    assert read("LICENSE").lstrip().startswith("Apache License") and len(read("LICENSE")) > 11_000
    assert all((ROOT / name).is_file() for name in (project["readme"], *project["license-files"]))
    matrix = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert project["requires-python"] == f">={matrix[0]}"


def test_all_tests_can_be_run_at_once():
    """`python -m pytest`, as the README says, imports test files and what they share by their bare names: each must be the only one."""
    assert "python -m pytest\n" in read("README.md")
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name not in ("conftest.py", "__main__.py")]
    assert sorted({path.name for path in files}) == sorted(path.name for path in files)
    assert [path for path in files if re.search(r"^(from|import) conftest\b", path.read_text("utf-8"), re.M)] == []
    folders = tomllib.loads(read("pyproject.toml"))["tool"]["pytest"]["ini_options"]["testpaths"]
    assert {f"tests/{path.relative_to(ROOT / 'tests').parts[0]}" for path in files if path.name.startswith("test_")} <= set(folders)


def test_the_citation_has_what_its_form_asks_for():
    citation = yaml.safe_load(read("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert all(citation[field] for field in ("message", "title", "authors"))
    for reference in citation["references"]:
        assert all(reference[field] for field in ("type", "title", "authors", "year"))


def test_hooks_and_workflow_call_what_is_there():
    hooks = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff", "ruff-format", "mypy-core", "mypy-app", "oxlint"]
    for tool in ("-m ruff", "-m mypy", ".venv/bin/oxlint"):
        assert any(f"{tool} " in hook["entry"] for hook in hooks) and re.split("[ /]", tool)[-1] in requirements(
            ROOT / "requirements-dev.txt"
        )
    job = yaml.safe_load(read(".github/workflows/test.yml"))["jobs"]["test"]
    targets = [step["run"].removeprefix("make ") for step in job["steps"] if step.get("run", "").startswith("make ")]
    assert targets == ["test"] and re.search("^test:", read("Makefile"), re.M)
    assert job["env"]["REQUIRE_BROWSER"] == "1"


def test_the_changelog_has_its_form():
    text = read("CHANGELOG.md")
    versions = re.findall(r"^## \[?([^\]\n]+)\]?$", text, re.M)
    assert versions[0] == "Unreleased" and tomllib.loads(read("pyproject.toml"))["project"]["version"] in versions
    kinds = re.findall(r"^### (.+)$", text, re.M)
    assert kinds and set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/spaces.md", "CHANGELOG.md"])
def test_files_that_the_documents_name_are_there(name):
    found = re.findall(r"`((?:app|core|tests|docs|assets|tools)/[\w./-]+\.\w+)`", read(name))
    missing = [path for path in found if "NAME" not in path and not (ROOT / path).exists()]
    assert not missing


def test_a_space_has_a_name_and_holds_what_it_needs_and_no_more(space, tmp_path):
    wrong = subprocess.run([sys.executable, "tools/space.py", str(tmp_path), "no name"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: 'no name' is no name of a Space")
    names = "app core assets docs app.py LICENSE README.md requirements.txt"
    assert {path.name for path in space.iterdir()} == set(names.split())
    assert not list(space.rglob("__pycache__")) and (space / "assets" / "tasks" / "capitals.json").is_file()
    assert sum(path.stat().st_size for path in space.rglob("*") if path.is_file()) < 20 * 2**20


def test_a_spaces_front_matter_is_complete_and_within_its_limits(space):
    card = SpaceCard.load(space / "README.md")
    facts = card.data.to_dict()
    assert card.text.lstrip().startswith("# Soft Prompt Lab")
    wanted = ("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file", "short_description", "models")
    wanted += ("tags", "license", "preload_from_hub", "thumbnail", "suggested_hardware")
    assert not [field for field in wanted if not facts.get(field)]
    assert facts["colorFrom"] in COLOURS and facts["colorTo"] in COLOURS
    assert len(facts["short_description"]) <= 60 and len(facts["emoji"]) == 1
    assert facts["sdk"] == "gradio" and (space / facts["app_file"]).is_file() and facts["python_version"] == "3.12"
    assert facts["suggested_hardware"] in [hardware.value for hardware in SpaceHardware]
    assert [line.split()[0] for line in facts["preload_from_hub"]] == facts["models"]
    start = "https://huggingface.co/spaces/ada/lab/resolve/main/"
    assert facts["thumbnail"].startswith(start) and (space / facts["thumbnail"].removeprefix(start)).is_file()


def test_a_spaces_requirements_are_what_spaces_take(space):
    here, there = requirements(ROOT / "requirements.txt"), requirements(space / "requirements.txt")
    facts = SpaceCard.load(space / "README.md").data.to_dict()
    assert str(there["gradio"][0].specifier) == f"=={facts['sdk_version']}" == str(here["gradio"][0].specifier)
    torch = str(there["torch"][0].specifier).removeprefix("==")
    assert torch in ("2.8.0", "2.9.1", "2.10.0", "2.11.0") and here["torch"][0].specifier.contains(torch)
    assert set(there) == set(here) - {"gguf"} | {"spaces"}
    assert all(there[name][0] == here[name][0] for name in set(here) & set(there) - {"torch"})


def test_the_lock_of_a_space_holds_every_package_of_it_with_hashes(space, tmp_path):
    text = read("assets/space/requirements.lock")
    entries = [entry for entry in re.split(r"\n(?=\w)", text) if not entry.startswith("#")]
    locked = {Requirement(entry.split(" \\")[0].strip()).name: entry for entry in entries}
    assert len(locked) > 50 and all(re.search(r"==\S+ \\\n    --hash=sha256:[0-9a-f]{64}", entry) for entry in locked.values())
    for name, (requirement, _) in requirements(space / "requirements.txt").items():
        version = re.match(r"[\w.-]+==(\S+)", locked[name])
        assert version and requirement.specifier.contains(version[1]), f"{name}: run make lock"
    subprocess.run([sys.executable, "tools/space.py", str(tmp_path / "made"), "ada/lab", "--locked"], cwd=ROOT, check=True)
    assert (tmp_path / "made" / "requirements.txt").read_text("utf-8") == text


@pytest.mark.parametrize(
    "code, told, expected",
    [(0, "", 0), (1, "Found 1 known vulnerability", 1), (1, "ConnectionError: Max retries exceeded", 0), (2, "usage:", 2)],
)
def test_an_audit_without_a_network_is_skipped_by_name_and_no_other_one(code, told, expected):
    given, said = audit((sys.executable, "-c", f"import sys; print({told!r}, file=sys.stderr); sys.exit({code})"))
    assert given == expected and (said.startswith("SKIPPED audit: ") == (code == 1 and expected == 0))
