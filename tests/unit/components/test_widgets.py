"""What components send to the browser."""

import json
import math

from app.components.widgets import drawn


def test_a_diverged_runs_figure_can_be_read_by_a_browser():
    text = drawn({"data": [{"y": [1.0, math.nan, math.inf]}]})
    assert json.loads(text)["data"] == [{"y": [1.0, None, None]}]
