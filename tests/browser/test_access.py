"""Accessibility: axe-core finds nothing serious on any tab, light or dark; the keyboard reaches everything; nothing is
fetched from elsewhere; recordings are there without a model."""

import pytest
from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser

# What Gradio's own components do, which this page can't mend: rule -> (a part of the element's HTML, the reason).
ALLOWED: dict[str, tuple[str, str]] = {}


def tabs(visitor):
    """The names of the pages, as they stand in the first row of tabs."""
    row = visitor.page.locator("[role=tablist]").first
    return [name.strip() for name in row.locator("[role=tab]").all_inner_texts()]


def violations(visitor):
    """What axe-core calls serious or critical, as (rule, element), without what is allowed."""
    found = Axe().run(visitor.page, options={"resultTypes": ["violations"]}).response["violations"]
    serious = [(rule["id"], node["html"]) for rule in found if rule["impact"] in ("serious", "critical") for node in rule["nodes"]]
    return [(rule, html) for rule, html in serious if rule not in ALLOWED or ALLOWED[rule][0] not in html]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious_and_nothing_comes_from_elsewhere(visit, tiny_app, dark):
    visitor = visit(tiny_app, 1280, dark)
    visitor.ready()
    for name in tabs(visitor):
        visitor.tab(name)
        visitor.page.wait_for_timeout(300)
        assert violations(visitor) == [], name
    assert visitor.errors == [] and visitor.elsewhere == []


def test_a_recording_is_on_the_page_with_no_model_at_all(visit, no_model_app):
    visitor = visit(no_model_app)
    page = visitor.page
    assert "no-such-model" in visitor.text("#status")
    assert page.locator("#headline .rung").count() == 4 and page.locator("#chips .chip").count() == 10
    assert page.locator("#samples tbody tr").count() > 3 and "Recorded" in visitor.text("#progress")
    page.fill("#scrubber input[type=number]", "7")
    page.press("#scrubber input[type=number]", "Enter")
    visitor.settle("#plane .plot-note", "step 7")
    page.click("#play")
    page.wait_for_function("document.querySelector('#scrubber input[type=range]').value === '60'")
    stories = page.locator("#gallery .story")
    for number in range(1, stories.count()):
        title = stories.nth(number).locator("b").inner_text()
        stories.nth(number).click()
        page.wait_for_selector(f"#gallery .story[aria-pressed=true] >> text={title}")
        visitor.settle("#progress", "Recorded")
        visitor.shoot(f"recording-{number}")
    visitor.tab("Compare")
    visitor.settle("#contenders", "recording:")
    visitor.settle("#verdict", "against")
    visitor.tab("Inspect")
    visitor.value("#inspect-run input", "recording:")
    visitor.tab("Train")
    page.click("#run-live")
    visitor.settle("#message", "no-such-model")
    assert "Recorded" in visitor.text("#progress")
    assert [error for error in visitor.errors if "503" not in error] == [] and visitor.elsewhere == []  # 503: /healthz, rightly


def test_run_it_live_starts_exactly_the_recording_that_is_shown(visitor):
    page = visitor.page
    page.click("#gallery .story:has-text('K/V prefix')")
    visitor.value("#set-learning_rate input", "0.01")
    assert page.input_value("#task input") == "Capital cities" and page.input_value("#set-method input") == "K/V prefix"
    page.click("#gallery .story:has-text('from a sentence')")
    page.wait_for_selector("#set-init_text", state="visible")
    visitor.value("#set-init_text textarea, #set-init_text input", "Write a short poem")
    visitor.set("steps", "3")  # the recording's recipe counts, not what the controls hold
    page.click("#run-live")
    visitor.run_ends()
    assert "60 steps" in visitor.text("#progress") and not page.is_visible("#run-live")
    visitor.value("#set-steps input", "60")
    assert page.locator("#gallery .story[aria-pressed=true]").count() == 0
    visitor.tab("Inspect")
    visitor.value("#inspect-run input", "Past tense, soft prompt ×9")


def test_the_keyboard_alone_reaches_a_token_a_recording_and_a_plots_table(visitor):
    page = visitor.page
    page.focus("#gallery .story >> nth=0")
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_selector("#gallery .story[data-cell='1'][aria-pressed=true]")
    assert page.evaluate("document.activeElement.dataset.cell") == "1"  # the focus stays where the press was
    page.focus("#chips .chip >> nth=2")
    page.keyboard.press("Space")
    page.wait_for_selector("#chips .chip[data-token='2'][aria-pressed=true]")
    page.focus("#curves .plot-data summary")
    page.keyboard.press("Enter")
    page.wait_for_selector("#curves .plot-data table")
    table = visitor.text("#curves .plot-data")
    assert "training loss" in table and "% right by step" in table and "loss (nats) by step" in table
    losses = page.evaluate("document.querySelector('#curves .plot-host').data.find(t => t.name === 'training loss').y.length")
    assert page.locator("#curves .plot-data tr:has(th:text-is('training loss'))").count() == losses
    page.focus("#scrubber input[type=range]")
    page.keyboard.press("ArrowLeft")
    visitor.settle("#plane .plot-note", "step 59")


def test_light_and_dark_are_one_press_apart_and_stay(visitor):
    page = visitor.page
    colour = "getComputedStyle(document.body).backgroundColor + document.querySelector('#curves .plot-host').layout.font.color"
    light = page.evaluate(colour)
    page.click("#switch button")
    page.wait_for_selector("#switch button[aria-pressed=true]")
    dark = page.evaluate(colour)
    page.reload()
    page.wait_for_selector("#curves .main-svg")
    page.wait_for_selector("#switch button[aria-pressed=true]")
    assert light != dark and page.evaluate(colour) == dark
    page.click("#switch button")
    assert page.evaluate(colour) == light


def test_reduced_motion_stops_every_animation(visitor):
    visitor.page.emulate_media(reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter((e) => getComputedStyle(e).animationName !== 'none').length"
    assert visitor.page.evaluate(moving) == 0
