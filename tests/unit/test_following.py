"""Following a ticket: every event once, a heartbeat, and what happens where the follower leaves or is replaced."""

import asyncio
import itertools
import time
from contextlib import aclosing

import pytest

from app.sessions.following import News, following
from core.ticket import Ticket


@pytest.fixture
def ticket():
    return Ticket("session", lambda lm, ticket: iter(()), None, False)


def collect(ticket, *moves, **options):
    """The news of a ticket; after each item the next of `moves` is made. Leaves when there are none left and the job goes on."""

    async def follow():
        found, left = [], list(moves)
        with following(ticket, **options) as news:
            async with aclosing(news):
                async for item in news:
                    found.append(item)
                    if not left and not item.over:
                        break
                    if left:
                        left.pop(0)()
        return found

    return asyncio.run(follow())


def events(ticket, *new):
    def add():
        ticket.events.extend(new)
        ticket.tell()

    return add


def status(ticket, value):
    return lambda: setattr(ticket, "status", value)


def test_every_event_comes_once_and_the_end_comes_last(ticket):
    def finish():
        ticket.events.append("c")
        ticket.status = "done"

    found = collect(ticket, status(ticket, "running"), events(ticket, "a", "b"), finish)
    assert [(item.events, item.status) for item in found] == [([], "waiting"), ([], "running"), (["a", "b"], "running"), (["c"], "done")]
    assert [item.over for item in found] == [item.settled for item in found] == [False, False, False, True]


def test_a_job_that_is_over_gives_all_its_events_at_once(ticket):
    events(ticket, 1, 2)()
    ticket.status = "failed"
    assert collect(ticket) == [News([1, 2], "failed", True, True)]


def test_a_change_without_news_is_not_told_but_the_heartbeat_is(ticket):
    def nothing_new():
        for _ in range(3):
            ticket.tell()

    began = time.monotonic()
    assert len(collect(ticket, nothing_new, status(ticket, "done"), heartbeat=0.2)) == 3
    assert time.monotonic() - began > 0.19


def test_a_paused_job_has_settled_once_its_last_piece_is_done(ticket):
    def pause():
        ticket.working, ticket.status = True, "paused"

    def piece_done():
        ticket.working = False
        ticket.tell()

    found = collect(ticket, pause, piece_done)
    assert [item.settled for item in found] == [False, False, True] and not found[-1].over


@pytest.mark.parametrize("state, called", [("running", True), ("waiting", True), ("paused", False), ("cancelled", False)])
def test_leaving_is_told_only_of_a_job_that_still_works(ticket, state, called):
    ticket.status = state
    left = []
    collect(ticket, on_leave=left.append)
    assert left == ([ticket] if called else [])


def test_a_follower_ends_where_a_newer_one_takes_over_and_leaves_the_job_to_it(ticket):
    newest, left = [1], []

    def replace():
        newest[0] = 2
        ticket.tell()

    found = collect(ticket, replace, wanted=lambda: newest[0] == 1, on_leave=left.append, heartbeat=60)
    assert len(found) == 1 and left == []


def test_items_are_a_gap_apart_unless_the_job_has_ended(ticket):
    loop_times = []

    def note(then):
        def move():
            loop_times.append(asyncio.get_running_loop().time())
            then()

        return move

    found = collect(ticket, note(events(ticket, 1)), note(events(ticket, 2)), note(status(ticket, "done")), gap=0.1)
    assert [item.events for item in found] == [[], [1], [2], []]
    assert all(later - earlier > 0.09 for earlier, later in itertools.pairwise(loop_times))
