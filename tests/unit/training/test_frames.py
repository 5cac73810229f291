"""Training inside frames: with the empty frame it is the plain run, one frame is drawn for each step, and none is there afterwards."""

import pytest
import torch
from plain import plain_loss
from steps import assert_same_steps, train
from tiny_models import ARCHITECTURES, Counting, answer_task, label_task, make

from core.errors import LabError
from core.recipe import SETTINGS, Recipe
from core.scoring.rows import encode
from core.scoring.score import score
from core.training.frames import TEXTS, frame_at, longest, training_frames
from core.training.memory import needed_for
from core.training.training import State, Training

PLAIN = Recipe(steps=6, batch_size=4, virtual_tokens=5, warmup=1, end="none")
FRAMED = PLAIN.but(frames="random")
LOSSES = {
    "vocabulary": (PLAIN, answer_task()),
    "labels": (PLAIN.but(loss="labels"), label_task()),
    "imitate": (PLAIN.but(loss="imitate", teacher="jump -> yes\n{input} ->"), answer_task()),
    "encoder": (PLAIN.but(method="encoder", mlp=8), answer_task()),
}


@pytest.mark.parametrize("name", LOSSES)
def test_with_the_empty_frame_alone_it_is_the_plain_run_bit_for_bit(tiny, monkeypatch, name):
    recipe, task = LOSSES[name]
    plain, _ = train(tiny("llama"), recipe, task)
    other, _ = train(tiny("llama"), recipe.but(frames="random"), task)
    assert any(a.loss != b.loss for a, b in zip(plain, other, strict=True))  # with all frames it is another run
    monkeypatch.setattr("core.training.frames.TEXTS", (("", ""),))
    framed, _ = train(tiny("llama"), recipe.but(frames="random"), task)
    assert_same_steps(framed, plain)


@pytest.mark.parametrize("placement", ["before", "after"])
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_loss_in_a_frame_is_the_plain_models_with_the_words_around_the_vectors(tiny, arch, placement):
    lm = tiny(arch, bos=placement == "after")
    training = Training(lm, answer_task(), FRAMED.but(placement=placement))
    frames = training_frames(lm, FRAMED)
    rows = training.prepared.rows[:3]
    before, after = (lm.embed_ids(ids) for ids in frames[2])
    total, tokens = 0.0, 0
    for row in rows:
        words = lm.embed_ids([*training.prepared.shared, *row.prompt, *row.answer])
        lead = len(lm.lead) if placement == "after" else 0
        inputs = torch.cat([words[:lead], before, training.prefix.array(), after, words[lead:]])
        logits = lm.model(inputs_embeds=inputs[None]).logits[0]
        size = len(row.answer)
        total += torch.nn.functional.cross_entropy(logits[-size - 1 : -1], torch.tensor(row.answer), reduction="sum").item()
        tokens += size
    assert training.loss(rows, frames[2]).item() == pytest.approx(total / tokens, abs=1e-5)


def test_a_step_runs_its_frame_once_for_all_rows_and_scores_have_none():
    lm = make("llama")
    runs = []
    for recipe in (PLAIN, FRAMED):
        training = Training(lm, answer_task(), recipe)
        counting = Counting(lm)
        training.advance(training.start(), 2)
        runs.append(counting.runs)
        row = answer_task().held_out[:1]
        (encoded,) = encode(lm, "{input}", row, None)
        plain = plain_loss(lm, training.prefix, [encoded]).item() * len(encoded.answer)
        assert score(lm, training.contender(), row, None).loss == pytest.approx(plain, abs=1e-4)  # scored without a frame
    assert runs[0] == runs[1]


def test_each_step_draws_a_frame_by_the_seed_and_its_number_alone(tiny, monkeypatch):
    training = Training(tiny("llama"), answer_task(), FRAMED)
    used, loss = [], training.loss
    monkeypatch.setattr(training, "loss", lambda rows, frame: used.append(frame) or loss(rows, frame))
    _, state = training.advance(training.start(), 3)
    training.advance(State.from_bytes(state.to_bytes()), 3)
    assert used == [frame_at(training.frames, FRAMED.seed, step) for step in range(6)] and len(set(used)) > 2
    drawn = [training.frames.index(frame_at(training.frames, seed, step)) for seed in (0, 2**31 - 1) for step in range(100)]
    assert set(drawn) == set(range(len(TEXTS))) and drawn[:100] != drawn[100:]


def test_a_pause_changes_nothing(tiny):
    lm, task = tiny("llama"), answer_task()
    whole, end = train(lm, FRAMED, task)
    events, state = [], Training(lm, task, FRAMED).start()
    for _ in range(FRAMED.steps):
        more, state = Training(lm, task, FRAMED).advance(State.from_bytes(state.to_bytes()))
        events += more
    assert_same_steps(events, whole)
    assert all(torch.equal(state.tensors[name], value) for name, value in end.tensors.items())


def test_the_empty_frame_is_one_of_them_and_none_is_asked_about_later(tiny):
    from core.truths.frames import FRAMES

    assert TEXTS[0] == ("", "") and longest(training_frames(tiny("llama"), FRAMED)) > 0 == longest(training_frames(tiny("llama"), PLAIN))
    words = [text.strip() for pair in TEXTS for text in pair if any(map(str.isalpha, text))]
    assert not [text for text in words if any(text.rstrip(".:,") in frame for frame in FRAMES.values())]


def test_a_frame_needs_room_in_the_window_and_in_memory():
    lm, task = make("llama"), answer_task()
    most = lm.window - max(len(row.prompt) + len(row.answer) for row in encode(lm, "{input}", task.train, None))
    Training(lm, task, PLAIN.but(virtual_tokens=most))
    with pytest.raises(LabError, match="positions, the model has 160"):
        Training(lm, task, FRAMED.but(virtual_tokens=most))
    plain, framed = (needed_for(Training(lm, task, recipe)).bytes for recipe in (PLAIN, FRAMED))
    assert framed > plain


def test_only_soft_prompts_have_frames_and_earlier_recipes_had_none():
    assert Recipe.from_dict({"method": "prompt"}).frames == "none"
    assert [SETTINGS["frames"].applies(Recipe(method=method).to_dict()) for method in ("prompt", "encoder", "prefix")] == [
        True,
        True,
        False,
    ]
    with pytest.raises(LabError, match="frames is random, and a K/V prefix has no such setting"):
        Recipe(method="prefix", frames="random")
