"""Which session a page gets as it opens: a new one, its tab's own after a reload, or the one that a closed tab left."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, SILENT, Changes, html
from app.pages.link_bar import says_something
from app.serving.session_restore import Visitors
from app.sessions.session import Session
from app.view.html import Html, tag

KEEP_TOKEN = "(token) => lab.keepToken(token)"


class Arrival:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self) -> None:
        self.token, self.last_token = gr.Textbox(visible=False), gr.Textbox(visible=False)
        self.link, self.last_link = gr.Textbox(visible=False), gr.Textbox(visible=False)
        with gr.Row(visible=False, elem_classes="offer", elem_id="offer") as self.offer:
            self.offered = html()
            self.back = gr.Button("Bring it back", elem_id="bring-back", scale=0, min_width=140)

    def wire(
        self, page: gr.Blocks, session: gr.State, visitors: Visitors, paint: Callable[[Session, Any], Changes], painted: list[Any]
    ) -> Any:
        """paint: what the page shows of a session that was opened with a link. Returns the last event of a page's opening."""
        self.session, self.visitors = session, visitors
        outputs = [session, self.token, self.last_token, self.offer, self.offered, self.link]
        page.unload(self._leave)

        def then_paint(event: Any) -> Any:
            kept = event.then(None, [self.token], None, js=KEEP_TOKEN, **SILENT)
            return kept.then(paint, [session, self.link], painted, **QUIET)

        inputs = [session, self.token, self.last_token, self.link, self.last_link]
        opened = page.load(self._arrive, inputs, outputs, js="(...values) => lab.readTokens(...values)", **QUIET)
        then_paint(self.back.click(self._come_back, [session, self.last_token], outputs, **QUIET))
        return then_paint(opened)

    def _leave(self, request: gr.Request) -> None:
        self.visitors.leave(str(request.session_hash))

    async def _arrive(self, fresh: Session, own: str, last: str, end: Any, before: Any, request: gr.Request) -> Changes:
        """A page was opened. own: the token of this very tab, after a reload; last: of a tab that may be closed.

        end, before: the end of its address, and of the one that this tab was opened with before.
        """
        for token in (own, last):
            await self.visitors.look_up(str(token or ""))
        session = self.visitors.arrive(fresh, str(request.session_hash), str(own))
        left = self.visitors.waiting(str(last)) if session is fresh else None
        reloaded = bool(session.runs) and end == before  # then the session's newer state counts, not the link
        link = end if says_something(end) and not reloaded else ""
        return self._changes(session, left, link)

    async def _come_back(self, session: Session, last: str, request: gr.Request) -> Changes:
        await self.visitors.look_up(str(last or ""))
        if self.visitors.waiting(str(last)) is not None:
            session = self.visitors.arrive(session, str(request.session_hash), str(last))
        return self._changes(session)

    def _changes(self, session: Session, left: Session | None = None, link: str = "") -> Changes:
        """left: the session of a closed tab, which is offered."""
        return {
            self.session: session,
            self.token: session.token,
            self.last_token: left.token if left else "",
            self.offer: gr.update(visible=left is not None),
            self.offered: _offer(left) if left else "",
            self.link: link,
        }


def _offer(session: Session) -> Html:
    """The session that a closed tab left, in words."""
    run = session.runs[-1]
    more = f" and {len(session.runs) - 1} more" if len(session.runs) > 1 else ""
    return tag("p", f"You left something here: {run.name}, step {run.record.step} of {run.record.recipe['steps']}{more}.")
