"""What the model says of its prompt: every step is asked about next to its controls, once, and no text becomes markup."""

from dataclasses import replace

import pytest
from panel_cases import HOSTILE, found_by, look_at, made, shown, trained

from app.panels.describes import DescribesPanel, true_text
from app.panels.findings import Findings
from app.sessions.session import Session
from core.errors import LabError
from core.events import Progress
from core.prefix import prefix_of
from core.truths.describe import Described, Question, say
from core.truths.frames import frames_of

ANSWERS = [
    Described("start", 0, "a"), Described("text", 0, f"words {HOSTILE}"),
    Described("learned", 3, f"c\n{HOSTILE}"), Described("moved", 3, "x"),
    Described("learned", 1, "b"), Described("moved", 1, "x"), Described("learned", 2, "b"), Described("moved", 2, "x"),
]  # fmt: skip


def test_the_answers_of_a_step_are_next_to_its_controls_and_their_course_is_below(lab, soft):
    panel = made(DescribesPanel, lab)
    view = shown(panel, soft, ANSWERS, step=3)
    assert "the prompt after step 3" in view.html and "<td>c⏎&lt;img" in view.html and view.figure is None
    assert all(name in view.html for name in ("its start, moved as far at random", "its start, untrained", "first written prompt"))
    assert "3 different answers at 4 steps" in view.html and ">1–2<" in view.html and ">0<" in view.html
    earlier = shown(panel, soft, ANSWERS, step=2).html
    assert "the prompt after step 2" in earlier and "<td>b</td>" in earlier
    untrained = shown(panel, soft, ANSWERS, step=0).html
    assert "the prompt after step" not in untrained and "its start, untrained" in untrained
    some = shown(panel, soft, ANSWERS[:4], whole=False, step=2).html  # step 2 is not asked about yet
    assert "the prompt after step 3" in some and "at 2 steps" not in some


def test_every_recorded_step_is_asked_about_with_its_controls(lab, soft):
    progress, *found = found_by(DescribesPanel, lab, soft)
    assert progress == Progress(len(found)) and not any(one.known for one in found)
    asked = {(one.source, one.step) for one in found}
    assert asked == {("start", 0), ("text", 0), *((source, step) for source in ("learned", "moved") for step in (1, 2, 3))}
    assert next(one.step for one in found if one.source == "learned") == 3  # the step of the slider first


def test_after_a_stop_only_what_is_missing_is_asked(lab, soft, monkeypatch):
    panel, session = made(DescribesPanel, lab), Session()
    look = look_at("describes", soft, session=session)
    _, *whole = panel.job(lab.engine.lm, look, None)
    panel.found[session.id] = {panel._key(look): Findings(items=whole[:5])}
    asked = []
    monkeypatch.setattr("core.truths.describe.say", lambda lm, question, contender: asked.append(contender) or "new")
    _, *again = panel.job(lab.engine.lm, replace(look, step=1), None)
    assert len(asked) == len(whole) - 5 and len(again) == len(whole)
    assert {(one.source, one.step, one.text) for one in again if one.known} == {(one.source, one.step, one.text) for one in whole[:5]}


def test_a_prompt_of_a_texts_own_tokens_says_what_the_text_says(lab, soft):
    lm = lab.engine.lm
    look = look_at("describes", soft)
    words, what = true_text(look)
    assert words == "Word:" and "not trained to imitate" in what
    texts = {one.source: one.text for one in found_by(DescribesPanel, lab, soft)[1:] if one.step == 0}
    own = replace(look.learned, prefix=prefix_of(look.record.method, lm.embed_ids(lm.tokenise(words))))
    assert say(lm, Question(frames_of(lm)["means"]), own) == texts["text"]


def test_of_a_run_that_imitates_the_text_is_its_teachers(lab):
    run = trained(lab, loss="imitate", teacher="Answer yes to {input} ->", template="{input} ->")
    assert true_text(look_at("describes", run)) == ("Answer yes to", "its teacher’s words")
    assert true_text(look_at("describes", trained(lab, loss="imitate", teacher="{input} ->", template="{input} ->")))[0] == "->"


def test_a_layer_changes_what_is_asked_and_a_wrong_one_is_refused(lab, soft):
    panel = made(DescribesPanel, lab)
    keys = {panel._key(look_at("describes", soft, source=source, layer=layer)) for source in (0, 1) for layer in (0, 1)}
    assert len(keys) == 4
    for settings, said in (
        ({"source": 9}, "has states 0 to 2, not 9"), ({"layer": 2}, "has the layers 0 to 1"), ({"layer": "x"}, "choose one from the list"),
        ({"frame": HOSTILE}, "holds § 0 times"), ({"frame": "chat"}, "no chat template"),
    ):  # fmt: skip
        with pytest.raises(LabError, match=said):
            found_by(DescribesPanel, lab, soft, **settings)


def test_of_a_prefix_it_is_said_that_there_is_nothing_to_patch(lab, prefix):
    assert "nothing to put into a sentence or to patch" in shown(made(DescribesPanel, lab), prefix).html
    with pytest.raises(LabError, match="choose a soft prompt"):
        found_by(DescribesPanel, lab, prefix)
