"""What the panel fits says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

import pytest
from panel_cases import HOSTILE, found_by, look_at, made, shown

from app.panels.fits import FitsPanel
from app.sessions.session import Session
from core.errors import LabError
from core.events import Progress
from core.probes.fits import Aim, Fit, Said

AIM = Aim((HOSTILE, "b", "c"), ("x", HOSTILE, "z"), 1, 32, 340)


def a_fit(step, mine, control):
    return Fit(step, Said(mine, mine, 9.0, HOSTILE, f"w{HOSTILE}"), Said(control, control, 99.0, "", HOSTILE))


def test_what_comes_back_is_told_beside_the_control(lab, run):
    found = [a_fit(0, 0, 0), a_fit(1, 2, 0)]
    so_far = shown(made(FitsPanel, lab), run, [AIM, *found], whole=False)
    assert (
        "<b>2 of 3</b> tokens of your sentence; of as many random tokens, <b>0</b>. First choices after the right tokens: 2 and 0."
        in so_far.html
    )
    assert so_far.figure["title"].startswith("Step 1: 2 of 3 tokens") and so_far.figure["data"][0]["y"] == [0, 2]
    done = shown(made(FitsPanel, lab), run, [AIM, *found, a_fit(2, 3, 1), a_fit(3, 3, 1)])
    assert "One vector makes the model say <b>all 3 tokens</b> of your sentence, for the first time after step 2" in done.html
    assert (
        "of 3 random tokens, <b>1 after step 3</b>" in done.html
        and "3 × log₂ 340 = 25 bits" in done.html
        and "hold 1,024. So there is room" in done.html
    )
    both = shown(made(FitsPanel, lab), run, [replace(AIM, vectors=2), a_fit(4, 3, 3)])
    assert "2 vectors make the model" in both.html and "<b>all 3 after step 4</b>" in both.html


def test_between_two_readings_the_last_words_stay(lab, run):
    silent = Fit(5, Said(1, 1, 1.0), Said(0, 0, 1.0))
    view = shown(made(FitsPanel, lab), run, [AIM, a_fit(4, 1, 0), silent], whole=False)
    assert "After step 4" in view.html and "After step 5, one vector makes" in view.html


@pytest.mark.parametrize(
    "settings", [{"steps": None}, {"steps": 2.5}, {"vectors": "many"}, {"seed": -1}, {"seed": float("nan")}, {"sentence": None}]
)
def test_settings_that_cannot_be_used_are_one_sentence(lab, soft, settings):
    with pytest.raises(LabError, match=r"whole|no sentence"):
        found_by(FitsPanel, lab, soft, **settings)


def test_the_words_that_come_back_are_marked(lab, run):
    found = replace(a_fit(1, 1, 0), sentence=Said(1, 2, 3.0, hits=(True, False, True)))
    html = shown(made(FitsPanel, lab), run, [AIM, found], whole=False).html
    assert html.count('class="right"') == 2 and "Your sentence" in html and "Random tokens: " not in html


def test_it_depends_on_the_model_and_its_settings_but_on_no_run(lab, soft, prefix):
    progress, aim, *found = found_by(FitsPanel, lab, soft)
    assert isinstance(progress, Progress) and isinstance(aim, Aim) and len(found) == 4 == progress.total - 1
    panel, session = made(FitsPanel, lab), Session()
    keys = [panel._key(look_at("fits", run, session=session)) for run in (soft, prefix)]
    assert keys[0] == keys[1] != panel._key(look_at("fits", soft, session=session, seed=1))
    assert panel._key(look_at("fits", soft, session=Session(model="other"))) != keys[0]
