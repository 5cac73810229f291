"""A lesson in Chromium over a tiny random model: bet, run, outcome, why; and a reload that keeps all of it."""

import pytest

pytestmark = pytest.mark.browser


def bet_and_run(visitor, choice=0):
    page = visitor.page
    assert page.is_disabled("#lesson-run"), "nothing runs before a prediction"
    page.click(f"#bet label >> nth={choice}")
    page.click("#lesson-run:not([disabled])")
    page.wait_for_selector("#lesson-outcome .outcome")


def open_at(visitor, query):
    """Go to another address of the page."""
    visitor.ready()
    visitor.page.goto(f"{visitor.address}/{query}")
    visitor.page.wait_for_selector("#lesson-head h2", state="visible")
    visitor.ready()
    visitor.errors.clear()  # the old page's stream may have been cut off, which its Gradio says


def test_a_lesson_from_the_bet_to_the_reason_and_over_a_reload(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    open_at(visitor, "?lesson=starts")
    visitor.settle("#lesson-head", "Where to start, and what goes wrong")
    page.click("#lesson-head [data-cell='2']")
    visitor.settle("#lesson-text", "the input can’t see the vectors")
    bet_and_run(visitor, 1)
    visitor.settle("#lesson-outcome", "too close to call: the model finds another way")
    visitor.settle("#lesson-why", "every gradient is exactly zero")
    visitor.settle("#lesson-result", "right, then misused")
    visitor.settle("#lesson-plot .plot-title", "After step 40")
    visitor.settle("#lessons", "1 of 7 done")
    assert page.is_disabled("#bet input >> nth=0"), "a bet stands"
    assert visitor.errors == [] and visitor.elsewhere == []
    page.click("#lesson-next")
    visitor.settle("#lesson-text", "the vectors can’t see each other")
    page.wait_for_function("document.querySelector('#lesson-outcome').innerText.trim() === ''")
    open_at(visitor, "?lesson=starts")  # at its first part that isn't done
    visitor.settle("#lesson-text", "1. Four starts")
    visitor.settle("#lessons", "1 of 7 done")
    page.click("#lesson-head [data-cell='2']")
    visitor.settle("#lesson-outcome", "too close to call: the model finds another way")
    visitor.shoot("learn")
    assert visitor.errors == [] and visitor.elsewhere == []


def test_the_calculator_and_the_drawing_follow_the_loaded_model(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    open_at(visitor, "?lesson=sizes")
    bet_and_run(visitor)
    page.focus(".block.trained >> nth=0")
    assert page.is_visible(".block:focus .tip")
    assert "[10, 32]: 320 trained parameters" in page.text_content(".block:focus .tip")
    page.click("#lesson-next")
    visitor.settle("#lesson-text", "From a prompt to the whole model")
    bet_and_run(visitor)
    visitor.settle("#sizes-table", "409,600")
    page.fill("#size-tokens input", "20")
    visitor.settle("#sizes-table", "20 × 4,096")
    page.fill("#size-d_model input", "")
    visitor.settle("#sizes-message", "d_model is empty or out of bounds")
    assert visitor.errors == []
    open_at(visitor, "?lesson=%3Cb%3E")
    visitor.settle("#learn-message", "There is no lesson '<b>'")
    assert visitor.errors == []
