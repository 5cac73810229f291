"""A page in Chromium, used as a person uses it."""

from pathlib import Path

from playwright.sync_api import Page, TimeoutError
from serving import ROOT

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
PATIENCE = 180_000  # milliseconds to wait for a state that comes within seconds on a quiet machine
SCREENSHOTS = ROOT / "screenshots"


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
        # The status is the last thing that opening the page brings; what is set on its other tabs before may be painted over.
        self.page.wait_for_selector("#status .ok, #status .bad")

    def ready(self) -> None:
        """Wait until the model is there."""
        self.page.wait_for_selector("#status .ok")

    def tab(self, name: str) -> None:
        self.page.click(f"button[role=tab]:has-text('{name}')")

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)

    def settle(self, selector: str, wanted: str, seconds: float = PATIENCE / 1000) -> None:
        """Wait until the text of `selector` holds `wanted`."""
        self._holds(selector, "innerText", wanted, seconds)

    def value(self, selector: str, wanted: str, seconds: float = PATIENCE / 1000) -> None:
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

    def run_ends(self, seconds: float = PATIENCE / 1000) -> None:
        self.settle("#progress", "s of training", seconds)
        self.page.wait_for_selector("#train:not([disabled])")

    def train(self, steps: int) -> None:
        """Train so many steps, to the end of the run."""
        self.set("steps", str(steps))
        self.page.click("#train")
        self.run_ends()

    def set(self, name: str, value: str) -> None:
        self.page.fill(f"#set-{name} input", value)

    def choose(self, dropdown: str, option: str) -> None:
        """Pick an option of the dropdown with this id."""
        self.page.click(f"#{dropdown} input")
        self.page.click(f"ul[role=listbox] li:has-text('{option}')")

    def choose_prefix(self) -> None:
        """Choose the K/V prefix as the method, which brings its own learning rate."""
        self.choose("set-method", "K/V prefix")
        self.value("#set-learning_rate input", "0.01")

    def scored(self, wanted: str = "") -> None:
        """Wait until `wanted` is among the contenders and nothing is scored any more."""
        self.settle("#contenders", wanted)
        self.page.wait_for_selector("#stop-scoring[disabled]")

    def download(self, selector: str, path: Path) -> Path:
        """Click, and save the file that the click brings."""
        with self.page.expect_download() as download:
            self.page.click(selector)
        download.value.save_as(path)
        return path

    def prepare(self, button: str, path: Path) -> Path:
        """Press a button of the Inspect page that prepares a file, and save it."""
        self.page.click(button)
        self.page.wait_for_selector("#download:visible")
        return self.download("#download", path)

    def load(self, path: Path) -> None:
        """Load a file as a prompt on the Inspect page."""
        self.page.wait_for_function("!document.querySelector('#load-prompt').disabled")
        self.page.set_input_files("#load-prompt input[type=file], input[type=file] >> nth=-1", str(path))

    def loaded(self, number: int) -> None:
        """Wait until the loaded prompt of this number is the one that the Inspect page shows."""
        self.page.wait_for_function(f"document.querySelector('#inspect-run input').value.startsWith('loaded {number}')")

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
