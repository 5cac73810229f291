"""The real app in a process of its own, and a real Chromium. Without one: skipped by name, or failed with REQUIRE_BROWSER=1."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_models
from playwright.sync_api import Browser, Error, Page, TimeoutError, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
SCREENSHOTS = ROOT / "screenshots"


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


def serve(*arguments: str, command: tuple[str, ...] = ("app.py",), folder: Path = ROOT, **environment: str) -> Iterator[str]:
    """Run app.py on a free port until the test session ends; yields its address. folder: where it lies."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    line = [sys.executable, *command, "--port", str(port), *arguments]
    process = subprocess.Popen(line, cwd=folder, env={**os.environ, **environment})
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            assert process.poll() is None, "the app ended by itself"
            try:
                urllib.request.urlopen(address, timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(20)


def save_tiny(folder: Path) -> Path:
    """A tiny random model in `folder`."""
    lm = tiny_models.make("llama", max_position_embeddings=2048)
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that holds a tiny random model."""
    return str(save_tiny(tmp_path_factory.mktemp("tiny-model")))


@pytest.fixture(scope="session")
def tiny_app(tiny_folder: str) -> Iterator[str]:
    """The app over a tiny random model in a local folder: quick, for everything that needs no clever answers."""
    yield from serve("--model", tiny_folder, "--dtype", "float32")


@pytest.fixture(scope="session")
def real_app() -> Iterator[str]:
    """The app as `make demo` starts it."""
    yield from serve()


@pytest.fixture(scope="module")
def no_model_app() -> Iterator[str]:
    """The app where the model can't be had. Its folder's name is short: the page cuts long ones."""
    with tempfile.TemporaryDirectory() as folder:
        yield from serve("--model", str(Path(folder) / "no-such-model"))


class Visitor:
    """A page with its console and its requests."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._request)

    def _request(self, request: object) -> None:
        url = request.url  # type: ignore[attr-defined]
        if not url.startswith((self.address, "data:", "blob:")):
            self.elsewhere.append(url)

    def open(self, query: str = "") -> None:
        self.page.goto(self.address + "/" + query)
        self.page.wait_for_selector("#curves .main-svg")
        # The status is the last thing that opening the page brings: whoever scrubs before is painted over.
        self.page.wait_for_selector("#status .ok, #status .bad", timeout=120_000)

    def ready(self) -> None:
        """Wait until the model is there."""
        self.page.wait_for_selector("#status .ok", timeout=120_000)

    def tab(self, name: str) -> None:
        self.page.click(f"button[role=tab]:has-text('{name}')")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def settle(self, selector: str, wanted: str, seconds: float = 60) -> None:
        """Wait until the text of `selector` holds `wanted`."""
        self._holds(selector, "innerText", wanted, seconds)

    def value(self, selector: str, wanted: str, seconds: float = 60) -> None:
        """Wait until what a field holds contains `wanted` (what a page paints comes one output after another)."""
        self._holds(selector, "value", wanted, seconds)

    def _holds(self, selector: str, what: str, wanted: str, seconds: float) -> None:
        try:
            self.page.wait_for_function(
                "([selector, what, wanted]) => document.querySelector(selector)?.[what].includes(wanted)",
                arg=[selector, what, wanted],
                timeout=1000 * seconds,
            )
        except TimeoutError as error:
            held = self.page.evaluate("([selector, what]) => document.querySelector(selector)?.[what]", [selector, what])
            raise AssertionError(f"{selector} holds {held!r}, not {wanted!r}; the console: {self.errors}") from error

    def run_ends(self, seconds: float = 120) -> None:
        self.settle("#progress", "s of training", seconds)
        self.page.wait_for_selector("#train:not([disabled])")

    def train(self, steps: int) -> None:
        """Train so many steps, to the end of the run."""
        self.set("steps", str(steps))
        self.page.click("#train")
        self.run_ends()

    def set(self, name: str, value: str) -> None:
        self.page.fill(f"#set-{name} input", value)

    def bring(self, name: str, data: bytes, folder: Path) -> None:
        """Choose a file on the Your task page."""
        path = folder / name
        path.write_bytes(data)
        self.tab("Your task")
        clear = self.page.locator("#upload-task button[aria-label='Remove this file'], #upload-task button[aria-label='Clear']")
        if clear.count():
            clear.first.click()
        self.page.set_input_files("#upload-task input[type=file]", str(path))

    def use(self) -> None:
        """Use the task that was brought; the Train page takes it up."""
        self.page.click("#use-task:not([disabled])")
        self.page.wait_for_selector("#train:visible")

    def shoot(self, name: str) -> None:
        """A screenshot for people to look at; the folder is not in the repository."""
        SCREENSHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture
def visit(chromium: Browser) -> Iterator[object]:
    """visit(address, width, dark) -> Visitor, each in a browser context of its own."""
    contexts = []

    def open_page(address: str, width: int = 1280, dark: bool = False) -> Visitor:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        contexts.append(context)
        visitor = Visitor(context.new_page(), address)
        visitor.open("?__theme=dark" if dark else "")
        return visitor

    yield open_page
    for context in contexts:
        context.close()
