"""The recorded runs: whole, small, made as their recipes say, and showing what the page says that they show."""

import pytest

from app.sessions.session_run import recorded_run, recording_name, recording_named
from app.view.ladder import ladder
from app.view.progress import gallery, progress
from app.view.text import day, percent
from core import LabError
from core.runs.recordings import FOLDER, listed, recorded, recordings
from core.scoring.score import best_handcrafted, learned_score
from core.tasks.load import load_task

MOST_BYTES = 300_000


def accuracies(record):
    """(learned, best instruction, best worked examples) on held-out rows."""
    rows = record.scores
    learned = learned_score(rows).accuracy
    return learned, *(best_handcrafted(score for score in rows if bool(score.examples) is shown).accuracy for shown in (False, True))


def test_all_that_are_listed_are_there_and_nothing_else():
    assert len(recordings()) >= 6 and recordings() == listed()
    assert {path.stem for path in FOLDER.glob("*.json")} == {one.slug for one in recordings()} | {"recipes"}
    with pytest.raises(LabError, match="no recording 'x'"):
        recorded("x")


@pytest.mark.parametrize("slug", [one.slug for one in listed()])
def test_a_recording_is_whole_and_small_and_says_how_it_was_made(slug):
    run = recorded_run(slug)
    assert run is not None and run is recorded_run(slug) and run is recording_named(run.name)  # read once
    record, recipe = run.record, run.recipe
    assert record.finished and not record.stopped and len(record.readings) == record.step + 1 == recipe.steps + 1
    assert record.recipe == recipe.to_dict()
    assert {score.kind for score in record.scores} == {record.kind, "none", "handcrafted", "majority"}
    assert len(record.lines) == 1 + len(run.task.handcrafted)
    assert list(record.held_out.values()) == record.scores
    for score in record.scores:
        assert sum(result.correct for result in score.results) / score.n == pytest.approx(score.accuracy) and len(score.results) == score.n
    assert set(record.recorded) == {"date", "version", "libraries", "machine"} and len(record.base["weights"]) == 64
    assert set(record.vectors) == ({0, -1} if record.kind == "prompt" else set())
    assert (FOLDER / f"{slug}.json").stat().st_size < MOST_BYTES


def test_ten_vectors_do_what_four_examples_do_on_past_tense():
    record = recorded("past-tense")
    learned, instruction, examples = accuracies(record)
    assert learned > instruction + 0.4 and learned > examples - 0.1 and record.difference.p > 0.05


def test_on_numbers_in_words_the_vectors_are_far_ahead():
    record = recorded("number-words")
    assert accuracies(record)[0] > max(accuracies(record)[1:]) + 0.3 and record.difference.p < 0.001


def test_on_capitals_written_words_stay_ahead():
    told = recorded("capitals").difference
    assert told.difference < 0 and told.p < 0.05


def test_french_is_not_taught():
    assert max(score.accuracy for score in recorded("french").scores) < 0.2


def test_the_poem_still_reads_as_a_poem_and_gives_past_tenses():
    record = recorded("past-tense-poem")
    words = [record.texts[ids[0]].strip() for ids in record.readings[-1].ids]
    assert " ".join(words) == record.recipe["init_text"]
    assert accuracies(record)[0] > 0.8


def test_the_prefix_knows_its_training_rows_and_gains_nothing_by_it():
    prefix, soft = recorded("capitals-prefix"), recorded("capitals")
    assert sum(prefix.losses[-5:]) / 5 < 0.5 * sum(soft.losses[-5:]) / 5
    assert accuracies(prefix)[0] < accuracies(soft)[0] + 0.1


def test_the_page_says_that_it_is_a_recording_and_how_it_was_made():
    run = recorded_run()
    told = progress(run.record, "recorded", 0, None)
    assert "Recorded" in told and "SmolLM2-135M-Instruct" in told
    assert day(run.record.recorded["date"]) in told and run.record.base["weights"][:12] in told
    assert recording_name(recordings()[0]) == run.name


def test_the_ladder_says_the_records_own_numbers_and_prompts():
    run = recorded_run()
    told = ladder(run.record.scores, run.task, run.record)
    learned, instruction, examples = accuracies(run.record)
    for share in (0.0, instruction, examples, learned):
        assert f"<strong>{percent(share)}</strong>" in told
    assert told.count("<li") == 4 and told.count("■") == 10 and load_task("past-tense").held_out[0].input in told
    assert ladder(run.record.lines, run.task, run.record) == ""  # nothing learned yet


def test_the_gallery_marks_the_one_that_is_shown():
    one = recordings()[1]
    told = gallery(recordings(), one.recipe)
    assert told.count("<button") == len(recordings()) and told.count('aria-pressed="true"') == 1
    assert f'data-cell="1" aria-pressed="true"><b>{one.title}' in told
    assert gallery([], None) == ""
