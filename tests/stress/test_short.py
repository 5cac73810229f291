"""The stress tests' short versions, over a tiny model: `make stress` runs the long ones (docs/stress.md)."""

import pytest
from stress import faults, isolation, leaving, load, soak
from stress.client import tiny_model


def assert_held(result):
    assert all(result["held"].values()), result


def test_a_class_that_presses_train_gets_all_its_runs(tmp_path):
    """Claims that do not depend on the machine's speed; the others are for the real model (`make stress`)."""
    result = load.run(clients=6, steps=5, within=1.0, most=120.0, app=tuple(tiny_model(tmp_path)))
    assert result["held"]["0 lost"] and result["held"]["0 errors"], result
    assert result["figures"]["fewest and most steps shown"][0] >= 5


def test_each_way_of_leaving_frees_the_device():
    result = leaving.run(count=5, browsers=0, rest=2)
    del result["held"]["the device is free within 1.5 s"]  # that it is free at all is waited for
    assert_held(result)


def test_sessions_leave_nothing_behind():
    assert_held(soak.run(sessions=8, batches=2, at_once=2))


def test_each_client_gets_what_it_would_get_alone():
    assert_held(isolation.run(clients=5, steps=4))


@pytest.mark.parametrize("name", ["a full disk", "an exception in step 3"])
def test_a_fault_is_told_and_the_next_job_is_well(name):
    assert_held(faults.run((name,)))


def test_nothing_half_written_is_ever_seen(tmp_path):
    answer = faults.killed_while_saving(tmp_path, times=25)
    assert answer["held"], answer
