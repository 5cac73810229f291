"""What the README and the notebook tell people to type, run as it stands, on the real model."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.real
ELSEWHERE = {**os.environ, "PYTHONPATH": str(ROOT)}  # so that what is written lands in a temporary folder


def test_the_readmes_lines_train_score_read_and_draw(tmp_path):
    readme = (ROOT / "README.md").read_text("utf-8")
    lines = re.search(r"^## From Python$.*?^```python\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert lines, "README.md has no Python under the heading From Python"
    done = subprocess.run([sys.executable, "-c", lines[1]], cwd=tmp_path, env=ELSEWHERE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "learned" in done.stdout and "moved equally far at random" in done.stdout
    share = re.search(r"; (\d+) % of 103 held-out rows right", done.stdout)
    assert share and int(share[1]) > 30  # the best instruction in words: 27 %
    assert "plotly" in (tmp_path / "pca.html").read_text("utf-8").lower()
    assert (tmp_path / "my-prompt" / "README.md").read_text("utf-8").startswith("---\nlibrary_name: peft")


def test_the_notebook_runs_and_its_control_has_learned_nothing(tmp_path):
    book = nbformat.read(ROOT / "assets" / "soft_prompts.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in book.cells), "clear the outputs before you commit it"
    NotebookClient(book, timeout=300, resources={"metadata": {"path": str(ROOT)}}).execute()
    printed = "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", ()))
    shares = {name: int(share) for share, name in re.findall(r"^ *(\d+) %   (.+)$", printed, re.MULTILINE)}
    assert shares["learned"] > 30
    assert max(share for name, share in shares.items() if name != "learned") < 10
    outputs = [output.get("data", {}) for cell in book.cells for output in cell.get("outputs", ())]
    assert sum("application/vnd.plotly.v1+json" in data for data in outputs) == 2
