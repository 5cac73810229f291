"""A handler that ends without an item changes nothing on the page: Gradio itself would empty all of its outputs."""

import contextlib
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import gradio as gr


def leave_unchanged(page: gr.Blocks) -> None:
    """Let every handler of the page that is a generator end with "no change" where it yields nothing.

    Gradio sends None for each output then, so pictures and answers that were there vanish. The API's functions, which
    return values, are not touched.
    """
    for event in page.fns.values():
        if event.fn and event.api_visibility == "private":
            event.fn = with_an_item(event.fn)


def with_an_item(handler: Callable[..., Any]) -> Callable[..., Any]:
    """The handler, which yields `gr.skip()` where it would yield nothing. One that is no generator as it is."""
    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def handled(*values: Any) -> AsyncIterator[Any]:
            silent = True
            async with contextlib.aclosing(handler(*values)) as items:  # where the client leaves, it ends at once
                async for item in items:
                    silent = False
                    yield item
            if silent:
                yield gr.skip()

        return handled
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def handled_in_a_thread(*values: Any) -> Iterator[Any]:
            silent = True
            for item in handler(*values):
                silent = False
                yield item
            if silent:
                yield gr.skip()

        return handled_in_a_thread
    return handler
