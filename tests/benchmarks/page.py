"""How soon the page shows what happens: its opening, a finished training step, a scrubbed one. Real model, Chromium on the same machine.

    python tests/benchmarks/page.py --rounds 3

Opening counts from the request to the frame with the recording, curves and plane drawn, in a browser that has not been here before;
in turn with it a page of Gradio's own with one line of text, which is the least that any such page takes on this machine. A step
counts from the moment its vectors are there (before anything is read off them) to the frame that shows it, curves and plane drawn.
Scrubbing counts from the slider's event to the frame with table, strip and plane. Prints milliseconds as JSON.
"""

import argparse
import json
import os
import runpy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from serving import free_port, wait_for  # noqa: E402  beside this folder

QUIET = {"GRADIO_ANALYTICS_ENABLED": "False"}
LOG = "STEPS_LOG"  # the environment's name for the file that the server writes its steps' times to
IDLE = 30.0  # seconds in which the server scores the handcrafted prompts, before anything is measured

OPENINGS = 8  # of each page
EMPTY = """import sys, gradio
with gradio.Blocks(analytics_enabled=False) as page:
    gradio.HTML('<p id="here">One line.</p>')
page.launch(server_port=int(sys.argv[1]), ssr_mode=False)
"""
THERE = {"empty": ["#here"], "ours": ["#curves .main-svg .trace", "#plane .main-svg .trace"]}
WATCH_OPENING = """(() => {
  const look = () => {
    if (%s.every((one) => document.querySelector(one))) setTimeout(() => { window.there = performance.now(); }, 0);
    else requestAnimationFrame(look);
  };
  look();
})()"""

WATCH_STEPS = """() => {
  window.steps = {};
  const line = document.querySelector('#progress'), drawn = {};
  let step = 0;
  const now = () => performance.timeOrigin + performance.now();
  const look = () => {  // a step is there once its words and both plots are
    if (!step || window.steps[step] || !(drawn.curves > step - 1 && drawn.plane > step - 1)) return;
    const seen = step;
    requestAnimationFrame(() => setTimeout(() => { window.steps[seen] ??= now(); }, 0));
  };
  for (const name of ['curves', 'plane'])
    document.querySelector(`#${name} .plot-host`).on('plotly_afterplot', () => { drawn[name] = step; look(); });
  new MutationObserver(() => {
    const found = /Step (\\d+) of/.exec(line.innerText);
    if (found && +found[1] !== step) { step = +found[1]; look(); }
  }).observe(line, {subtree: true, childList: true, characterData: true});
}"""

WATCH_SCRUBBING = """() => {
  const after = {};
  for (const name of ['plane-plot-1', 'nearest-plot-1'])
    for (const event of ['plotly_afterplot', 'plotly_relayout'])
      document.querySelector(`#${name} .plot-host`).on(event, () => { after[name] = performance.now(); });
  window.scrubTo = async (step) => {
    const slider = document.querySelector('#inspect-scrubber input[type=range]'), began = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    const there = () => document.querySelector('#nearest-text-1 caption')?.innerText.includes(`step ${step}`)
      && after['plane-plot-1'] > began && after['nearest-plot-1'] > began;
    while (!there() && performance.now() - began < 5000) await new Promise((done) => setTimeout(done, 1));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    return performance.now() - began;
  };
}"""


def serve(arguments: Sequence[str]) -> None:
    """The app, writing down when each step's vectors were there."""
    sys.path.insert(0, str(ROOT))
    from core.training.training import Training

    advance = Training.advance
    with open(os.environ[LOG], "w", buffering=1) as log:

        def timed(self: Training, state: Any, steps: int = 1) -> Any:
            done = advance(self, state, steps)
            log.write(json.dumps([done[1].step, time.time()]) + "\n")
            return done

        Training.advance = timed  # type: ignore[method-assign]
        sys.argv = ["app.py", *arguments]
        runpy.run_path(str(ROOT / "app.py"), run_name="__main__")


def openings(browser: Browser, ours: str) -> dict[str, list[float]]:
    """Open an empty page and ours in turn. Milliseconds each."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-c", EMPTY, str(port)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, **QUIET}
    )
    addresses = {"empty": f"http://127.0.0.1:{port}", "ours": ours}
    taken: dict[str, list[float]] = {name: [] for name in addresses}
    try:
        wait_for(addresses["empty"], server)
        for _ in range(OPENINGS):
            for name, address in addresses.items():
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                page = context.new_page()
                page.add_init_script(WATCH_OPENING % json.dumps(THERE[name]))
                page.goto(address)
                page.wait_for_function("window.there")
                taken[name].append(page.evaluate("window.there"))
                time.sleep(2)  # what opening brings after that is not in the way of the next one
                context.close()
    finally:
        server.terminate()
        server.wait(20)
    return taken


def steps_seen(page: Page, log: Path) -> list[float]:
    """Train the default recipe. Milliseconds from each step to the frame that shows it."""
    before = len(log.read_text().splitlines())
    page.click("button[role=tab]:has-text('Train')")
    page.evaluate(WATCH_STEPS)
    page.click("#train")
    page.wait_for_function("document.querySelector('#progress').innerText.includes('trained parameters')", timeout=300_000)
    seen = {int(step): at for step, at in page.evaluate("window.steps").items()}
    made = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    missing = [step for step, _ in made if step not in seen]
    if missing:
        print(f"never on the page by themselves: steps {missing}", file=sys.stderr)
    return [seen[step] - 1000 * at for step, at in made if step in seen]


def scrubs(page: Page) -> list[float]:
    """Scrub back and forth on Inspect. Milliseconds each."""
    page.click("button[role=tab]:has-text('Inspect')")
    for name in ("plane-plot-1", "nearest-plot-1"):
        page.wait_for_selector(f"#{name} .main-svg")
    time.sleep(2)
    page.evaluate(WATCH_SCRUBBING)
    taken = []
    for step in (*range(55, 10, -3), *range(12, 50, 4)):
        taken.append(page.evaluate("(step) => window.scrubTo(step)", step))
        time.sleep(0.2)
    return taken


def summary(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return {"n": len(ordered), "median": round(statistics.median(ordered)), "p95": round(p95), "worst": round(ordered[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("app", nargs="*", help="arguments of app.py, after --")
    wanted = parser.parse_args()
    if wanted.serve:
        serve(wanted.app)
        return
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "steps"
        began = time.monotonic()
        command = [sys.executable, __file__, "--serve", "--", "--port", str(port), *wanted.app]
        server = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, LOG: str(log)}, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            wait_for(address, server)
            answers = time.monotonic() - began
            with sync_playwright() as playwright:
                arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
                browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
                steps, moved = [], []
                page = browser.new_page()
                page.goto(address)
                page.wait_for_selector("#status .ok", timeout=120_000)
                page.close()
                time.sleep(IDLE)
                opened = openings(browser, address)
                for _ in range(wanted.rounds):
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    page.goto(address)
                    page.wait_for_selector("#curves .main-svg")
                    page.wait_for_selector("#status .ok", timeout=120_000)
                    time.sleep(IDLE)
                    steps.append(steps_seen(page, log))
                    moved.append(scrubs(page))
                    page.close()
                browser.close()
        finally:
            server.terminate()
            server.wait(20)
    result = {
        "page_answers_after_s": round(answers, 1),
        "opening": {name: summary(values) for name, values in opened.items()},
        "step": [summary(one) for one in steps],
        "scrub": [summary(one) for one in moved],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
