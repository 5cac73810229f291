"""Fair shares of the device: sessions stay in step, long pieces cost more turns, newcomers have a short head start."""

import itertools
import random

import pytest
from timed_engine import Timed

from core.fair_share import HEAD_START, KNOWN


def apart(log):
    """The largest difference between two sessions' counts of pieces at any moment, as long as all of them have work."""
    names = set(log)
    counts, total = dict.fromkeys(names, 0), {name: log.count(name) for name in names}
    most = 0
    for name in log:
        counts[name] += 1
        most = max(most, max(counts.values()) - min(counts.values()))
        if counts[name] == total[name]:
            return most
    return most


@pytest.mark.parametrize("seed", range(3))
def test_thirty_equal_runs_stay_in_step_though_their_pieces_vary(seed):
    timed, noise = Timed(), random.Random(seed)
    for number in range(30):  # usual noise, and now and then a piece that takes four times as long
        lengths = [0.3 * noise.lognormvariate(0, 0.3) * (4 if noise.random() < 0.05 else 1) for _ in range(60)]
        timed.submit(f"run {number}", lengths)
    timed.go()
    assert len(timed.log) == 30 * 60 and apart(timed.log) <= 2


def test_a_session_with_longer_pieces_gets_its_share_of_the_time_and_no_more():
    timed = Timed()
    timed.submit("heavy", [1.0] * 60)
    for name in ("light", "lighter"):
        timed.submit(name, [0.1] * 200)
    timed.go()
    end = max(place for place, name in enumerate(timed.log) if name == "light")
    heavy = timed.log[:end].count("heavy") * 1.0
    # The first pieces of a session cost one turn each.
    assert 0.8 * 20 <= heavy <= 1.1 * 20 + KNOWN
    gaps = [place for place, name in enumerate(timed.log[:end]) if name == "heavy"]
    assert max(b - a for a, b in itertools.pairwise(gaps)) <= 2 * 10 + 3  # and it is never starved


def test_token_sized_pieces_among_training_steps_go_faster_not_slower():
    timed = Timed()
    runs = [f"run {number}" for number in range(4)]
    for name in runs:
        timed.submit(name, [0.3] * 40)
    timed.submit("tokens", [0.03] * 100)
    timed.go()
    end = max(place for place, name in enumerate(timed.log) if name == "tokens")
    until_then = timed.log[:end]
    assert all(until_then.count(name) <= 100 * 0.03 / 0.3 + KNOWN + 1 for name in runs)
    assert max(map(until_then.count, runs)) - min(map(until_then.count, runs)) <= 1


def test_a_newcomer_has_a_short_head_start_and_no_debt():
    timed = Timed()
    timed.submit("old", [0.1] * 100)
    timed.submit("older", [0.1] * 50, then=lambda: timed.submit("new", [0.1] * 30))
    timed.go()
    came = timed.log.index("new")
    assert timed.log[came : came + 2] == ["new", "new"]
    assert abs(timed.log[came : came + 40].count("new") - 20 - HEAD_START / 2) <= 1


@pytest.mark.parametrize("prepare, step", [(0.05, 0.2), (0.2, 0.3), (0.2, 0.5), (0.5, 0.9)])
def test_a_class_that_comes_within_seconds_stays_in_step(prepare, step):
    """Thirty runs, one every third of a second; each prepares itself in its first piece, then takes 15 steps."""
    timed, coming = Timed(), iter(range(30))
    came = []

    def door():
        while len(came) < 30 and timed.clock.now >= len(came) / 3:
            came.append(timed.clock.now)
            timed.submit(f"run {next(coming)}", lengths())

    def lengths():
        yield prepare
        for _ in range(15):
            door()
            yield step

    door()
    timed.go()
    counts, most = dict.fromkeys(set(timed.log), -1), 0  # the first piece is no step
    for name in timed.log:
        counts[name] += 1
        if min(counts.values()) > 0:
            most = max(most, max(counts.values()) - min(counts.values()))
        if counts[name] == 15:
            break
    assert len(counts) == 30 and most <= 2


@pytest.mark.parametrize("told_after", [(1, 1, 1, 1), (1, 3, 5, 2)])
def test_a_known_result_costs_no_turn(told_after):
    """Eight known scores reach each run after some step, at no cost: all runs stay in step, before and after."""
    timed = Timed()
    for number, after in enumerate(told_after):
        timed.submit(f"run {number}", [*[0.3] * after, *[None] * 8, *[0.3] * (20 - after)])
    timed.go()
    assert len(timed.log) == 4 * 20 and apart(timed.log) <= 1


def test_many_short_jobs_get_no_more_turns_than_one_long_job():
    timed = Timed()

    def again():
        if timed.log.count("heavy") < 30:
            timed.submit("heavy", [1.0], then=again)

    timed.submit("heavy", [1.0], then=again)
    timed.submit("light", [0.1] * 300)
    timed.go()
    end = max(place for place, name in enumerate(timed.log) if name == "light")
    assert timed.log[:end].count("heavy") <= 30 * 1.1 + KNOWN
    first = [place for place, name in enumerate(timed.log) if name == "heavy"][:20]
    assert first[-1] > 100  # without a memory of the session, each of its jobs would have every other turn
