"""The whole page: header, tabs, theme, and what is shared between them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr

from app.components.handlers import leave_unchanged
from app.components.widgets import FLAT, NEWEST, PLOTLY, QUIET, SILENT, Changes, counters, html, switch
from app.pages import scoreboard
from app.pages.arrival import Arrival
from app.pages.compare import ComparePage
from app.pages.experiments import ExperimentsPage
from app.pages.inspect import InspectPage
from app.pages.learn import LearnPage
from app.pages.link_bar import LinkBar, says_something
from app.pages.spectrum import SpectrumPart
from app.pages.train import TrainPage
from app.pages.your_task import TaskPage
from app.serving.api import Api
from app.serving.keep import Keeper
from app.serving.queue_loop import wait_for_events
from app.serving.server import KEEP_FILES, MOST_QUEUED
from app.serving.session_restore import Visitors
from app.sessions.jobs import lasting
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import recorded_run
from app.view.html import Html, details, tag
from app.view.text import short_name

LEAD = "Ten learned vectors can steer a frozen language model better than our best written instruction."


def build(lab: Lab, allow_hub: bool = False, keeper: Keeper | None = None) -> gr.Blocks:
    """The page over a lab, whose model loads in the background.

    allow_hub: visitors may name datasets of the Hub, which this server then fetches. keeper: writes sessions to a disk.
    """
    gr.set_static_paths([FLAT, PLOTLY])
    recording = recorded_run()
    with gr.Blocks(title="Soft Prompt Lab", analytics_enabled=False, delete_cache=KEEP_FILES, fill_width=True) as page:
        session = gr.State(Session())
        with gr.Row(elem_classes="top"):
            html(tag("h1", "Soft Prompt Lab") + tag("p", LEAD, class_="lead"))
            with gr.Column(scale=0, min_width=400, elem_classes="top-side"):
                status = html(_status(lab, ""), elem_id="status")
                counters()
                with gr.Row(elem_classes="link-bar"):
                    bar = LinkBar()
                    switch(scale=0, min_width=60)
        bar.place_message()
        arrival = Arrival()
        with gr.Tabs(selected="train") as tabs:
            with gr.Tab("Train", id="train"):
                train = TrainPage(lab, recording)
            with gr.Tab("Compare", id="compare"):
                compare = ComparePage(lab)
            with gr.Tab("Inspect", id="inspect"):
                inspect = InspectPage(lab, recording)
                scoreboard.build()
            with gr.Tab("Experiments", id="experiments") as experiments_tab:
                experiments = ExperimentsPage(lab)
                spectrum = SpectrumPart(lab)
            with gr.Tab("Your task", id="task"):
                own = TaskPage(lab, allow_hub)
            with gr.Tab("Learn", id="learn"):
                learn = LearnPage(lab)

        others = [*compare.outputs, *inspect.outputs]

        def paint_others(session: Session) -> Changes:
            return {**compare.paint(session), **inspect.paint(session)}

        def paint_after(session: Session) -> Changes:
            return {**paint_others(session), status: _status(lab, session.model)}

        async def watch(session: Session) -> AsyncIterator[str]:
            """The state of the model, until it is loaded."""
            while lab.engine.awaited(session.model):
                yield _status(lab, session.model)
                await asyncio.sleep(0.5)
            lab.prepare(session)
            yield _status(lab, session.model)

        train.wire(session, lasting(paint_after), [*others, status])
        if len(lab.models) > 1:
            picked = train.model.input(train.pick_model, [session, train.model], [*train.outputs, *train.set_up_outputs], **NEWEST)
            picked.then(lasting(paint_others), [session], others, **QUIET)
            picked.then(watch, [session], [status], **QUIET)  # the change below may be handled before the choice itself
            train.model.change(watch, [session], [status], **NEWEST)  # a run that is chosen brings its model
        compare.wire(session, train, tabs, lasting(paint_after), [*others, status])
        own.wire(session, train, tabs, lasting(paint_after), [*others, status])
        train.own.click(lambda: gr.Tabs(selected="task"), None, [tabs], queue=False, api_visibility="private", **SILENT)
        inspect.wire(session, train)
        experiments.wire(session, train, tabs, lasting(paint_others), others)
        spectrum.wire(session, train)
        settings = [session, *experiments.given, *train.controls.values()]
        looked = experiments_tab.select(experiments.paint_opened, [session], [*experiments.live, experiments.task], **QUIET)
        looked.then(spectrum.paint, [session], spectrum.outputs, **QUIET)
        looked.then(experiments.plan_then, settings, [experiments.plan, experiments.message], **QUIET)
        learn.wire(session, tabs)
        bar.wire(session, train, tabs)

        def paint(session: Session, link: Any) -> Changes:
            linked = says_something(link)
            changes = bar.open(session, link) if linked else {**train.restore(session), bar.message: ""}
            if linked or session.shown or session.runs:  # a new visitor may have scrubbed the recording already
                changes |= train.paint(session)
            return {**changes, **paint_others(session), **experiments.restore(session)}

        painted = [*bar.outputs, *train.outputs, *train.set_up_outputs, *others, *experiments.outputs]
        visitors = Visitors(lab, inspect.forget, read=(lambda token: keeper.read(token, lab.models)) if keeper else lambda token: None)
        if keeper:
            keeper.watch(visitors.sessions)
        opened = arrival.wire(page, session, visitors, paint, painted)
        learn.open_after(opened, session).then(watch, [session], [status], **QUIET)
        Api(lab).wire()
    leave_unchanged(page)
    page.queue(api_open=False, max_size=MOST_QUEUED, default_concurrency_limit=None)
    wait_for_events(page._queue)
    return page


def _status(lab: Lab, model: str) -> Html:
    lm, problem = lab.engine.loaded(model), lab.engine.problem_of(model)
    short = short_name(lab.name_of(model))
    if problem:
        return tag("p", problem, class_="status bad")
    if lm is None and not lab.engine.awaited(model):
        return tag("p", tag("i", class_="ok"), f"{short} is loaded when it is first used", class_="status", role="status")
    if lm is None:
        words = f"{short} is loading" if len(lab.models) > 1 else f"{short} is loading; what you see is a recording"
        return tag("p", tag("i", class_="pulse"), words, class_="status", role="status")
    # What the device does meanwhile is said below it while this is open: assets/page.js, counters.
    words = f"{lm.device_name} · {lm.dtype_name} · {lm.layers} layers, frozen"
    told = [tag("p", note) for note in lm.notes]
    return tag("div", details(tag("i", class_="ok") + short, tag("p", words), *told), class_="status", role="status")
