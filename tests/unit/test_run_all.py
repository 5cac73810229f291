"""The script behind `make test`: a part that fails stops no other, and the end names and counts everything."""

import run_all
from run_all import Command

TESTS = """
import pytest

def test_right(): pass
def test_wrong(): assert False
def test_elsewhere(): pytest.skip("no")
@pytest.fixture
def broken():
    yield
    raise OSError
def test_broken_after(broken): pass
"""


def test_every_part_is_run_and_every_failure_is_named_and_counted(tmp_path, capsys):
    (tmp_path / "test_four.py").write_text(TESTS)
    (tmp_path / "test_none.py").write_text("import no_such_module")
    (tmp_path / "test_one.py").write_text("def test_last(): pass")
    (tmp_path / "wrong.py").write_text("import os")
    names = [f"{tmp_path}/{name}.py" for name in ("wrong", "test_four", "test_none", "test_one")]
    plain = ("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null")
    commands = [
        Command("ruff", ("check", "--no-cache", names[0])),
        *(Command("pytest", (*plain, name)) for name in names[1:]),
        Command("pytest", ("--no-such-option",)),
        Command("compileall", ("-q", names[0])),
    ]
    assert run_all.run_all(commands) == 1
    lines = capsys.readouterr().out.splitlines()
    failed = [line for line in lines if line.startswith("FAILED")]
    assert [line.split("::")[-1] for line in failed[1:3]] == ["test_wrong", "test_broken_after"]
    assert failed[0].startswith("FAILED python -m ruff check") and "test_none" in failed[3] and "(exit code 4)" in failed[4]
    assert len(failed) == 5 and lines[-1] == "3 passed, 5 failed, 1 skipped"
    assert run_all.run_all(commands[-1:]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 0 failed, 0 skipped"


def test_a_second_try_is_counted_once_and_named(tmp_path, capsys):
    (tmp_path / "test_some.py").write_text(
        "import pathlib\nseen = pathlib.Path(__file__).with_name('seen')\n"
        "def test_right(): pass\n"
        "def test_once():\n    first = not seen.exists()\n    seen.touch()\n    assert not first\n"
    )
    plain = ("-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null", "--reruns", "1", f"{tmp_path}/test_some.py")
    assert run_all.run_all([Command("pytest", plain)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("::")[-1] for line in lines if line.startswith("PASSED ON")] == ["test_once"]
    assert lines[-1] == "2 passed, 0 failed, 0 skipped"
