"""How long a job will wait for its turn."""

from core.fair_share import FairShare
from core.jobs.tickets import Tickets
from core.ticket import Ticket


def expected_wait(ticket: Ticket, tickets: Tickets, fair: FairShare, seconds: float | None) -> tuple[int, float | None]:
    """How many other sessions come before `ticket`, and the seconds until its first piece: see `Engine.expected_wait`.

    seconds: of a usual piece, None where that is not known.
    """
    wanting = tickets.wanting()
    others = [session for session in wanting if session != ticket.session]
    if ticket.status != "waiting" or ticket.session not in fair:
        return len(others), None
    before = sum(fair.order(session) < fair.order(ticket.session) for session in others)
    own = wanting.get(ticket.session, [])
    rounds = own.index(ticket) if ticket in own else 0
    return before, seconds * (before + rounds * (len(others) + 1)) if seconds is not None else None
