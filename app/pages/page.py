"""The whole page: header, tabs, theme, and what is shared between them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app.components.widgets import PLOTLY, QUIET, SILENT, counters, html, switch
from app.pages.compare import ComparePage
from app.pages.inspect import InspectPage
from app.pages.learn import LearnPage
from app.pages.link_bar import LinkBar, says_something
from app.pages.train import TrainPage
from app.pages.your_task import TaskPage
from app.serving.api import Api
from app.serving.returning import Visitors
from app.serving.server import KEEP_FILES, MOST_QUEUED
from app.sessions.lab import Lab
from app.sessions.run import recorded_run
from app.sessions.session import Session
from app.view import show


def build(lab: Lab, allow_hub: bool = False) -> gr.Blocks:
    """The page over a lab, whose model loads in the background. allow_hub: visitors may name datasets of the Hub, which this
    server then fetches."""
    gr.set_static_paths([PLOTLY])
    recording = recorded_run()
    with gr.Blocks(title="Soft Prompt Lab", analytics_enabled=False, delete_cache=KEEP_FILES, fill_width=True) as page:
        session = gr.State(Session())
        with gr.Row(elem_classes="top"):
            html(
                '<h1>Soft Prompt Lab</h1><p class="lead">A few trained vectors, which are no words, can make a language model do what no '
                "instruction in words gets from it. Train them live, hold them against prompts that people write, and look inside.</p>"
            )
            with gr.Column(scale=0, min_width=400):
                status = html(_status(lab), elem_id="status")
                counters()
                with gr.Row(elem_classes="link-bar"):
                    bar = LinkBar()
                    switch(scale=0, min_width=60)
        bar.place_message()
        token, last_token = gr.Textbox(visible=False), gr.Textbox(visible=False)
        link, last_link = gr.Textbox(visible=False), gr.Textbox(visible=False)
        with gr.Row(visible=False, elem_classes="offer", elem_id="offer") as offer:
            offered = html()
            back = gr.Button("Bring it back", elem_id="bring-back", scale=0, min_width=140)
        with gr.Tabs(selected="train") as tabs:
            with gr.Tab("Train", id="train"):
                train = TrainPage(lab, recording)
            with gr.Tab("Compare", id="compare"):
                compare = ComparePage(lab)
            with gr.Tab("Inspect", id="inspect"):
                inspect = InspectPage(lab, recording)
            with gr.Tab("Your task", id="task"):
                own = TaskPage(lab, allow_hub)
            with gr.Tab("Learn", id="learn"):
                learn = LearnPage(lab)

        visitors = Visitors(lab, inspect.forget)

        def leave(request: gr.Request) -> None:
            visitors.leave(str(request.session_hash))

        page.unload(leave)

        def elsewhere(session: Session) -> list[object]:
            return [*compare.paint(session), *inspect.paint(session)]

        train.wire(session, elsewhere, [*compare.outputs, *inspect.outputs])
        compare.wire(session)
        own.wire(session, train, tabs, elsewhere, [*compare.outputs, *inspect.outputs])
        train.own.click(lambda: gr.Tabs(selected="task"), None, [tabs], queue=False, api_visibility="private", **SILENT)
        inspect.wire(session, train)
        learn.wire(session)
        bar.wire(session, train, tabs)

        async def watch(session: Session) -> AsyncIterator[str]:
            while lab.engine.lm is None and not lab.engine.problem:
                yield _status(lab)
                await asyncio.sleep(0.5)
            lab.prepare(session.task)
            yield _status(lab)

        async def arrive(fresh: Session, own: str, last: str, end: Any, before: Any, request: gr.Request) -> list[object]:
            """A page was opened. own: the token of this very tab, after a reload; last: of a tab that may be closed.

            end, before: the end of its address, and of the one that this tab was opened with before.
            """
            session = visitors.arrive(fresh, str(request.session_hash), str(own))
            waits = visitors.waiting(str(last)) if session is fresh else None
            reloaded = bool(session.runs) and end == before  # then what was done since counts, not what the link began with
            opens = end if says_something(end) and not reloaded else ""
            return [session, session.token, str(last) if waits else "", gr.update(visible=waits is not None), _left(waits), opens]

        async def come_back(session: Session, last: str, request: gr.Request) -> list[object]:
            if visitors.waiting(str(last)) is None:
                return [session, session.token, "", gr.update(visible=False), "", ""]
            session = visitors.arrive(session, str(request.session_hash), str(last))
            return [session, session.token, "", gr.update(visible=False), "", ""]

        arrival = [session, token, last_token, offer, offered, link]
        everything = [*train.restored, *bar.outputs, *train.outputs, *compare.outputs, *inspect.outputs]

        def repaint(session: Session, link: Any) -> list[object]:
            opens = says_something(link)
            restored, told = bar.open(session, link) if opens else (train.restore(session), [gr.skip(), ""])
            # As it was built is how a new visitor's Train page stays: whoever scrubs at once isn't painted over.
            painted = train.paint(session) if opens or session.shown or session.runs else [gr.skip()] * len(train.outputs)
            return [*restored, *told, *painted, *elsewhere(session)]

        page.load(
            arrive, [session, token, last_token, link, last_link], arrival, js="(...values) => lab.readTokens(...values)", **QUIET
        ).then(None, [token], None, js="(token) => lab.keepToken(token)", **SILENT).then(
            repaint, [session, link], everything, **QUIET
        ).then(learn.arrive, [session, learn.kept], [tabs, *learn.outputs], js="(...values) => lab.readLessons(...values)", **QUIET).then(
            watch, [session], [status], **QUIET
        )
        back.click(come_back, [session, last_token], arrival, **QUIET).then(
            None, [token], None, js="(token) => lab.keepToken(token)", **SILENT
        ).then(repaint, [session, link], everything, **QUIET)
        Api(lab).wire()
    page.queue(api_open=False, max_size=MOST_QUEUED, default_concurrency_limit=None)
    return page


def _left(session: Session | None) -> str:
    """What somebody left behind, in words."""
    if session is None:
        return ""
    run = session.runs[-1]
    more = f" and {len(session.runs) - 1} more" if len(session.runs) > 1 else ""
    return f"<p>You left something here: {show.safe(run.name)}, step {run.record.step} of {run.record.recipe['steps']}{more}.</p>"


def _status(lab: Lab) -> str:
    lm = lab.engine.lm
    short = show.safe(show.short_name(lm.name if lm else lab.model))
    if lab.engine.problem:
        return f'<p class="status bad">{show.safe(lab.engine.problem)}</p>'
    if lm is None:
        return f'<p class="status" role="status"><i class="pulse"></i>{short} is loading; what you see is a recording</p>'
    return (
        f'<p class="status" role="status"><i class="ok"></i>{short} · {lm.device_name} · {lm.dtype_name} · {lm.layers} layers, frozen</p>'
    )
