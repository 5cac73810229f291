"""Wrong passwords are slowed down: so many at once, then one every ten seconds, from one address and for one user's name."""

import time
from collections.abc import Callable, Mapping

from starlette.requests import Request

from app.serving.json_body import Refused
from app.serving.visits import Allowance

FROM_ADDRESS, FOR_NAME, A_SECOND = 30.0, 10.0, 0.1  # a class behind one router is one address
WAIT = "Too many wrong passwords: please wait a minute, then try again."


class Logins:
    """Called from the server's event loop only, so it needs no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._addresses, self._names = Allowance(FROM_ADDRESS, A_SECOND, clock), Allowance(FOR_NAME, A_SECOND, clock)

    def attempt(self, address: str, name: str) -> Callable[[], None]:
        """Before a password is looked at. Refused (429) after too many wrong ones. Call the result if the password is right."""
        taken = [(self._addresses, address), (self._names, name)]
        if not all(allowance.left(key) >= 1 for allowance, key in taken):
            raise Refused(429, WAIT)
        for allowance, key in taken:
            allowance.take(key)

        def right() -> None:
            for allowance, key in taken:
                allowance.give(key)

        return right


async def user_in(scope: Mapping[str, object], body: bytes) -> str:
    """The user's name in a login form, "" where there is none."""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        async with Request(dict(scope), receive).form() as form:
            return str(form.get("username", "")).strip()[:100]
    except Exception:  # a broken form: Gradio refuses it, and the address still counts
        return ""
