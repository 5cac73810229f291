"""The Compare page in Chromium over a tiny random model."""

import pytest

pytestmark = pytest.mark.browser


def test_prompts_few_shots_controls_and_seeds_are_scored_and_shown(visitor, tmp_path):
    page = visitor.page
    visitor.train(5)
    visitor.tab("Compare")
    page.fill("#own-prompt textarea", "no place")
    page.click("#score-prompt")
    visitor.settle("#compare-message", "{input} 0 times")
    page.click("#score-all")
    visitor.scored("always")
    page.click("button:has-text('worked examples')")
    page.click("#score-few")
    visitor.scored("mean of 3")
    page.fill("#few-k input", "0")
    page.click("#score-few")
    visitor.settle("#compare-message", "choose a whole number from 1 to 32")
    page.click("button:has-text('variants of a written prompt')")
    page.click("#score-chat")
    visitor.settle("#compare-message", "no chat template")
    page.click("#score-calibrated")
    visitor.settle("#compare-message", "choose a task with labels")
    page.click("button:has-text('seeds and controls')")
    page.click("#score-controls")
    visitor.settle("#contenders", "snapped")
    visitor.scored("random vectors")
    page.click("#more-seeds")
    visitor.scored("seeds of run 1")
    page.click("#train-shuffled")
    visitor.scored("on shuffled answers")
    page.click("#train-untrained")
    visitor.scored("on random weights")
    assert "against" in visitor.text("#verdict") and "No difference" in visitor.text("#verdict")  # a random model knows nothing
    visitor.shoot("compare-contest")
    visitor.tab("Rows")
    page.click("#grid .cell >> nth=0")
    visitor.settle("#cell", "most likely next tokens")
    visitor.scored()
    visitor.shoot("compare-rows")
    visitor.tab("Measures")
    page.wait_for_selector("#reliability .main-svg")
    visitor.tab("Plot")
    page.wait_for_selector("#intervals .main-svg")
    table = visitor.download("#contenders a.download >> nth=0", tmp_path / "table")
    assert "snapped" in table.read_text("utf-8")
    page.hover("#intervals .plot-host")
    figure = visitor.download("#intervals .modebar-btn[data-title='Download as HTML']", tmp_path / "figure")
    assert "Plotly.newPlot" in figure.read_text("utf-8")


def test_a_written_prompt_is_compressed_by_a_run_on_the_train_page(visitor):
    page = visitor.page
    visitor.set("steps", "5")
    visitor.tab("Compare")
    page.click("button:has-text('variants of a written prompt')")
    page.click("#compress")
    visitor.settle("#headline", "give the same answer on")
    visitor.run_ends()
    page.click("#more button >> nth=0")
    visitor.value("#set-teacher textarea", "{input}")
    assert page.locator("#set-end").count() == 0 or not page.is_visible("#set-end")
    visitor.shoot("train-compressed")
    visitor.tab("Compare")
    visitor.settle("#contenders", "of “4 examples, labelled lines”")
    visitor.shoot("compare-compressed")


def test_a_copy_of_a_written_prompt_can_be_edited(visitor):
    visitor.tab("Compare")
    visitor.page.click("#written summary")
    words = visitor.page.locator("#written pre >> nth=1").inner_text()
    visitor.page.click("#written button >> nth=1")
    visitor.value("#own-prompt textarea", words)
