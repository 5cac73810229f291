"""The real app, and a real Chromium. Without one: skipped by name, or failed with REQUIRE_BROWSER=1."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Error, sync_playwright
from serving import serve
from visitor import ARGUMENTS, PATIENCE, Visitor


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium: the machine's, else Playwright's own."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        except Error as error:
            if os.environ.get("REQUIRE_BROWSER"):
                raise
            pytest.skip(f"no Chromium on this machine: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def real_app() -> Iterator[str]:
    """The app as `make demo` starts it."""
    yield from serve()


@pytest.fixture(scope="module")
def no_model_app() -> Iterator[str]:
    """The app where the model can't be had. Its folder's name is short: the page cuts long ones."""
    with tempfile.TemporaryDirectory() as folder:
        yield from serve("--model", str(Path(folder) / "no-such-model"))


@pytest.fixture
def visit(chromium: Browser) -> Iterator[object]:
    """visit(address, width, dark) -> Visitor, each in a browser context of its own."""
    contexts = []

    def open_page(address: str, width: int = 1280, dark: bool = False) -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        visitor = Visitor(context.new_page(), address)
        visitor.open("?__theme=dark" if dark else "")
        return visitor

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def visitor(visit: Callable[..., Visitor], tiny_app: str) -> Iterator[Visitor]:
    """The page over a tiny random model, which is loaded. At the end: no error in the console, no request to another server."""
    visitor = visit(tiny_app)
    visitor.ready()
    yield visitor
    assert visitor.errors == [] and visitor.elsewhere == []
