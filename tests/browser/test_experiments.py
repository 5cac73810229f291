"""The Experiments page in Chromium: from press to a click on a cell, pause, stop and continue, a reload, and a phone."""

import pytest

pytestmark = pytest.mark.browser


def own(visitor, values="1, 2", seeds="2", steps="3"):
    """An experiment of one's own over virtual tokens."""
    visitor.ready()
    visitor.tab("Experiments")
    visitor.page.click("#questions li:last-child button")
    visitor.settle("#experiment-head", "Your own experiment")
    visitor.page.fill("#values textarea, #values input", values)
    visitor.page.fill("#experiment-seeds textarea, #experiment-seeds input", seeds)
    visitor.page.fill("#experiment-steps textarea, #experiment-steps input", steps)
    visitor.settle("#experiment-plan", f"× {seeds} seeds")
    visitor.settle("#experiment-plan", "on this device")


def test_from_the_press_to_a_cell_that_is_opened_as_a_run(visit, tiny_app):
    visitor = visit(tiny_app)
    own(visitor)
    visitor.settle("#experiment-plan", "2 settings × 2 seeds = 4 runs, 12 training steps")
    visitor.page.click("#experiment-run")
    visitor.settle("#experiment-progress", "4 of 4 runs done.")
    visitor.settle("#experiment-table", "virtual tokens 2")
    assert visitor.page.locator("#experiment-table td.seeds button").count() == 4
    visitor.settle("#experiment-plot .plot-title", "Best on validation rows: virtual tokens")
    visitor.shoot("experiments")
    visitor.page.click("#experiment-table td.seeds button >> nth=3")
    visitor.page.wait_for_selector("#train:visible")
    visitor.settle("#progress", "3 steps")
    visitor.value("#set-virtual_tokens input", "2")
    visitor.value("#set-seed input", "1")
    visitor.tab("Inspect")
    visitor.value("#inspect-run input", "virtual tokens 2, seed 1")
    assert visitor.errors == [] and visitor.elsewhere == []


def finished(visitor, least):
    """Wait until so many of six runs are done, or more: a page that is busy paints not every number."""
    done = "(least) => +document.querySelector('#experiment-progress').innerText.match(/(\\d) of 6 runs done/)?.[1] >= least"
    visitor.page.wait_for_function(done, arg=least)


def test_pause_reload_resume_and_stop_lose_no_finished_run(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    own(visitor, values="1, 2, 3", steps="300")
    page.click("#experiment-run")
    finished(visitor, 1)
    page.click("#experiment-pause")
    visitor.settle("#experiment-progress", "paused")
    page.reload()
    visitor.ready()
    visitor.errors.clear()  # the old page's stream was cut off, which its Gradio says
    visitor.tab("Experiments")
    visitor.settle("#experiment-table", "virtual tokens 1")
    page.click("#experiment-pause")  # now: Resume
    finished(visitor, 2)
    page.click("#experiment-stop")
    visitor.settle("#experiment-progress", "“Continue” trains the others")
    page.click("#experiment-run:not([disabled])")
    visitor.settle("#experiment-progress", "6 of 6 runs done.")
    assert visitor.errors == [] and visitor.elsewhere == []


def test_a_value_that_can_not_be_used_is_told_in_a_sentence(visit, tiny_app):
    visitor = visit(tiny_app)
    own(visitor)
    visitor.page.fill("#values textarea, #values input", "0, 5")
    visitor.settle("#experiment-message", "virtual tokens is 0: choose a whole number from 1 to 200.")
    visitor.page.fill("#values textarea, #values input", "<img src=x onerror=alert(1)>")
    visitor.settle("#experiment-message", "choose a whole number")
    visitor.page.click("#experiment-run")
    visitor.settle("#experiment-message", "virtual tokens is <img")
    assert visitor.errors == []


def test_a_question_on_a_phone_has_its_textbook_answer_and_no_sideways_scroll(visit, tiny_app):
    visitor = visit(tiny_app, width=390, dark=True)
    visitor.ready()
    visitor.tab("Experiments")
    visitor.settle("#experiment-head", "How many virtual tokens?")
    visitor.settle("#experiment-head", "The textbook:")
    visitor.settle("#experiment-plan", "5 settings × 3 seeds = 15 runs")
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    visitor.shoot("experiments-phone")


def test_what_each_method_forgets_is_measured_on_the_visitors_task(visit, tiny_app):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.set("steps", "2")
    visitor.tab("Experiments")
    visitor.page.click("#questions a:has-text('forget')")
    visitor.page.click("#spectrum-run")
    visitor.settle("#spectrum-progress", "All methods are measured.")
    for words in ("soft prompt", "LoRA", "full fine-tuning"):
        visitor.settle("#spectrum-table", words)
    visitor.settle("#spectrum-finding", "Exactly nothing is forgotten with soft prompt")
    visitor.shoot("methods")
    assert visitor.errors == [] and visitor.elsewhere == []
