"""What a handler that yields nothing does to the page."""

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
