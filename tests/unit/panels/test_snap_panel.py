"""What the panel snap says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

from made_up import a_score, an_effect
from panel_cases import HOSTILE, made, shown

from app.panels.snap import EACH, SnapPanel


def test_snapping_says_what_is_left_of_the_gain(lab, soft):
    whole, words, none = (
        a_score("learned", "1" * 8, "prompt"),
        a_score("snapped: learned", "11110000", "prompt"),
        a_score("no prompt", "0" * 8, "none"),
    )
    html = shown(made(SnapPanel, lab), soft, [HOSTILE, whole, words, none, a_score(HOSTILE, "11000000")]).html
    assert "Keeps 50% of the gain" in html and "&lt;img" in html and html.count('class="contender') == 4
    html = shown(made(SnapPanel, lab), soft, ["text", none, replace(whole, results=none.results), words]).html
    assert "Not defined" in html  # a prompt without a gain
    assert "Retention" not in shown(made(SnapPanel, lab), soft, ["text", whole, words], whole=False).html


def test_snapping_one_at_a_time_is_a_figure(lab, soft, prefix):
    found = [an_effect((0, 1, 2), 0.0, 0.0, 0.0, "whole"), an_effect((1,), 0.5, 0.1, 0.9, "snap")]
    figure = shown(made(SnapPanel, lab), soft, found, how=EACH).figure
    assert figure["title"].startswith("1 of 1 changes") and figure["data"][0]["x"] == [1]
    assert "no words to snap to" in shown(made(SnapPanel, lab), prefix, found).html
