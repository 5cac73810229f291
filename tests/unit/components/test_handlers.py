"""What handlers do to the page: nothing where they yield nothing, and all that was pressed and typed, in its order."""

import asyncio

import gradio as gr

from app.components.handlers import leave_unchanged
from app.components.widgets import QUIET


async def silent(text, event: gr.EventData):
    for _ in ():
        yield text


async def speaking(text):
    yield "one"
    yield "two"


def test_a_handler_without_an_item_changes_nothing_and_others_are_as_they_were():
    with gr.Blocks() as page:
        box, other = gr.Textbox(), gr.Textbox()
        box.change(silent, [box], [box, other], **QUIET)
        box.change(speaking, [box], [other], **QUIET)
    leave_unchanged(page)
    quiet, loud = page.fns.values()

    async def items(event, *values):
        return [item async for item in event.fn(*values)]

    [nothing] = asyncio.run(items(quiet, "x", None))
    assert asyncio.run(page.postprocess_data(quiet, nothing, None)) == [{"__type__": "update"}] * 2
    assert asyncio.run(items(loud, "x")) == ["one", "two"]


def test_every_handler_of_the_page_is_one_of_these(lab):
    from app.pages.page import build

    page = build(lab)
    events = [event for event in page.fns.values() if event.types_generator and event.api_visibility == "private"]
    assert len(events) > 20
    assert all(event.fn.__qualname__ and hasattr(event.fn, "__wrapped__") for event in events)


def test_no_press_is_dropped_and_what_came_first_is_begun_first(lab):
    from app.pages.page import build

    page = build(lab)
    events = [event for event in page.fns.values() if event.queue and event.fn and event.api_visibility == "private"]
    of_visitors = [event for event in events if not {kind for _, kind in event.targets} & {"load", "unload"}]
    assert len(of_visitors) > 50 and {event.concurrency_id for event in of_visitors} == {"page"}
    assert {event.trigger_mode for event in of_visitors} == {"multiple", "always_last"}
    pressed = [event for event in of_visitors if any(kind == "click" for _, kind in event.targets)]
    assert {event.trigger_mode for event in pressed} == {"multiple"}


def test_only_a_page_that_is_opened_gets_the_fields_of_an_experiment(lab):
    """On an open page they hold what the visitor types: a paint of what the server knew would take it back."""
    from app.pages.page import build
    from app.sessions.session import Session

    page, session = build(lab), Session()
    chosen = next(event.fn for event in page.fns.values() if event.name == "_choose")
    experiments = chosen.__self__
    session.experiments.fields = ("virtual_tokens", "nothing", "1, 2", "", "2", "3")
    painted = experiments._choose(session, gr.EventData(None, {"cell": 0}))
    assert not set(experiments.given) & set(painted)
    assert set(experiments.given) <= set(experiments.restore(session))
