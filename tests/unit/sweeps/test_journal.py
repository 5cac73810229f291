"""The folder that keeps finished runs: killed at any point, a sweep goes on to the same result, and other sweeps are refused."""

from dataclasses import replace

import pytest
from tiny_models import answer_task, make

from core.errors import LabError
from core.recipe import Recipe
from core.sweeps.grid import Grid
from core.sweeps.journal import Journal, known_runs
from core.sweeps.result import RunResult, head_of
from core.sweeps.sweep import RunDone, RunStep, sweep_grid

TINY = Recipe(steps=3, batch_size=4, virtual_tokens=2)
GRID = Grid(TINY, {"virtual_tokens": (1, 2, 3)}, seeds=2)


class Killed(BaseException):
    pass


def killed_in_run(number):
    """Progress that ends the process, as it were, in the second step of a run."""

    def tell(event):
        if isinstance(event, RunStep) and (event.plan.index, event.step) == (number, 2):
            raise Killed

    return tell


def test_a_sweep_killed_and_killed_again_equals_the_uninterrupted_one(lm, tmp_path):
    whole = sweep_grid(lm, answer_task(), GRID, progress=False)
    for number in (0, 2, 5):
        with pytest.raises(Killed):
            sweep_grid(make("llama"), answer_task(), GRID, progress=killed_in_run(number), out=tmp_path / "kept")
        assert len(known_runs(tmp_path / "kept", head_of(lm, answer_task(), GRID))) == number
    made = []
    result = sweep_grid(make("llama"), answer_task(), GRID, progress=made.append, out=tmp_path / "kept")
    assert result == whole and [event.known for event in made if isinstance(event, RunDone)] == [True] * 5 + [False]
    assert sweep_grid(lm, answer_task(), GRID, progress=False, out=tmp_path / "kept") == whole


def test_a_torn_last_line_is_dropped_and_its_run_done_again(lm, tmp_path):
    whole = sweep_grid(lm, answer_task(), GRID, progress=False, out=tmp_path)
    path = tmp_path / "runs.jsonl"
    data = path.read_bytes()
    last = data[:-1].rfind(b"\n") + 1
    for cut in (1, 30, len(data) - last - 1):
        path.write_bytes(data[:-cut])
        assert len(known_runs(tmp_path, head_of(lm, answer_task(), GRID))) == 5
        assert sweep_grid(lm, answer_task(), GRID, progress=False, out=tmp_path) == whole
        assert len(path.read_bytes().splitlines()) == 7
    path.write_bytes(data[:20])  # torn in the first line of all: nothing is known
    assert known_runs(tmp_path, head_of(lm, answer_task(), GRID)) == {}


def test_another_sweep_and_a_damaged_journal_are_refused(lm, tiny, tmp_path):
    head = head_of(lm, answer_task(), GRID)
    Journal(tmp_path, head)
    fewer = replace(answer_task(), train=answer_task().train[:8])
    others = {
        "another task": head_of(lm, replace(answer_task(), slug="other"), GRID),
        "another rows of the task": head_of(lm, fewer, GRID),
        "another model": head_of(tiny("gpt2"), answer_task(), GRID),
        "another recipe": head_of(lm, answer_task(), Grid(replace(TINY, steps=4), GRID.vary, 2)),
        "another grid": head_of(lm, answer_task(), Grid(TINY, {"virtual_tokens": (1, 2)}, 2)),
        "another number of seeds": head_of(lm, answer_task(), Grid(TINY, GRID.vary, 3)),
        "another number format": replace(head, dtype="bfloat16"),
    }
    before = (tmp_path / "runs.jsonl").read_bytes()
    for words, other in others.items():
        with pytest.raises(LabError, match=f"holds a sweep with {words}"):
            Journal(tmp_path, other)
    assert (tmp_path / "runs.jsonl").read_bytes() == before
    assert Journal(tmp_path, head).done == {}
    (tmp_path / "runs.jsonl").write_bytes(before + b'{"key": 3}\n')
    with pytest.raises(LabError, match="not a finished run in line 2"):
        Journal(tmp_path, head)


def test_a_folder_with_other_things_is_refused(lm, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    head = head_of(lm, answer_task(), GRID)
    for folder, words in ((tmp_path, "holds other files"), (tmp_path / "letter.txt", "is a file")):
        with pytest.raises(LabError, match=words):
            Journal(folder, head)


def test_a_run_whose_loss_was_no_number_can_be_kept(lm):
    result = sweep_grid(lm, answer_task(), Grid(TINY, {"steps": (2,)}, 1), progress=False).runs[0]
    odd = replace(result, losses=(1.0, None), held_out=replace(result.held_out, loss=None), stopped="the loss was no longer a number")
    assert RunResult.from_json(odd.to_json()) == odd
