"""Try it in Chromium over a tiny random model: recorded answers at once, real ones as one types, a strip that is muted."""

import pytest

pytestmark = pytest.mark.browser


def test_answers_follow_what_is_typed_and_what_is_muted(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    assert page.input_value("#try-input textarea, #try-input input") == "die"
    assert page.locator("#try-answers .try").count() == 4 and "died" in visitor.text("#try-answers .learned")
    assert page.locator("#machine .strip").count() == 10
    page.focus("#machine .strip[data-token='2']")
    page.keyboard.press("Enter")
    page.wait_for_selector("#machine .strip.chosen[data-token='2']")
    page.wait_for_selector("#chips .chip[aria-pressed=true][data-token='2']")
    page.click("#mute button:has-text('Mute vector 3')")
    page.wait_for_selector("#machine .strip.muted[data-token='2']")
    page.click("#machine .strip[data-token='2']", modifiers=["Shift"])
    page.wait_for_selector("#machine .strip.chosen:not(.muted)[data-token='2']")
    visitor.ready()
    visitor.train(4)
    page.click("#surprise")
    page.wait_for_function("document.querySelector('#try-input input, #try-input textarea').value !== 'die'")
    page.wait_for_function("document.querySelectorAll('#try-answers .try details').length === 4")
    page.fill("#try-input textarea, #try-input input", "apple")
    visitor.settle("#try-answers", "known for rows of the task only")
    page.wait_for_function("document.querySelectorAll('#try-answers .try details').length === 4")
    page.click("#try-answers .learned summary")
    assert page.locator("#try-answers .learned .nexts li:visible").count() == 3
    assert visitor.errors == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_first_screen_shows_the_machine_the_curve_and_the_scores(visit, tiny_app, dark):
    page = visit(tiny_app, 1280, dark).page
    page.set_viewport_size({"width": 1280, "height": 800})
    for part in ("#task", "#train", "#machine svg", "#try-answers .learned", "#curves .plot-host", "#headline .rung.mine"):
        box = page.locator(part).bounding_box()
        assert box and box["y"] + box["height"] <= 800, part
