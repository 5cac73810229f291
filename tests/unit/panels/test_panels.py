"""What all panels have in common."""

import pytest
from panel_cases import made, shown

from app.panels import PANELS


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_before_its_experiment_a_panel_has_no_verdict(lab, panel, run):
    view = shown(made(panel, lab), run)
    assert "verdict" not in view.html and panel.sees.endswith(".") and panel.doubt.endswith(".")
    if panel.button:
        assert view.figure is None
        assert shown(made(panel, lab), run, [], whole=False).html.count("<table") == 0  # begun, nothing found yet


def test_names_of_panels_are_their_own():
    assert len({panel.name for panel in PANELS}) == len(PANELS)
