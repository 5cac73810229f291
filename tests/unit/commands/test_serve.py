"""The start of the page: `python -m app` and `python app.py` are one program, and an option that can't be used is one sentence."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from app.__main__ import main
from app.commands import serve
from app.commands.serve import read_auth, read_models
from core.errors import LabError

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def opened(monkeypatch):
    """The options with which pages were opened; none really is."""
    found = []
    monkeypatch.setattr(serve, "run", found.append)
    return found


def test_without_a_command_the_page_is_opened(opened):
    assert main([]) == 0 and main(["--port", "7861", "--auth", "a:b", "--auth", "c:d", "--allow-hub", "--dtype", "float32"]) == 0
    first, second = opened
    assert (first.port, first.host, first.dtype, first.auth, first.allow_hub) == (7860, "127.0.0.1", "fast", None, False)
    assert (second.port, second.dtype, second.auth, second.allow_hub) == (7861, "float32", ["a:b", "c:d"], True)


def test_hosts_set_options_by_the_environment(opened, monkeypatch):
    for name, value in (("SOFT_PROMPT_LAB_MODEL", "a/b"), ("GRADIO_SERVER_PORT", "7000"), ("SPACE_ID", "ada/lab")):
        monkeypatch.setenv(name, value)
    main([])
    monkeypatch.setenv("GRADIO_SERVER_NAME", "10.0.0.1")
    main(["--model", "c/d"])
    found = [(read_models(options.model), options.port, options.host) for options in opened]
    assert found == [(["a/b"], 7000, "0.0.0.0"), (["c/d"], 7000, "10.0.0.1")]


def test_options_of_the_page_do_not_go_with_a_command(opened, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--port", "7861", "tasks"])
    assert stopped.value.code == 2 and "--port is an option of the page" in capsys.readouterr().err and not opened


@pytest.mark.parametrize("program", [["app.py"], ["-m", "app"]])
def test_both_names_of_the_program_start_it(program):
    done = subprocess.run([sys.executable, *program, "--auth", "nobody"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: Login 1 is not like user:password: give a name, a colon and a password.\n"


def test_the_package_wins_over_the_file_of_its_name():
    done = subprocess.run([sys.executable, "-c", "import app; print(app.__path__)"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("given", [["ada"], ["ada:"], [":engine"], ["ada:x", ""], ["ada:x", "ada:y"]])
def test_a_login_that_is_none_is_named(given):
    with pytest.raises(LabError) as told:
        read_auth(given)
    assert ":x" not in str(told.value), "no password is shown"


def test_no_login_means_none_and_a_bad_one_ends_with_2(capsys, monkeypatch):
    assert read_auth([]) is None
    for arguments, environment in ((["--auth", "nobody"], ""), ([], "ada:x,bob")):
        monkeypatch.setenv("SOFT_PROMPT_LAB_AUTH", environment)
        assert main(arguments) == 2
        assert capsys.readouterr().err.startswith("error: Login ")


def test_mcp_without_its_package_is_one_sentence(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *more: None if name == "mcp" else found(name, *more))
    assert main(["--mcp"]) == 2
    assert "pip install 'gradio[mcp]'" in capsys.readouterr().err


def test_models_come_from_names_and_from_lists_in_files(tmp_path):
    listed = tmp_path / "models.toml"
    listed.write_text('models = ["one", "two"]')
    assert read_models(["zero", str(listed), "one"]) == ["zero", "one", "two"]


@pytest.mark.parametrize("text", ["models = 3", "models = []", "models = [1]", "other = []", "models = [", ""])
def test_a_list_of_models_that_is_none_is_refused_in_a_sentence(tmp_path, text):
    listed = tmp_path / "models.toml"
    listed.write_text(text)
    with pytest.raises(LabError, match="list of models"):
        read_models([str(listed)])
    with pytest.raises(LabError, match="can't be read"):
        read_models([str(tmp_path / "missing.toml")])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--address", "ray://head:10001"], "add --engine ray"),
        (["--workers", "2"], "add --engine ray"),
        (["--engine", "ray", "--workers", "-1"], "whole number from 1"),
        (["--engine", "ray", "--model", "a", "--model", "b"], "give --model once"),
    ],
)
def test_options_of_a_cluster_that_do_not_fit_are_refused_before_anything_starts(capsys, options, said):
    assert main(options) == 2
    assert said in capsys.readouterr().err
