"""What the panel between says of findings made up for it; `shown` checks that no text becomes markup."""

import re
from dataclasses import replace

import pytest
from made_up import a_score
from panel_cases import HOSTILE, found_by, made, shown, trained

from app.panels.between import ALIKE, MOVE, BetweenPanel
from app.sessions.session import Session
from core.errors import LabError
from core.probes.between import Along, Patched


def score_of(right):
    return a_score("x", "1" * right + "0" * (8 - right))


def test_a_line_tells_of_a_hump_only_when_it_is_done(lab, run):
    losses = [0.5, 2.5, 0.5]
    found = [Along(share, replace(score_of(4), loss=loss)) for share, loss in zip((0.0, 0.5, 1.0), losses, strict=True)]
    panel = made(BetweenPanel, lab)
    assert "rises 2.00 nats" in shown(panel, run, found, other=HOSTILE).figure["title"]
    flat = [replace(one, score=replace(one.score, loss=0.5)) for one in found]
    assert "No hump" in shown(panel, run, flat).figure["title"]
    assert "No hump" not in shown(panel, run, flat[:1], whole=False).figure["title"]


def test_single_vectors_put_into_another_stand_in_a_table_beside_their_controls(lab, soft):
    other = replace(soft, name=f"other {HOSTILE}")
    found = [
        Patched((), "learned", score_of(8), score_of(0)), Patched((1,), "learned", score_of(2), score_of(6)),
        Patched((0,), "learned", score_of(4), score_of(4)), Patched((0,), "control", score_of(8), score_of(0)),
        Patched((0, 1), "learned", score_of(0), score_of(8)),
    ]  # fmt: skip
    view = shown(made(BetweenPanel, lab), soft, found, how=MOVE, other=other.name, chosen=0, runs=(other,))
    rows = re.findall(r'data-token="(\d)".*?</tr>', view.html)
    assert rows == ["0", "1"] and view.html.count('<tr class="lit">') == 1  # single ones alone, in order
    first, second = (re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in view.html.split("data-token=")[1:])
    assert first == ["50 %", "50 %", "0 %", "100 %"] and second == ["75 %", "25 %", "–", "–"]
    assert view.figure["title"].startswith("One vector alone: number 2")
    assert shown(made(BetweenPanel, lab), soft, found[:1], how=MOVE, other=other.name, runs=(other,)).html == ""


def test_cosines_of_all_vectors_begin_with_the_run_that_is_shown(lab, soft, prefix):
    other, panel = trained(lab, name="other", seed=5), made(BetweenPanel, lab)
    progress, finding = found_by(BetweenPanel, lab, soft, session=Session(runs=[other, prefix, soft]), how=ALIKE)
    values, names, sizes = finding.value
    assert progress.total == 1 and names == [HOSTILE, "other"] and sizes == [3, 3] and values.shape == (6, 6)
    view = shown(panel, soft, [(values, names, sizes)], how=ALIKE, chosen=2)
    assert view.figure["title"] == "Similarity among 6 vectors of 2 prompts"


@pytest.mark.parametrize(
    ("settings", "words"), [({"how": MOVE}, "only be put into another learned prompt"), ({"other": "gone"}, "no such prompt")]
)
def test_another_prompt_that_is_not_there_is_refused(lab, soft, settings, words):
    with pytest.raises(LabError, match=words):
        found_by(BetweenPanel, lab, soft, session=Session(runs=[soft]), **settings)
    unknown = replace(soft, record=replace(soft.record, start_known=False))
    with pytest.raises(LabError, match="start is not known"):
        found_by(BetweenPanel, lab, unknown)
