"""The Inspect page in Chromium over a tiny random model: every panel, one toolbar for all, runs side by side, downloads."""

import csv
import io
import zipfile

import pytest

pytestmark = pytest.mark.browser

EXPERIMENTS = ("seeds", "snap", "vectors", "attention", "hears", "between")


def open_inspect(visitor, *runs):
    """Train a short run for each of `runs` (numbers of steps), then go to Inspect."""
    visitor.ready()
    for steps in runs:
        visitor.train(steps)
    visitor.tab("Inspect")
    visitor.page.wait_for_selector("#numbers .number")


def unfold(visitor, name):
    if not visitor.page.is_visible(f"#message-{name}, #panel-{name} .panel-controls"):
        visitor.page.click(f"#panel-{name} > button")
    visitor.page.wait_for_selector(f"#panel-{name} .panel-controls", state="visible")


WATCH = """(name) => {
  window.wasOff = false;
  const watcher = new MutationObserver(() => { window.wasOff = true; watcher.disconnect(); });
  watcher.observe(document.querySelector(`#go-${name}`), {attributes: true, attributeFilter: ['disabled']});
}"""


def press(visitor, name):
    """Do a panel's experiment to its end."""
    unfold(visitor, name)
    visitor.page.wait_for_selector(f"#go-{name}:not([disabled])")
    visitor.page.evaluate(WATCH, name)
    visitor.page.click(f"#go-{name}")
    visitor.page.wait_for_function("window.wasOff")  # else what an earlier press brought would be taken for this one's
    visitor.page.wait_for_function(
        """(name) => document.querySelector(`#${name}-text-1`).innerText.trim()
                     || document.querySelector(`#${name}-plot-1 .plot-title`).textContent""",
        arg=name,
    )
    visitor.page.wait_for_selector(f"#go-{name}:not([disabled])")
    assert visitor.page.locator(f"#message-{name} .message").count() == 0


def choose(visitor, label, option):
    """Pick an option of the dropdown with this id."""
    visitor.page.click(f"#{label} input")
    visitor.page.click(f"ul[role=listbox] li:has-text('{option}')")


def test_every_panel_of_a_soft_prompt_fills_in_and_follows_the_chosen_token(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor, 6)
    page = visitor.page
    for name in EXPERIMENTS:
        press(visitor, name)
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
    assert visitor.errors == [] and visitor.elsewhere == []


def test_the_scrubber_is_one_for_all_and_zoom_survives_it(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor, 8)
    page = visitor.page
    page.evaluate("Plotly.relayout(document.querySelector('#plane-plot-1 .plot-host'), {'xaxis.range': [-1, 1], 'yaxis.range': [-1, 1]})")
    page.fill("#inspect-scrubber input[type=number]", "2")
    page.press("#inspect-scrubber input[type=number]", "Enter")
    visitor.settle("#nearest-text-1 caption", "step 2")
    visitor.settle("#plane-plot-1 .plot-note", "step 2")
    assert page.evaluate("document.querySelector('#plane-plot-1 .plot-host').layout.xaxis.range") == [-1, 1]
    choose(visitor, "plane-basis", "this run’s path")
    visitor.settle("#plane-plot-1 .plot-note", "this run’s own path")
    visitor.settle("#plane-plot-1 .plot-note", "step 2")
    page.click("#plane-extras label:has-text('random walk')")
    visitor.settle("#plane-plot-1 .plot-note", "dotted here")
    page.click("#dimensions label:has-text('3D')")
    page.wait_for_function("document.querySelector('#plane-plot-1 .plot-host').data[0].type === 'scatter3d'")
    assert visitor.errors == []


def test_runs_stand_side_by_side(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor, 4, 5)
    page = visitor.page
    assert not page.is_visible("#nearest-text-2")
    choose(visitor, "inspect-beside", "run 1")
    page.wait_for_selector("#nearest-text-2 table.tokens", state="visible")
    assert "run 2" in visitor.text("#nearest-text-1 .slot-name") and "run 1" in visitor.text("#nearest-text-2 .slot-name")
    press(visitor, "vectors")
    page.locator("#vectors-plot-2").scroll_into_view_if_needed()
    visitor.settle("#vectors-plot-2 .plot-title", "clearly raise the loss")
    unfold(visitor, "between")
    choose(visitor, "between-other", "run 1")
    press(visitor, "between")
    choose(visitor, "between-how", "cosines")
    press(visitor, "between")
    visitor.settle("#between-plot-1 .plot-title", "20 vectors of 2 prompts")
    visitor.shoot("inspect-side-by-side")
    assert visitor.errors == []


def test_a_prefix_has_its_own_panel_and_says_what_it_lacks(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.page.click("#set-method label:has-text('K/V prefix')")
    visitor.page.wait_for_function("document.querySelector('#set-learning_rate input').value === '0.01'")
    open_inspect(visitor, 4)
    for name in ("layers", "vectors", "attention", "hears"):
        press(visitor, name)
    visitor.settle("#layers-plot-1 .plot-title", "matters most")
    assert "no words to snap to" in visitor.text("#snap-text-1")
    unfold(visitor, "wayward")
    visitor.settle("#wayward-text-1", "no nearest tokens")
    visitor.shoot("inspect-prefix")
    assert visitor.errors == []


def test_a_sentence_can_be_read_off_a_prompt_that_does_something_else(visit, tiny_app):
    visitor = visit(tiny_app)
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
    assert visitor.errors == []


def test_an_experiment_can_be_stopped_and_keeps_what_it_found(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor, 3)
    page = visitor.page
    unfold(visitor, "wayward")
    page.fill("#wayward-steps input", "5000")
    page.click("#go-wayward:not([disabled])")
    page.click("#halt-wayward:not([disabled])")
    page.wait_for_selector("#go-wayward:not([disabled])")
    press(visitor, "vectors")  # the slot is free
    assert visitor.errors == []


def test_a_recording_of_another_model_gets_a_sentence(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor)
    visitor.page.click("#go-vectors")
    visitor.settle("#message-vectors", "other weights")


def test_tables_figures_and_vectors_leave_the_page_as_files(visit, tiny_app):
    visitor = visit(tiny_app)
    open_inspect(visitor, 3)
    page = visitor.page
    with page.expect_download() as table:
        page.click("#nearest-text-1 .as-csv")
    rows = list(csv.reader(io.StringIO(table.value.path().read_text("utf-8"))))
    assert len(rows) == 11 and rows[0][1] == "nearest (cosine)" and rows[1][0] == "1"
    page.hover("#plane-plot-1 .plot-host")
    with page.expect_download() as picture:
        page.click("#plane-plot-1 [data-title='Download as PNG']")
    assert picture.value.path().read_bytes().startswith(b"\x89PNG")
    with page.expect_download() as figure:
        page.click("#plane-plot-1 [data-title='Download as HTML']")
    told = figure.value.path().read_text("utf-8")
    assert "10 virtual tokens from sampled vocabulary" in told and "seed 0" in told
    page.click("#vectors")
    page.wait_for_selector("#download:visible")
    with page.expect_download() as vectors:
        page.click("#download")
    with zipfile.ZipFile(vectors.value.path()) as files:
        numbers, labels = (files.read(name).decode().splitlines() for name in ("vectors.tsv", "labels.tsv"))
    assert len(labels) == len(numbers) + 1 and labels[1].startswith("start\trun 1") and len(numbers[0].split("\t")) == 32
    assert visitor.errors == []
