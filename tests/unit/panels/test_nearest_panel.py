"""What the panel nearest says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

from panel_cases import made, shown

from app.panels.nearest import NearestPanel


def test_nearest_tokens_stand_beside_the_controls(lab, soft):
    view = shown(made(NearestPanel, lab), soft, chosen=1)
    assert view.html.count("data-token=") == 3 and view.html.count('<tr class="lit">') == 1
    assert view.html.count(" of 3 still the start’s") == 3  # three draws at the end
    assert view.html.count("nearer than") >= 6 and view.html.count("longer than") == 3
    assert "Over all 3 steps" in view.html and view.figure["title"].startswith("0 of 3")
    assert shown(made(NearestPanel, lab), soft, step=1).html.count(" of 1 still the start’s") == 3


def test_nearest_tokens_of_a_prompt_whose_start_is_not_known_have_no_control(lab, soft):
    unknown = replace(soft, record=replace(soft.record, start_known=False))
    view = shown(made(NearestPanel, lab), unknown)
    assert "there is no control" in view.html and "still the start’s</span>" not in view.html and "Over all" not in view.html


def test_a_prefix_has_no_nearest_tokens(lab, prefix):
    view = shown(made(NearestPanel, lab), prefix)
    assert "not word embeddings" in view.html and view.figure is None
