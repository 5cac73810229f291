"""The Train page in Chromium over a tiny random model: runs, the scrubber, bad settings, reloads, narrow screens."""

import pytest
from visitor import Visitor

pytestmark = pytest.mark.browser


def test_a_recorded_run_is_there_before_anything_is_pressed(visit, tiny_app):
    visitor = visit(tiny_app)
    assert "Recorded" in visitor.text("#progress")
    assert "held-out rows right" in visitor.text("#headline .headline")
    assert visitor.page.locator("#chips .chip").count() == 10
    visitor.page.wait_for_selector("#plane .main-svg")
    assert visitor.errors == [] and visitor.elsewhere == []


def test_train_pause_step_resume_and_stop(visitor):
    visitor.page.click("#step")  # begins a run of one step
    visitor.settle("#progress", "Paused at step 1 of")
    visitor.page.click("#stop")
    visitor.run_ends()
    visitor.set("steps", "9000")  # a tiny model takes milliseconds a step
    visitor.page.click("#train")
    visitor.settle("#progress", "left")
    visitor.page.click("#pause")
    visitor.settle("#progress", "Paused at step")
    visitor.page.wait_for_timeout(600)  # what was under way when Pause was pressed may come after it; the last word is said then
    visitor.settle("#progress", "Paused at step")
    paused = int(visitor.text("#progress").split("step ")[1].split()[0])
    visitor.page.click("#step")
    visitor.settle("#progress", f"Paused at step {paused + 1} of 9000")
    for _ in range(2):  # again, while the answer to the first press still follows the run
        visitor.page.click("#pause")  # now: Resume
        visitor.settle("#progress", "left")
        visitor.page.click("#pause")
        visitor.settle("#progress", "Paused at step")
    visitor.page.click("#pause")
    visitor.settle("#progress", "left")
    visitor.page.click("#stop")
    visitor.run_ends()
    assert "You stopped it" in visitor.text("#progress")
    assert "held-out rows" in visitor.text("#bars")


def test_a_double_click_is_one_press_but_where_a_button_is_meant_to_be_pressed_again(visitor):
    visitor.set("steps", "200")
    visitor.page.dblclick("#train")
    visitor.settle("#progress", "left")
    assert visitor.text("#message").strip() == ""
    visitor.page.click("#stop")
    visitor.run_ends()
    visitor.page.dblclick("#step")
    visitor.settle("#progress", "Paused at step 2 of")
    visitor.page.click("#stop")
    visitor.run_ends()
    assert visitor.errors == []


def test_zoom_survives_training_and_every_step_is_painted_without_a_new_plot(visitor):
    page = visitor.page
    page.evaluate("window.before = document.querySelector('#plane .plot-host')")
    page.evaluate("Plotly.relayout(document.querySelector('#plane .plot-host'), {'xaxis.range': [-1, 1], 'yaxis.range': [-1, 1]})")
    visitor.train(30)
    assert page.evaluate("document.querySelector('#plane .plot-host').layout.xaxis.range") == [-1, 1]
    assert page.evaluate("window.before === document.querySelector('#plane .plot-host')")
    losses = page.evaluate("document.querySelector('#curves .plot-host').data.find(t => t.name === 'training loss').y")
    assert len(losses) == 30


SCRUB = """() => {
  const bar = document.querySelector('#scrubber input[type=range]');
  bar.value = 20;
  bar.dispatchEvent(new Event('input', {bubbles: true}));
}"""


def test_a_scrub_while_the_page_is_still_opening_stays(chromium, tiny_app):
    context = chromium.new_context()
    visitor = Visitor(context.new_page(), tiny_app)
    visitor.page.goto(tiny_app)
    visitor.page.wait_for_selector("#curves .main-svg")
    assert visitor.page.query_selector("#status .ok") is None
    visitor.page.evaluate(SCRUB)
    visitor.ready()
    visitor.settle("#plane .plot-note", "step 20")
    assert visitor.page.input_value("#scrubber input[type=range]") == "20"
    visitor.page.click("#chips .chip >> nth=3")
    visitor.page.wait_for_function("document.querySelector('#plane .plot-host').data.at(-1).marker.size[3] === 16")
    assert "step 20" in visitor.text("#plane .plot-note")
    context.close()


def test_scrub_back_and_a_click_on_a_token_lights_it_everywhere(visit, tiny_app):
    visitor = visit(tiny_app)
    page = visitor.page
    page.evaluate(SCRUB)
    visitor.settle("#plane .plot-note", "step 20")
    page.click("#chips .chip >> nth=3")
    page.wait_for_selector("#chips .chip[aria-pressed=true][data-token='3']")
    page.wait_for_function("document.querySelector('#plane .plot-host').data.at(-1).marker.size[3] === 16")
    visitor.tab("Inspect")
    page.click("#nearest-text-1 button[data-token='5']")
    page.wait_for_selector("#nearest-text-1 tr.lit button[data-token='5']")
    visitor.tab("Train")
    page.wait_for_selector("#chips .chip[aria-pressed=true][data-token='5']")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("virtual_tokens", "0", "virtual tokens is 0"),
        ("virtual_tokens", "10000", "virtual tokens is 10000"),
        ("learning_rate", "0", "learning rate is 0"),
        ("learning_rate", "11", "learning rate is 11"),
        ("learning_rate", "", "learning rate is empty"),
        ("steps", "-3", "steps is -3"),
        ("steps", "2.5", "steps is 2.5"),
    ],
)
def test_a_bad_setting_gets_a_sentence_and_changes_nothing(visit, tiny_app, name, value, told):
    visitor = visit(tiny_app)
    before = visitor.text("#headline .headline")
    visitor.set(name, value)
    visitor.page.click("#train")
    visitor.settle("#message", told)
    assert visitor.text("#headline .headline") == before
    assert visitor.page.is_enabled("#train")


def test_two_tabs_do_not_see_each_other(visit, tiny_app):
    one, two = visit(tiny_app), visit(tiny_app)
    one.ready()
    one.train(4)
    assert "Recorded" in two.text("#progress")
    two.tab("Inspect")
    two.page.wait_for_timeout(300)
    assert "recording" in two.page.input_value("#inspect-run input")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (768, False), (1280, False), (1280, True), (1920, False)])
def test_no_page_is_wider_than_the_screen(visit, tiny_app, width, dark):
    visitor = visit(tiny_app, width, dark)
    for name in ("Train", "Compare", "Inspect", "Experiments", "Your task", "Learn"):
        visitor.tab(name)
        visitor.page.wait_for_timeout(400)
        visitor.shoot(f"{name.lower()}-{width}-{'dark' if dark else 'light'}")
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= width + 2
    assert visitor.errors == []


def test_a_reload_in_mid_run_goes_on_where_it_was(visitor):
    page = visitor.page
    visitor.set("steps", "9000")
    visitor.set("virtual_tokens", "7")
    page.click("#train")
    visitor.settle("#progress", "left")
    page.reload()
    page.wait_for_selector("#curves .main-svg")
    visitor.settle("#progress", "Paused at step")
    visitor.errors.clear()  # the old page's stream was cut off, which its Gradio says
    assert page.input_value("#set-virtual_tokens input") == "7" and not page.is_visible("#offer")
    step = int(visitor.text("#progress").split("step ")[1].split()[0])
    page.click("#pause")  # now: Resume
    visitor.settle("#progress", "left")
    page.click("#stop")
    visitor.run_ends()
    assert page.evaluate("document.querySelector('#curves .plot-host').data.find(t => t.name === 'training loss').x.at(-1)") > step


def test_a_closed_tab_can_be_brought_back(visitor):
    visitor.train(4)
    again = visitor.page.context.new_page()
    visitor.page.close()
    visitor.page = again
    for _ in range(20):  # until the server has noticed
        visitor.open()
        visitor.page.wait_for_timeout(1000)
        if visitor.page.is_visible("#offer"):
            break
    visitor.settle("#offer", "step 4 of 4")
    visitor.page.click("#bring-back")
    visitor.settle("#progress", "s of training")
    assert not visitor.page.is_visible("#offer")
