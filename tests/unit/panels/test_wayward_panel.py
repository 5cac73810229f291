"""What the panel wayward says of findings made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

import pytest
from made_up import a_score, a_wayward
from panel_cases import HOSTILE, found_by, made, shown

from app.panels.wayward import MOST_WEIGHTS, WaywardPanel, weights
from core.errors import LabError
from core.events import Done
from core.prefix import no_prefix
from core.probes.wayward import Wayward
from core.runs.contest import Scored
from core.scoring.contender import Contender


@pytest.mark.parametrize(("text", "found"), [("0 1 10", [0, 1, 10]), ("0.5, 2,,", [0.5, 2]), (7, [7])])
def test_pulls_are_numbers(text, found):
    assert weights(text) == found


@pytest.mark.parametrize("text", ["", None, "a", "1 b", ",", " ".join("1" * (MOST_WEIGHTS + 1)), [1, 2], {"a": 1}])
def test_pulls_that_are_no_numbers_are_refused(text):
    with pytest.raises(LabError, match=f"1 to {MOST_WEIGHTS} numbers"):
        weights(text)


@pytest.mark.parametrize("steps", [None, 2.5, float("nan"), float("inf"), "many", [3]])
def test_steps_that_are_no_whole_number_are_refused(lab, soft, steps):
    with pytest.raises(LabError, match="whole number"):
        found_by(WaywardPanel, lab, soft, steps=steps)


def wayward(name, right, kept, start="sentence"):
    run = a_wayward(1, start, right, kept, text=HOSTILE)
    return replace(run, contender=Contender(name, "prompt", "{input}", no_prefix()), tokens=(HOSTILE, "b"))


def test_the_best_prompt_that_reads_so_is_told_of(lab, soft):
    runs = [wayward("low", 50, 2), wayward("best", 75, 2), wayward(HOSTILE, 100, 1), wayward("free", 100, 2, "free")]
    so_far = shown(made(WaywardPanel, lab), soft, runs, whole=False, chosen=0)
    assert "So far" in so_far.html and "<b>75 %</b> of 8 validation rows" in so_far.html and so_far.html.count("lit-token") == 4
    assert so_far.html.count("1 of 2") == 2 and so_far.figure["title"].startswith("3 of 4 prompts read exactly")
    final = Scored("held_out", a_score("best", "11110000", "prompt"))
    growing = Scored("held_out", replace(a_score("other", "1", "prompt"), final=False))
    html = shown(made(WaywardPanel, lab), soft, [*runs, growing, final]).html
    assert "So far" not in html and "<b>50 %</b> of 8 held-out rows" in html and html.count('class="contender') == 1
    assert 'class="note big"' not in shown(made(WaywardPanel, lab), soft, runs[2:3]).html  # none reads so


def test_a_prefix_reads_as_nothing(lab, prefix):
    assert "train a soft prompt" in shown(made(WaywardPanel, lab), prefix, [wayward("x", 50, 2)]).html


def test_wayward_prompts_are_trained_step_by_step(lab, soft):
    progress, *found = found_by(WaywardPanel, lab, soft)
    pieces = [event for event in found if isinstance(event, Done | Wayward)]
    assert progress.total == len(pieces) == 3 * (2 + 1) and sum(isinstance(event, Wayward) for event in found) == 3
    assert all(event.final for event in found if isinstance(event, Scored)) and isinstance(found[-1], Scored)
