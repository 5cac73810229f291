"""What components send to the browser."""

import json
import math
import re

from app.components.widgets import FLAT, PLOTLY, drawn


def test_a_diverged_runs_figure_can_be_read_by_a_browser():
    text = drawn({"data": [{"y": [1.0, math.nan, math.inf]}]})
    assert json.loads(text)["data"] == [{"y": [1.0, None, None]}]


def test_both_scripts_of_plotly_are_of_one_version():
    heads = [path.read_text("utf-8")[:200] for path in (FLAT / "plotly-cartesian.min.js", PLOTLY / "plotly.min.js")]
    versions = [re.findall(r"plotly\.js.* v([\d.]+)", head) for head in heads]
    assert versions[0] == versions[1] != [], "get the bundle plotly.js-cartesian-dist-min of the version that plotly's package carries"
