"""What the panel textsearch says of rounds and ends made up for it; `shown` checks that no text becomes markup."""

from dataclasses import replace

import gradio as gr
import pytest
from made_up import a_score
from panel_cases import DEFAULTS, HOSTILE, found_by, made, shown

from app.panels.findings import Findings
from app.panels.text_search import CONTINUE, SEARCH, TextSearchPanel
from app.sessions.session import Session
from core.errors import LabError
from core.events import Progress
from core.probes.text_rounds import Round
from core.probes.text_search import Found, Verdict
from core.runs.imitation import Likeness

LIKE = Likeness("text", 1.5, (1.25, 1.75), 3, (0.2, 0.6), 8)


def rounds(start="words", count=2):
    return [Round(start, number, (1, 2), HOSTILE, 4.0 - number, 16) for number in range(count)]


def a_verdict(role, right, text=HOSTILE, kl=1.0):
    return Verdict(role, text, 3, kl, None if role == "learned" else LIKE, a_score(f"{role} {HOSTILE}", right), 9.0 if text else None)


def an_end(words="11110000", random="11110001", learned="11111111", handcrafted="11111110"):
    made = [
        a_verdict("learned", learned, "", None),
        a_verdict("words", words),
        a_verdict("random", random),
        a_verdict("handcrafted", handcrafted, kl=None),
        a_verdict("none", "00000000", "", None),
        a_verdict("words start", "00000001", kl=4.0),
        a_verdict("random start", "00000001", kl=5.0),
    ]
    return Found(tuple(made), 12.5, 8, 40)


def test_while_it_searches_both_texts_are_shown_with_their_divergence(lab, soft):
    view = shown(made(TextSearchPanel, lab), soft, [*rounds(), *rounds("random", 3)], whole=False)
    assert "Round 1, from the nearest words, 3.00 nats" in view.html and "Round 2, from random tokens, 2.00 nats" in view.html
    assert [trace["y"] for trace in view.figure["data"]] == [[4.0, 3.0], [4.0, 3.0, 2.0]] and "<table" not in view.html


def test_the_end_is_told_in_words_beside_all_controls(lab, soft):
    html = shown(made(TextSearchPanel, lab), soft, [*rounds(), *rounds("random"), an_end()]).html
    assert "gets 50 % (22–78) of 8 held-out rows right, the learned prompt 100 % (68–100): too close to call." in html
    assert "no prompt gets 0 % (0–32): too close to call; the text of the same search from random tokens gets 62 %" in html
    assert "from 4.00 to 1.00 nats per token on 8 training rows, 1.50 (1.25–1.75) on held-out rows" in html
    assert "the text 9.0, the handcrafted prompt 9.0, random tokens 12.5" in html and html.count('<th scope="row">') == 7


def test_a_difference_that_is_no_chance_is_told(lab, soft):
    end = an_end("00000000", learned="11111111")
    html = shown(made(TextSearchPanel, lab), soft, [*rounds(), *rounds("random"), end]).html
    assert "the learned prompt 100 % (68–100): the text is clearly worse." in html


def test_a_prefix_is_searched_for_from_random_tokens_only(lab, prefix):
    assert "no nearest words" in shown(made(TextSearchPanel, lab), prefix).html
    progress, *found = found_by(TextSearchPanel, lab, prefix)
    assert isinstance(progress, Progress) and isinstance(found[-1], Found) and {one.start for one in found[:-1]} == {"random"}


def test_a_stopped_search_continues_from_where_it_was(lab, soft):
    with gr.Blocks():
        panel, session = made(TextSearchPanel, lab), Session(runs=[soft])
        panel.build()
    session.inspect.settings["textsearch"] = DEFAULTS["textsearch"]
    look = panel.look(session, soft, [soft])
    whole = [event for event in panel.job(lab.engine.lm, look, None) if isinstance(event, Round)]
    assert panel.paint(session, [soft])[panel.go]["value"] == SEARCH
    stopped = Findings(items=whole[:3], done=3, total=9, running=False)
    panel.found[session.id] = {panel._key(look): stopped}
    painted = panel.paint(session, [soft])
    assert painted[panel.go]["value"] == CONTINUE and "Stopped after 3 of 9." in painted[panel.texts[0]]
    assert panel.paint(session, [soft], working=True)[panel.go] == gr.update(interactive=False, value=SEARCH)
    again = [event for event in panel.job(lab.engine.lm, look, None) if isinstance(event, Round)]
    assert [one.known for one in again] == [True] * 3 + [False] * (len(whole) - 3)
    assert [replace(one, known=False) for one in again] == whole
    stopped.complete = True
    assert panel.paint(session, [soft])[panel.go]["value"] == SEARCH and panel.paint(session, [])[panel.go]["value"] == SEARCH


@pytest.mark.parametrize("settings", [{"rounds": None}, {"rounds": 0}, {"candidates": "many"}, {"seed": -1}, {"rounds": 1e9}])
def test_settings_that_cannot_be_used_are_one_sentence(lab, soft, settings):
    with pytest.raises(LabError, match=r"whole number|give one"):
        found_by(TextSearchPanel, lab, soft, **settings)
