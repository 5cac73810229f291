"""What the panel vectors says of findings made up for it; `shown` checks that no text becomes markup."""

import re

from made_up import an_effect
from panel_cases import look_at, made, shown

from app.panels.vectors import HELPFUL, VectorsPanel
from app.sessions.session import Session
from core.probes.vectors import Removal


def a_removal(vector, adjusted, chosen=False, held_out=None):
    return Removal(vector, an_effect((vector,), -0.5, -0.9, -0.1), adjusted / 3, adjusted, chosen, held_out)


def test_no_vector_is_in_the_way(lab, run):
    found = [a_removal(n, 0.9) for n in (2, 0, 1)]
    html = shown(made(VectorsPanel, lab), run, found, what=HELPFUL, chosen=1).html
    assert "Holm-corrected over 3): no vector is harmful" in html and html.count('<tr class="lit">') == 1
    assert [int(n) for n in re.findall(r'data-token="(\d)"', html)] == [0, 1, 2]
    assert "none is in the way" not in shown(made(VectorsPanel, lab), run, found, whole=False, what=HELPFUL).html  # too early to say


def test_a_vector_in_the_way_is_confirmed_on_held_out_rows(lab, run):
    found = [a_removal(0, 0.9), a_removal(1, 0.01, True, an_effect((1,), -0.25, -0.5, -0.125))]
    html = shown(made(VectorsPanel, lab), run, found, what=HELPFUL).html
    assert "scored once on held-out rows: without vector 2 the loss on held-out rows changes by -0.25 nats (-0.50 to -0.12)" in html
    assert html.count("<td>yes</td>") == 1 and "none is in the way" not in html


def test_effects_leave_the_whole_prompt_out(lab, run):
    found = [an_effect((0, 1, 2), 9.0, 9.0, 9.0, "whole"), an_effect((2,), 0.5, 0.1, 0.9)]
    view = shown(made(VectorsPanel, lab), run, found, chosen=2)
    assert view.figure["title"].endswith("most of all vector 3 (+0.50 nats)") and view.html == ""
    swap = shown(made(VectorsPanel, lab), run, [an_effect((0, 1), 0.0, 0.0, 0.0, "swap")], what="swap").html
    assert ("changes nothing" in swap) == (run.record.kind == "prefix")


def test_only_a_swap_depends_on_the_chosen_vector(lab, soft):
    panel = made(VectorsPanel, lab)
    for what, differ in (("leave out", False), ("swap", True)):
        keys = {panel._key(look_at("vectors", soft, session=Session(chosen=chosen), what=what)) for chosen in (None, 0, 1)}
        assert len(keys) == (3 if differ else 1)
