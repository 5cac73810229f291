"""What the panel seeds says of findings made up for it; `shown` checks that no text becomes markup."""

from panel_cases import HOSTILE, made, shown

from app.panels.seeds import SeedsPanel
from core.probes.seeds import Meeting


def a_meeting(matched, control, same_start=False, same_order=True, agreement=0.75):
    return Meeting(HOSTILE, HOSTILE, same_start, same_order, 0.1, matched, 0.2, control, agreement, 0.5, 0.1, 0.6, 0.7)


def test_seeds_that_match_no_better_than_chance_have_not_met(lab, soft):
    found = [a_meeting(0.3, 0.25), a_meeting(0.3, 0.25), a_meeting(0.99, 0.1, same_start=True)]  # one start: alike by that alone
    html = shown(made(SeedsPanel, lab), soft, found).html
    assert "match at 0.30 on average, random moves of equal length at 0.25: they found different vectors" in html
    assert "agree on 75 %" in html and html.count("<tr>") == 4


def test_seeds_that_match_better_have_come_nearer_than_chance(lab, soft):
    html = shown(made(SeedsPanel, lab), soft, [a_meeting(0.5, 0.25)]).html
    assert "more than by chance" in html and "60 %, 70 %" in html and ">order<" in html


def test_orders_alone_give_no_verdict_on_starts(lab, soft):
    html = shown(made(SeedsPanel, lab), soft, [a_meeting(0.99, 0.9, same_start=True, same_order=False)]).html
    assert "<table" in html and "found different vectors" not in html and "more than by chance" not in html and ">start<" in html
