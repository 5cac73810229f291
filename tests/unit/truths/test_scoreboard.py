"""The scoreboard on a tiny model: what a prompt is trained to do, its controls, stopping and continuing, and the file of truths."""

import json
from dataclasses import replace

import pytest
import torch
from generators import returned

from core.errors import LabError
from core.events import Progress
from core.sweeps.result import from_json, to_json
from core.truths.journal import Journal
from core.truths.result import Board, Setting, key_of, lines
from core.truths.scoreboard import PromptDone, Stepped, board_of, head_of, imitated, recipe_of, scoreboard
from core.truths.truths import FILE, Truth, Truths, built_in_truths, load_truths

TRUTHS = Truths(
    "\n{input} gives",
    ("jump", "walk", "play", "run", "shore", "lazy", "seven", "eight"),
    ("sea", "garden"),
    (
        Truth("a", "task", "jump jumped walk walked", ("play played",)),
        Truth("b", "style", "one two three"),
        Truth("c", "task", "France France France"),
    ),
)
SETTINGS = (Setting(3, "vocab", 0), Setting(2, "text", 1))


@pytest.fixture(scope="module", autouse=True)
def short_answers():
    """What is tested here does not depend on how long texts are."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HEARD_TOKENS", "DESCRIBED_TOKENS", "SAMPLES"):
            patch.setattr(f"core.truths.readings.{name}", 1)
        patch.setattr("core.truths.behaviour.ANSWER_TOKENS", 2)
        patch.setattr("core.truths.scoreboard.ANSWER_TOKENS", 2)
        yield


@pytest.fixture(scope="module")
def events(lm):
    return list(scoreboard(lm, TRUTHS, ("a", "b"), SETTINGS, steps=2))


def test_every_truth_has_its_first_prompt_before_any_has_its_second(events):
    assert events[0] == Progress(4)
    done = [event.read for event in events if isinstance(event, PromptDone)]
    assert [(one.truth, one.setting) for one in done] == [(name, setting) for setting in SETTINGS for name in "ab"]
    assert [event.number for event in events if isinstance(event, Stepped)] == [1, 2] * 4
    assert set(done[0].places) == {"learned", "moved", "start", "text"} and set(done[2].places) == {"learned", "moved", "start"}
    assert {place.of for one in done if one.truth == "a" for of in one.places.values() for place in of.values()} == {4}  # one is near it
    assert {place.of for one in done if one.truth == "b" for of in one.places.values() for place in of.values()} == {3}


def test_the_text_itself_is_first_by_every_reading_that_sees_tokens_or_behaviour(events):
    for one in [event.read for event in events if isinstance(event, PromptDone)][:2]:
        assert all(one.places["text"][name].better == 0 for name in ("snapped", "embeddings", "states", "behaviour"))


def test_training_brings_the_behaviour_nearer_and_uses_no_outputs(lm):
    truth = TRUTHS.truths[0]
    _, _, (first, last) = returned(imitated(lm, TRUTHS, truth, SETTINGS[0], steps=25))
    assert last < first / 1.5
    assert {row.output for row in TRUTHS.task(truth).train} == {"-"} and recipe_of(TRUTHS, truth, SETTINGS[0]).continuation == "own"


def test_a_prompt_that_was_read_is_not_made_again(lm, events, tmp_path):
    done = [event.read for event in events if isinstance(event, PromptDone)]
    head = head_of(lm, TRUTHS, 2)
    journal = Journal(tmp_path / "board.jsonl", head)
    journal.add(done[0])
    with journal.path.open("ab") as file:
        file.write(b'{"truth": "b", "sett')  # a kill amid the writing
    again = Journal(tmp_path / "board.jsonl", head)
    assert again.done == {done[0].key: done[0]}
    events = list(scoreboard(lm, TRUTHS, ("a",), SETTINGS[:1], 2, again.done))
    assert events == [Progress(1), PromptDone(done[0], known=True)]
    with pytest.raises(LabError, match="other truths or other settings"):
        Journal(tmp_path / "board.jsonl", head_of(lm, TRUTHS, 3))


def test_the_same_prompt_made_again_is_the_same(lm, events):
    again = [event.read for event in scoreboard(lm, TRUTHS, ("a",), SETTINGS[:1], 2) if isinstance(event, PromptDone)]
    assert again == [event.read for event in events if isinstance(event, PromptDone)][:1]
    assert torch.is_grad_enabled()


def test_a_prompt_that_trains_in_frames_is_another_one_and_earlier_files_had_none(lm):
    plain, framed = SETTINGS[0], replace(SETTINGS[0], frames="random")
    assert from_json(Setting, '{"virtual_tokens": 3, "init": "vocab", "seed": 0}', "a setting") == plain != framed
    assert recipe_of(TRUTHS, TRUTHS.truths[0], framed).frames == "random" and "in random frames" in key_of("a", framed) != key_of(
        "a", plain
    )
    done = [event.read for event in scoreboard(lm, TRUTHS, ("a",), (framed,), 2) if isinstance(event, PromptDone)]
    assert done[0].setting == framed and {"patched", "patched says"} <= set(done[0].places["learned"])


def test_a_board_is_read_back_as_it_was(lm, events):
    made = board_of(lm, TRUTHS, [event.read for event in events if isinstance(event, PromptDone)], 2)
    assert from_json(Board, to_json(made), "a scoreboard") == made
    assert list(made.found) == lines(replace(made, found=()))  # kept, so that a page need not compute it
    assert made.truths == ["a", "b"] and len(made.places("learned", "states")["a"]) == 2 and made.kinds == {"a": "task", "b": "style"}


def test_the_built_in_truths_are_ten_or_more_of_several_kinds():
    truths = built_in_truths()
    assert len(truths.truths) >= 10 and len({one.kind for one in truths.truths}) >= 4
    assert all(one.near and len(truths.candidates(one)) >= 10 for one in truths.truths)
    assert truths.candidates(truths.truths[3])[0] == truths.truths[3].text


def edited(**changes):
    data = json.loads(FILE.read_text("utf-8"))
    return data | changes


@pytest.mark.parametrize(
    "data, said",
    [
        ([1], "This is not a file of truths"),
        (edited(template="no place"), "holds {input} 0 times"),
        (edited(held_out=["winter"]), "none may be in both"),
        (edited(truths=edited()["truths"][:1]), "needs two truths or more"),
        (edited(truths=[*edited()["truths"], {"name": "x", "kind": "task", "text": " "}]), "a text is empty"),
        (edited(truths=[*edited()["truths"], {"name": "x", "kind": "task", "text": edited()["truths"][0]["text"]}]), "the same text"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(tmp_path, data, said):
    path = tmp_path / "truths.json"
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(LabError, match=said):
        load_truths(path)
