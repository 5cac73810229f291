"""What the panel of keys and values says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

import pytest
from made_up import a_score, an_effect
from panel_cases import HOSTILE, found_by, made, shown, trained

from app.panels.keys_values import LAYERS, KeysValuesPanel
from app.sessions.session import Session
from core.errors import LabError
from core.probes.keys_values import MIXES, LayerSwap, Mixed


def mixed(*rights):
    """The six mixes, with so many of eight rows right."""
    return [
        Mixed(*pair, (a_score("x", "1" * right + "0" * (8 - right)),) * (3 if "random" in pair else 1))
        for pair, right in zip(MIXES, rights, strict=False)
    ]


@pytest.mark.parametrize(
    ("rights", "words"),
    [
        ((8, 0, 8, 0, 0, 1), "Its values alone keep 100 % right, its keys alone 0 %: a clear difference on 8 rows"),
        ((8, 8, 0, 0, 0, 1), "Its keys alone keep 100 % right, its values alone 0 %: a clear difference on 8 rows"),
        ((8, 4, 5, 0, 0, 1), "Its keys alone keep 50 % right, its values alone 62 %: no clear difference on 8 rows"),
        ((8, 4), "Which carry the task"),
    ],
)
def test_the_title_says_which_part_keeps_more_where_rows_can_tell(lab, prefix, rights, words):
    view = shown(made(KeysValuesPanel, lab), prefix, mixed(*rights))
    assert view.figure["title"].startswith(words) and view.html.count("<tr>") == 1 + len(rights)


def test_of_two_tasks_both_are_shown(lab, prefix):
    other = replace(prefix, name="other")
    found = [*mixed(8, 0, 8, 0, 0, 0), *(replace(one, of_other=True) for one in mixed(0, 8, 0, 8, 0, 0))]
    view = shown(made(KeysValuesPanel, lab), prefix, found, other="other", runs=(other,))
    assert [len(trace["x"]) for trace in view.figure["data"]] == [6, 6] and "rows of" in view.html


def test_layers_are_told_by_part(lab, prefix):
    found = [
        LayerSwap(layer, part, an_effect((), float(layer + part), 0.1, 2.0), an_effect((), 0.2, 0.0, 1.0))
        for layer in (0, 1)
        for part in (0, 1)
    ]
    view = shown(made(KeysValuesPanel, lab), prefix, found, how=LAYERS)
    assert view.figure["title"] == "Costliest: other keys in layer 1 (+1.00 nats), other values in layer 1 (+2.00 nats)"
    assert shown(made(KeysValuesPanel, lab), prefix, found[:1], whole=False, how=LAYERS).figure


def test_a_prefix_is_mixed_with_its_start_or_with_another_run(lab, soft, prefix):
    lm, other = lab.engine.lm, trained(lab, "prefix", name="other", seed=5)
    progress, *found = found_by(KeysValuesPanel, lab, prefix)
    assert progress.total == len(found) == len(MIXES)
    progress, *found = found_by(KeysValuesPanel, lab, prefix, how=LAYERS, other="other", session=Session(runs=[other, prefix, soft]))
    assert progress.total == len(found) == 2 * lm.layers
    panel = made(KeysValuesPanel, lab)
    panel.defaults = {"how": "", "other": ""}
    assert panel.refresh(Session(runs=[other, prefix, soft]), [prefix])["other"]["choices"] == ["its own start", "other"]


def test_what_is_not_there_is_said(lab, soft, prefix):
    assert "no keys and values" in shown(made(KeysValuesPanel, lab), soft).html and found_by(KeysValuesPanel, lab, soft) == []
    with pytest.raises(LabError, match="no such prefix"):
        found_by(KeysValuesPanel, lab, prefix, other=f"gone {HOSTILE}")
    with pytest.raises(LabError, match="start is not known"):
        found_by(KeysValuesPanel, lab, replace(prefix, record=replace(prefix.record, start_known=False)))
