"""The jobs that are not over, by session. It has no lock of its own."""

from core.ticket import Ticket


class Tickets(dict[str, list[Ticket]]):
    """A session's first job has its next turn; a session without jobs is not here."""

    def all(self) -> list[Ticket]:
        """All jobs."""
        return [ticket for tickets in self.values() for ticket in tickets]

    def active(self) -> list[Ticket]:
        """All jobs that are not paused."""
        return [ticket for ticket in self.all() if ticket.status in ("waiting", "running")]

    def in_use(self) -> set[str]:
        """The models that begun jobs hold."""
        return {ticket.model for ticket in self.active() if ticket.begun}

    def wanting(self, idle: bool = False, free: bool = False) -> dict[str, list[Ticket]]:
        """By session, the jobs that want the device. free: without those that a worker has now."""
        found: dict[str, list[Ticket]] = {}
        for ticket in self.active():
            if ticket.idle == idle and not (free and ticket.working):
                found.setdefault(ticket.session, []).append(ticket)
        return found

    def add(self, ticket: Ticket) -> None:
        """A job was submitted."""
        self.setdefault(ticket.session, []).append(ticket)

    def remove(self, ticket: Ticket) -> None:
        """A job is over."""
        tickets = self.get(ticket.session, [])
        if ticket in tickets:
            tickets.remove(ticket)
        if not tickets:
            self.pop(ticket.session, None)
