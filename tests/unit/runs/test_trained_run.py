"""Training by one call: what comes back says what the run said, shows itself, and lies in a folder as it was; run.json is data."""

import copy
import html
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from tiny_models import answer_task, label_task

import core
from core import LabError, Recipe, train
from core.recipe import default_of
from core.runs import adapter_files
from core.runs import saved_adapter as storage
from core.runs.adapter_files import RUN
from core.runs.record_json import record_to_json
from core.runs.run_file import MOST_READ, read_run, run_file, saved_run
from core.runs.trained_run import NearestTokens, Scores, TrainedRun
from core.scoring.score import Score, score
from core.tasks.task import Example

SHORT = {"steps": 3, "batch_size": 4, "virtual_tokens": 4}


@pytest.fixture(scope="module")
def prompt(lm) -> TrainedRun:
    return train(lm, answer_task(), Recipe(**SHORT), progress=False)


@pytest.fixture(scope="module")
def prefix(lm) -> TrainedRun:
    return train(lm, answer_task(), Recipe(method="prefix", **SHORT), progress=False)


def test_a_run_by_one_call_is_the_run_that_the_parts_make(lm, prompt):
    training = core.Training(lm, answer_task(), prompt.recipe)
    events, _ = training.advance(training.start(), 3)
    assert prompt.losses == [event.loss for event in events]
    assert np.array_equal(prompt.vectors, events[-1].vectors)
    assert list(prompt.scores) == ["learned", "no prompt", "sentence", "example", "always 'yes'"]
    again = score(lm, prompt.learned, answer_task().held_out)
    assert again.accuracy == prompt.scores["learned"].accuracy and again.loss == pytest.approx(prompt.scores["learned"].loss)
    assert isinstance(prompt.answer("jump", most=3), str)
    with pytest.raises(LabError, match="no text to answer"):
        prompt.answer(" ")
    assert prompt.learned.examples == 12 and prompt.learned.seconds == prompt.record.seconds > 0


def test_a_recipe_that_names_no_task_gets_the_tasks_own(lm):
    task = answer_task(recipe=SHORT | {"seed": 5})
    made = train(lm, task, progress=False)
    assert made.recipe.task == "tiny" and made.recipe.seed == 5
    assert train(lm, task, Recipe(task="my rows.csv", **SHORT), progress=False).recipe.task == "my rows.csv"
    assert default_of("task") == "capitals"


def test_progress_is_told_every_event_and_can_end_it(lm):
    seen = []
    made = train(lm, answer_task(), Recipe(**SHORT | {"steps": 50}), progress=seen.append, stopping=lambda: len(seen) > 6)
    assert made.record.step < 50 and "stopped by hand" in made.record.stopped and made.scores
    assert sum(isinstance(event, core.StepEvent) for event in seen) == made.record.step


def test_ctrl_c_keeps_what_was_learned(lm):
    def stop_at(step):
        def tell(event):
            if isinstance(event, core.StepEvent) and event.step == step:
                raise KeyboardInterrupt

        return tell

    made = train(lm, answer_task(), Recipe(**SHORT), progress=stop_at(2))
    assert made.record.step == 2 and "interrupted after step 2" in made.record.stopped and not made.scores
    assert "not scored" in repr(made) and repr(made.scores) == "Scores: none yet"
    assert storage.from_files(made.files(), lm, "x").prefix.virtual_tokens == 4

    def at_once(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(lm, answer_task(), Recipe(**SHORT), progress=at_once)


def test_nearest_tokens_are_shown_with_the_control(prompt, prefix):
    found = prompt.nearest(2)
    assert isinstance(found, NearestTokens) and len(found) == 4 and len(found[0].nearest) == 2
    record = prompt.record
    assert [row.nearest[0][0] for row in found] == [record.texts[ids[0]] for ids in record.readings[-1].ids]
    assert [row.control for row in found] == [record.texts[token] for token in record.readings[-1].control_ids[0]]
    assert "moved equally far at random" in repr(found) and "show only where training started" in repr(found)
    for k in (0, 1001):
        with pytest.raises(LabError, match="choose a whole number from 1 to 1000"):
            prompt.nearest(k)
    with pytest.raises(LabError, match="soft prompts only"):
        prefix.nearest()


def test_places_in_the_plane_are_those_of_every_step(prompt, prefix):
    for made in (prompt, prefix):
        assert made.pca().shape == (4, 4, 2) and made.pca(3).shape == (4, 4, 3)
        assert np.array_equal(made.pca()[-1], made.record.readings[-1].place[:, :2])


def test_everything_shows_itself_shortly(lm, prompt, prefix):
    assert repr(prompt).startswith("TrainedRun('Tiny': 4 learned vectors, 3 steps; ") and "K/V positions" in repr(prefix)
    assert repr(Recipe()) == "Recipe()" and repr(Recipe(method="prefix", steps=9)) == "Recipe(method='prefix', steps=9)"
    assert eval(repr(prompt.recipe)) == prompt.recipe
    assert repr(prompt.scores["no prompt"]).startswith("Score('no prompt', none: ") and len(repr(prompt.scores["no prompt"])) < 100
    assert len(repr(prompt.scores).splitlines()) == 6
    for thing in (lm, answer_task(), prompt.recipe, prompt, prompt.scores, prompt.nearest()):
        assert "<table>" in thing._repr_html_()


def test_what_people_typed_is_escaped_in_a_notebook(lm):
    evil = "<script>hit()</script>"
    task = answer_task(name=evil, slug=evil, train=(Example(evil, "yes"), *answer_task().train[1:]))
    named = Score(evil, evil, 0.5, (0.0, 1.0), None, 4, None, None, 0, 0)
    shown = [task._repr_html_(), Recipe(init="text", init_text=evil)._repr_html_(), Scores({evil: named})._repr_html_()]
    for text in shown:
        assert evil not in text and html.escape(evil) in text


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
def test_a_saved_run_comes_back_from_folder_and_zip(request, lm, tmp_path, kind):
    made = request.getfixturevalue(kind)
    folder = made.save(tmp_path / "run")
    assert {path.name for path in folder.iterdir()} == {*made.files()}
    record = saved_run(folder)
    scores = list(map(without_results, made.record.scores))
    assert record is not None and record_to_json(record) == record_to_json(replace(made.record, scores=scores)) and record.step == 3
    (tmp_path / "run.zip").write_bytes(adapter_files.pack(made.files()))
    assert record_to_json(saved_run(tmp_path / "run.zip")) == record_to_json(record)
    told = json.loads((folder / "recipe.json").read_text())
    assert [row["name"] for row in told["scores"]] == list(made.scores)
    # Saved over by a prompt without a run: nothing stays that tells of the old one.
    adapter_files.save(folder, {name: data for name, data in made.files().items() if name != RUN})
    assert saved_run(folder) is None


def test_a_run_with_labels_comes_back_too(lm):
    record = train(lm, label_task(), Recipe(**SHORT), progress=False).record
    assert read_run(run_file(record)[RUN], "x").scores == list(map(without_results, record.scores))


def test_a_very_long_run_keeps_both_ends_and_a_loss_that_is_no_number(prompt):
    record = copy.copy(prompt.record)
    record.losses = [*record.losses[:2], math.nan]
    record.readings = [record.readings[0], *[record.readings[1]] * (MOST_READ // 4 + 1), record.readings[-1]]
    data = run_file(record)[RUN]
    again = read_run(data, "x")
    assert b"NaN" not in data and math.isnan(again.losses[-1])
    assert len(again.readings) == 2 and np.allclose(again.readings[1].place, record.readings[-1].place, atol=1e-3)


def test_a_changed_run_file_is_refused_in_one_sentence(prompt, prefix):
    """Every value in it, one after another, becomes something else: then it is refused, or still what it must be."""
    evil = "<script>hit()</script>"
    for made in (prompt, prefix):
        good = json.loads(run_file(made.record)[RUN])
        good["readings"] = [good["readings"][0], good["readings"][-1]]
        good["usual"] = good["usual"] and {name: values[:5] for name, values in good["usual"].items()}
        refused = 0
        for path in paths(good):
            for value in (evil, {}) if len(path) > 2 else (evil, None, -1e400, [], {}, True, 10**30):
                bad = copy.deepcopy(good)
                place = bad
                for step in path[:-1]:
                    place = place[step]
                place[path[-1]] = value
                try:
                    record = read_run(json.dumps(bad).encode(), "x")
                except LabError as error:
                    refused += 1
                    assert "not one that this program wrote" in str(error)
                    continue
                for one in (*record.scores, *record.lines, *record.validation.values()):
                    assert all(isinstance(number, int | float) for number in (one.accuracy, one.n, one.positions, one.parameters))
        assert refused > 60
    for data in (b"", b"[]", b"{}", b"null", b"\xff", b"[" * 100_000, b'{"losses": NaN}'):
        with pytest.raises(LabError, match="not one that this program wrote"):
            read_run(data, "x")


def without_results(score):
    return replace(score, results=())


def paths(value, at=()):
    """The first of every kind of place in nested data."""
    if isinstance(value, dict):
        for name, item in list(value.items())[: 9 if at else None]:
            yield (*at, name)
            yield from paths(item, (*at, name))
    elif isinstance(value, list) and value:
        yield (*at, 0)
        yield from paths(value[0], (*at, 0))
