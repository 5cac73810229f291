"""Import Gradio without its type stubs: at every start it parses the source of each component to write a .pyi file beside it."""

import inspect
from typing import Any


def import_gradio() -> None:
    """Import Gradio in three quarters of the time, and without writing into its folder.

    Gradio passes over a component whose source file isn't found, so for that time none is. Other classes are looked up as ever.
    """
    found = inspect.getfile

    def no_component(thing: Any) -> str:
        if type(thing).__name__ == "ComponentMeta":
            raise OSError("the stubs of components are not wanted")
        return found(thing)

    inspect.getfile = no_component  # type: ignore[assignment]
    try:
        import gradio  # noqa: F401
    finally:
        inspect.getfile = found
