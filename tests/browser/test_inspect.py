"""The Inspect page in Chromium over a tiny random model: panels, runs side by side, saved prompts, files and reports."""

import csv
import io
import zipfile

import pytest

pytestmark = pytest.mark.browser

EXPERIMENTS = ("seeds", "snap", "fits", "salience", "vectors", "attention", "hears", "describes", "between")


def open_inspect(visitor, *runs):
    """Train a short run for each of `runs` (numbers of steps), then go to Inspect."""
    for steps in runs:
        visitor.train(steps)
    visitor.tab("Inspect")
    visitor.page.wait_for_selector("#numbers .number")


def unfold(visitor, name):
    if not visitor.page.is_visible(f"#message-{name}, #panel-{name} .panel-controls"):
        visitor.page.click(f"#panel-{name} > button")
    visitor.page.wait_for_selector(f"#panel-{name} .panel-controls", state="visible")


# A quick experiment switches its button off and on within one repaint of the browser, so what it writes counts as well.
WATCH = """(name) => {
  window.changed = false;
  const watcher = new MutationObserver(() => { window.changed = true; watcher.disconnect(); });
  const what = {subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ['disabled']};
  watcher.observe(document.querySelector(`#panel-${name}`), what);
}"""


FILLED = """(name) => document.querySelector(`#${name}-text-1`).innerText.trim()
             || document.querySelector(`#${name}-plot-1 .plot-title`).textContent"""


def press(visitor, name, first=False):
    """Do a panel's experiment to its end. first: no press of this page was before it."""
    unfold(visitor, name)
    visitor.page.wait_for_selector(f"#go-{name}:not([disabled])")
    if first and visitor.page.evaluate(FILLED, name):
        return  # another session has found it out of an equal run: a test on its second try
    visitor.page.evaluate(WATCH, name)
    visitor.page.click(f"#go-{name}")
    visitor.page.wait_for_function("window.changed")  # else what an earlier press brought would be taken for this one's
    visitor.page.wait_for_function(FILLED, arg=name)
    visitor.page.wait_for_selector(f"#go-{name}:not([disabled])")
    assert visitor.page.locator(f"#message-{name} .message").count() == 0


def test_every_panel_of_a_soft_prompt_fills_in_and_follows_the_chosen_token(visitor):
    open_inspect(visitor, 6)
    page = visitor.page
    for name in EXPERIMENTS:
        press(visitor, name, first=True)
    page.click("#numbers [data-token='3']")
    page.wait_for_selector("#numbers [data-token='3'][aria-pressed=true]")
    page.wait_for_selector("#nearest-text-1 tr.lit [data-token='3']")
    page.wait_for_function("document.querySelector('#plane-plot-1 .plot-host').data.at(-1).marker.size[3] === 16")
    lit = "(id) => document.querySelector(id).layout.shapes.some((s) => s.x0 === 2.5 && s.x1 === 3.5)"
    for name in ("vectors", "hears"):
        page.locator(f"#{name}-plot-1").scroll_into_view_if_needed()
        page.wait_for_function(lit, arg=f"#{name}-plot-1 .plot-host")
    visitor.tab("Train")
    page.wait_for_selector("#chips [data-token='3'][aria-pressed=true]")
    visitor.tab("Inspect")
    bar = page.locator("#vectors-plot-1 .bars path >> nth=1")  # a bar is a token, too; plotly's drag layer lies over it
    bar.hover(force=True)
    bar.click(force=True)
    page.wait_for_selector("#numbers [data-token='1'][aria-pressed=true]")
    visitor.shoot("inspect-soft")


def test_the_scrubber_is_one_for_all_and_zoom_survives_it(visitor):
    open_inspect(visitor, 8)
    page = visitor.page
    page.evaluate("Plotly.relayout(document.querySelector('#plane-plot-1 .plot-host'), {'xaxis.range': [-1, 1], 'yaxis.range': [-1, 1]})")
    page.fill("#inspect-scrubber input[type=number]", "2")
    page.press("#inspect-scrubber input[type=number]", "Enter")
    visitor.settle("#nearest-text-1 caption", "step 2")
    visitor.settle("#plane-plot-1 .plot-note", "step 2")
    press(visitor, "describes")  # the step that is chosen is asked about first
    visitor.settle("#describes-text-1", "the prompt after step 2")
    assert page.evaluate("document.querySelector('#plane-plot-1 .plot-host').layout.xaxis.range") == [-1, 1]
    visitor.choose("plane-basis", "this run’s path")
    visitor.settle("#plane-plot-1 .plot-note", "this run’s own path")
    visitor.settle("#plane-plot-1 .plot-note", "step 2")
    page.click("#plane-extras label:has-text('random walk')")
    visitor.settle("#plane-plot-1 .plot-note", "dotted here")
    whole = "document.querySelectorAll('script[src*=\"plotly.min.js\"]').length"
    assert page.evaluate(whole) == 0  # the whole of plotly is fetched for the first solid figure
    page.click("#dimensions label:has-text('3D')")
    page.wait_for_function("document.querySelector('#plane-plot-1 .plot-host').data[0].type === 'scatter3d'")
    page.wait_for_selector("#plane-plot-1 .gl-container canvas", state="attached")
    assert page.evaluate(whole) == 1
    page.click("#dimensions label:has-text('2D')")
    page.wait_for_selector("#plane-plot-1 .main-svg .trace")
    assert not page.query_selector("#plane-plot-1 .gl-container canvas")


def test_runs_stand_side_by_side(visitor):
    open_inspect(visitor, 4, 5)
    page = visitor.page
    assert not page.is_visible("#nearest-text-2")
    visitor.choose("inspect-beside", "run 1")
    page.wait_for_selector("#nearest-text-2 table.tokens", state="visible")
    assert "run 2" in visitor.text("#nearest-text-1 .slot-name") and "run 1" in visitor.text("#nearest-text-2 .slot-name")
    press(visitor, "vectors")
    page.locator("#vectors-plot-2").scroll_into_view_if_needed()
    visitor.settle("#vectors-plot-2 .plot-title", "clearly raise the loss")
    unfold(visitor, "between")
    visitor.choose("between-other", "run 1")
    press(visitor, "between")
    visitor.choose("between-how", "cosines")
    press(visitor, "between")
    visitor.settle("#between-plot-1 .plot-title", "20 vectors of 2 prompts")
    visitor.shoot("inspect-side-by-side")


def test_a_prefix_has_its_own_panel_and_says_what_it_lacks(visitor):
    visitor.choose_prefix()
    visitor.train(4)
    assert "no nearest tokens" in visitor.text("#chips")
    open_inspect(visitor)
    visitor.settle("#nearest-text-1", "not word embeddings, so it has no nearest tokens")
    visitor.page.click("#part label:has-text('keys')")
    visitor.settle("#plane-plot-1 .plot-title", "how the keys vary")
    for name in ("layers", "keysvalues", "vectors", "attention", "hears"):
        press(visitor, name)
    visitor.settle("#layers-plot-1 .plot-title", "matters most")
    visitor.settle("#keysvalues-plot-1 .plot-title", "values alone")
    assert "no words to snap to" in visitor.text("#snap-text-1")
    unfold(visitor, "wayward")
    visitor.settle("#wayward-text-1", "no nearest tokens")
    unfold(visitor, "describes")
    visitor.settle("#describes-text-1", "nothing to put into a sentence")
    visitor.shoot("inspect-prefix")


def test_a_sentence_can_be_read_off_a_prompt_that_does_something_else(visitor):
    open_inspect(visitor, 3)
    page = visitor.page
    unfold(visitor, "wayward")
    page.fill("#wayward-gammas input, #wayward-gammas textarea", "often")
    page.click("#go-wayward")
    visitor.settle("#message-wayward", "The pull is not 1 to 6 numbers")
    page.fill("#wayward-gammas input, #wayward-gammas textarea", "0, 5")
    page.fill("#wayward-sentence input, #wayward-sentence textarea", "walk the lazy dog <b>")
    page.fill("#wayward-steps input", "3")
    page.click("#go-wayward:not([disabled])")
    visitor.settle("#wayward-text-1", "scored once")
    page.wait_for_selector("#go-wayward:not([disabled])")
    assert "pulled 0, from the sentence" in visitor.text("#wayward-text-1")
    visitor.settle("#wayward-plot-1 .plot-title", "of 4 prompts read exactly")


def test_an_experiment_can_be_stopped_and_keeps_what_it_found(visitor):
    open_inspect(visitor, 3)
    page = visitor.page
    unfold(visitor, "wayward")
    page.fill("#wayward-steps input", "5000")
    page.click("#go-wayward:not([disabled])")
    page.click("#halt-wayward:not([disabled])")
    page.wait_for_selector("#go-wayward:not([disabled])")
    press(visitor, "vectors")  # the slot is free


def test_a_recording_of_another_model_gets_a_sentence(visitor):
    open_inspect(visitor)
    visitor.page.click("#go-vectors")
    visitor.settle("#message-vectors", "other weights")


def test_tables_figures_and_vectors_leave_the_page_as_files(visitor, tmp_path):
    open_inspect(visitor, 3)
    page = visitor.page
    table = visitor.download("#nearest-text-1 .as-csv", tmp_path / "table.csv")
    rows = list(csv.reader(io.StringIO(table.read_text("utf-8"))))
    assert len(rows) == 11 and rows[0][1] == "nearest (cosine)" and rows[1][0] == "1"
    page.hover("#plane-plot-1 .plot-host")
    picture = visitor.download("#plane-plot-1 [data-title='Download as PNG']", tmp_path / "picture.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    told = visitor.download("#plane-plot-1 [data-title='Download as HTML']", tmp_path / "figure.html").read_text("utf-8")
    assert "10 virtual tokens from sampled vocabulary" in told and "seed 0" in told
    with zipfile.ZipFile(visitor.prepare("#vectors", tmp_path / "vectors.zip")) as files:
        numbers, labels = (files.read(name).decode().splitlines() for name in ("vectors.tsv", "labels.tsv"))
    assert len(labels) == len(numbers) + 1 and labels[1].startswith("start\trun 1") and len(numbers[0].split("\t")) == 32


def test_save_load_and_snap(visitor, tmp_path):
    page = visitor.page
    visitor.train(5)
    visitor.tab("Inspect")
    page.click("#go-snap:not([disabled])")
    visitor.settle("#snap-text-1", "control 3")
    path = visitor.prepare("#save", tmp_path / "prompt.zip")
    wide = "[...document.querySelectorAll('.picker button')].filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.id)"
    assert page.evaluate(wide) == [], "a button is too narrow for its words"
    visitor.load(path)
    visitor.loaded(1)
    (tmp_path / "bad.zip").write_bytes(b"not a zip")
    visitor.load(tmp_path / "bad.zip")
    visitor.settle("#inspect-message", "not a readable zip")
    with zipfile.ZipFile(path) as full, zipfile.ZipFile(tmp_path / "plain.zip", "w") as plain:
        assert {"adapter_model.safetensors", "recipe.json", "README.md", "run.json"} <= set(full.namelist())
        for name in full.namelist():
            if name != "recipe.json":
                plain.writestr(name, full.read(name))
    visitor.load(tmp_path / "plain.zip")
    visitor.settle("#inspect-message", "no recipe.json")
    page.fill("#load-template textarea, #load-template input", "no place")
    page.click("#use-template")
    visitor.settle("#inspect-message", "{input} 0 times")
    page.fill("#load-template textarea, #load-template input", "{input} gives")
    page.click("#use-template")
    visitor.loaded(2)
    page.wait_for_selector("#load-template", state="hidden")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_report_is_one_file_that_opens_without_a_network(visit, tiny_app, tmp_path, width, dark):
    visitor = visit(tiny_app, width, dark)  # the recording will do
    page = visitor.page
    visitor.tab("Inspect")
    path = visitor.prepare("#report", tmp_path / "report.html")
    page.context.set_offline(True)
    opened, errors, asked = page.context.new_page(), [], []
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    opened.wait_for_selector("#plot-curves .main-svg")
    opened.wait_for_selector("#plot-plane .main-svg")
    assert "held-out rows right" in opened.inner_text("h1") and opened.locator("#nearest tbody tr").count() == 10
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
    paper = opened.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(18, 24, 31)" if dark else "rgb(255, 255, 255)")
    opened.emulate_media(media="print")
    assert opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert errors == [] and all(url.startswith(("file:", "data:", "blob:")) for url in asked)
    opened.close()
