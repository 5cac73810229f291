"""The stress tests' short versions, over a tiny model: `make stress` runs the long ones (docs/stress.md)."""

import pytest
from stress import faults, isolation, leaving, load, soak
from stress.client import PATIENCE, tiny_model


def assert_held(result):
    assert all(result["held"].values()), result


def test_all_runs_of_a_class_that_starts_at_once_end(tmp_path):
    """Only what does not depend on the machine's speed; seconds, and steps shown apart, are measured by `make stress`."""
    result = load.run(clients=6, steps=5, within=1.0, most=600.0, app=tuple(tiny_model(tmp_path)))
    assert result["held"]["0 lost"] and result["held"]["0 errors"], result
    assert result["figures"]["fewest and most steps shown"][0] >= 5


def test_every_way_of_leaving_frees_the_device():
    assert_held(leaving.run(count=5, browsers=0, free_within=PATIENCE))


def test_sessions_leave_nothing_behind():
    assert_held(soak.run(sessions=4, batches=2, at_once=1))


def test_clients_at_once_get_the_results_of_a_run_alone():
    assert_held(isolation.run(clients=5, steps=4))


@pytest.mark.parametrize("name", ["a full disk", "an exception in step 3"])
def test_a_fault_gives_a_sentence_and_the_next_job_succeeds(name):
    assert_held(faults.run((name,)))


def test_a_save_that_is_killed_leaves_no_torn_file(tmp_path):
    answer = faults.killed_while_saving(tmp_path, times=25)
    assert answer["held"], answer
