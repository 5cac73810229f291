"""Figures of the Inspect page: what they count, what they light up, and that no text in them becomes markup."""

import json
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from made_up import HOSTILE, a_lens, a_view, a_wayward, an_attention, an_effect, percent
from tiny_models import answer_task, make, random_prefix

from app.components.widgets import drawn
from app.view import colours, figures
from core.probes.between import Along, Patched
from core.probes.fits import Aim, Fit, Said
from core.probes.hears import hear
from core.probes.layers import LayerEffect
from core.probes.salience import Salience
from core.probes.text_rounds import Round
from core.recipe import Recipe
from core.runs.readings import Reading
from core.runs.record import new_record
from core.scoring.contender import Contender


def known(value):
    """Nothing in the figure is unknown to plotly, no text in it is markup, and a browser can read it. Title and note are plain."""
    made = go.Figure(data=value["data"], layout=value["layout"])  # raises for an unknown attribute
    assert len(made.data) == len(value["data"]) > 0
    json.loads(drawn(value), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    figure = json.dumps([value["data"], value["layout"]], default=float)
    assert "<b>" not in figure and "<script" not in figure and "<s" not in figure
    return value


# --- the strip of nearest tokens --------------------------------------------------------------------------------------------


def a_record(ids, moved=None, loaded=False):
    """A record whose vectors' nearest tokens at each step are ids[step][vector]."""
    record = new_record(answer_task(), Recipe(task="tiny", virtual_tokens=len(ids[0]), steps=len(ids)))
    count = len(ids[0])
    for step, row in enumerate(ids):
        far = np.full(count, float(step), np.float32) if moved is None else np.array(moved[step], np.float32)
        nothing = np.zeros((count, 3), np.float32)
        record.readings.append(
            Reading(nothing, nothing, far, far + 1, far * 0, [[i] for i in row], [[0.5]] * count, list(row), [1.0] * count, [], [])
        )
    record.texts = {i: f"word {i}" for row in ids for i in row}
    record.losses, record.loaded = [1.0] * (len(ids) - 1), loaded
    return record


def test_the_strip_counts_vectors_that_ever_changed_and_those_that_came_back():
    record = a_record([[1, 2, 3], [1, 9, 3], [1, 2, 8]])
    value = known(figures.strip(record, 1, None))
    assert value["title"].startswith("2 of 3 vectors ever changed their nearest word; at the end 2 ")
    tokens = value["data"][0]
    assert tokens["z"] == [[0, 0, 0], [0, 1, 0], [0, 0, 1]] and tokens["x"] == [0, 1, 2]
    assert tokens["hovertext"][1][1] == "2, step 1: word 9 0.50"
    assert [shape["x0"] for shape in value["layout"]["shapes"]] == [1]  # the scrubber's place


def test_the_strip_counts_steps_that_it_has_no_room_to_draw():
    ids = [[1]] * 500
    ids[1] = [2]
    value = known(figures.strip(a_record(ids), 0, None))
    assert 1 not in value["data"][0]["x"]
    assert value["title"].startswith("1 of 1 vectors ever changed")


def test_the_strip_lights_the_chosen_vector_and_ends_each_line():
    record = a_record([[1, 2]] * 3, moved=[[0, 0], [1, 5], [2, 6]])
    value = known(figures.strip(record, 2, 1))
    _, others, mine = value["data"]
    assert mine["y"][:3] == [0, 5, 6] and others["y"][:3] == [0, 1, 2] and mine["line"]["width"] > others["line"]["width"]
    band = value["layout"]["shapes"][1]
    assert (band["y0"], band["y1"], band["yref"]) == (0.5, 1.5, "y")
    assert len(known(figures.strip(record, 2, 7))["data"]) == 2  # no vector of this number here


def test_the_strip_escapes_words_and_needs_steps():
    record = a_record([[1]] * 3)
    record.texts = {1: HOSTILE}
    assert "&lt;script&gt;" in known(figures.strip(record, 0, 0))["data"][0]["hovertext"][0][0]
    assert figures.strip(a_record([[1]] * 2), 0, None) is None
    assert figures.strip(a_record([[1]] * 3, loaded=True), 0, None) is None
    assert figures.strip(new_record(answer_task(), Recipe(task="tiny")), 0, None) is None


# --- paths in a plane -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("walk", [True, False])
def test_paths_end_at_the_last_kept_step_and_say_what_the_plane_shows(dimensions, walk):
    view = a_view()
    value = known(figures.paths(view, 4, 1, dimensions, walk, "keys"))
    last = value["data"][-1]
    assert last["customdata"] == [0, 1, 2] and last["x"] == view.paths[1, :, 0].tolist()  # step 2, the last one not after step 4
    assert last["marker"]["size"][1] > last["marker"]["size"][0] == last["marker"]["size"][2]
    crosses = next(trace for trace in value["data"] if trace.get("name") == "control")
    assert crosses["x"] == view.control[1, :, 0].tolist()
    dotted = [trace for trace in value["data"] if trace.get("line", {}).get("dash") == "dot"]
    assert len(dotted) == walk and (not walk or dotted[0]["x"][:2] == view.walk[:2, 0, 0].tolist())
    others, mine = [trace for trace in value["data"] if trace.get("mode") == "lines" and trace not in dotted]
    assert mine["x"][:2] == view.paths[:2, 1, 0].tolist() and len(others["x"]) == 2 * 3
    hidden = (view.hidden if dimensions == 2 else view.hidden_in_three)[1]
    assert value["title"] == (
        f"This plane shows {40 if dimensions == 2 else 45} % of how the keys vary along the run; "
        f"each vector on average {100 * (1 - hidden.mean()):.0f} %"
    )
    held, walked = (75, 75) if dimensions == 2 else (88, 85)
    assert "fitted on this run’s own path" in value["note"] and f"hold {held} %" in value["note"] and "filled: step 2" in value["note"]
    assert f"{walked} % into the first {dimensions}" in value["note"] and value["note"].endswith("here.") == walk
    assert last["hovertext"][0] == f"1: this plane hides {100 * hidden[0]:.0f} % of it"


def test_other_things_in_a_plane_have_their_names():
    value = known(figures.paths(a_view(), 5, None, 2, False, "vectors"))
    cloud, words, run = value["data"][:3]
    assert cloud["hovertext"] == ["&lt;b&gt;x&lt;/b&gt;&lt;script&gt;y", "b"] and "&lt;b&gt;" in words["name"]
    assert (words["marker"]["symbol"], run["marker"]["symbol"], run["hovertext"]) == ("diamond", "square", ["other: 1", "other: 2"])
    assert len([trace for trace in value["data"] if trace.get("mode") == "lines"]) == 1  # none is chosen
    known(figures.paths(a_view(steps=(3,), vectors=1), 0, 5, 3, True, "values"))


# --- wayward prompts --------------------------------------------------------------------------------------------------------


def test_wayward_prompts_that_read_as_the_sentence_are_filled():
    runs = [
        a_wayward(1, "sentence", 50, 2),
        a_wayward(10, "sentence", 75, 2),
        a_wayward(1, "elsewhere", 100, 1, text=HOSTILE),
        a_wayward(0, "free", 100, 0),
    ]
    value = known(figures.wayward(runs, 0.5))
    assert value["title"] == "2 of 4 prompts read exactly as the sentence; the best of them gets 75 %"
    by_name = {trace["name"]: trace for trace in value["data"]}
    assert by_name["started at the sentence"]["y"] == [50, 75] and by_name["started at the sentence"]["text"] == ["γ 1", "γ 10"]
    colours = [trace["marker"]["color"] for trace in value["data"]]
    assert "rgba(0,0,0,0)" not in colours[0] and colours[1] == colours[2] == ["rgba(0,0,0,0)"]
    assert value["layout"]["shapes"][0]["y0"] == 50 and "Dashed" in value["note"]


def test_wayward_prompts_none_of_which_reads_so():
    value = known(figures.wayward([a_wayward(1, "elsewhere", 100, 1)], None))
    assert (
        value["title"].startswith("None of these prompts reads exactly")
        and value["layout"]["shapes"] == []
        and "Dashed" not in value["note"]
    )
    assert figures.wayward([], 0.5) is None


# --- what each vector does --------------------------------------------------------------------------------------------------


def test_effects_count_the_clear_ones_and_name_the_largest():
    found = [an_effect((0,), 0.5, 0.1, 0.9), an_effect((1,), 2.0, -0.5, 4.0), an_effect((2,), -1.0, -2.0, -0.5)]
    value = known(figures.effects(found, "leave out", 3, 2))
    assert value["title"] == "1 of 3 changes clearly raise the loss; most of all vector 2 (+2.00 nats)"
    loss, right = value["data"]
    assert loss["x"] == [0, 1, 2] and loss["y"] == [0.5, 2.0, -1.0] and right["y"] == [-25] * 3
    assert loss["error_y"]["array"] == pytest.approx([0.4, 2, 0.5]) and loss["error_y"]["arrayminus"] == pytest.approx([0.4, 2.5, 1])
    assert loss["customdata"] == [0, 1, 2] and "same 8 held-out rows" in value["note"]
    assert loss["marker"]["color"][2] == colours.LEARNED != loss["marker"]["color"][0]
    assert value["layout"]["shapes"][0]["x0"] == 1.5
    assert loss["hovertext"][1] == "2: +2.00 nats (-0.50 to +4.00)"
    assert figures.effects([], "leave out", 3, None) is None


def test_effects_of_scaling_stand_at_their_factors():
    found = [an_effect((0, 1), loss, loss, loss, "scale", amount) for amount, loss in ((0.0, 3.0), (2.0, 1.0))]
    value = known(figures.effects(found, "scale", 2, 1))
    assert value["data"][0]["x"] == [0, 2] and value["data"][0]["customdata"] == [None, None] and value["layout"]["shapes"] == []
    assert "most of all × 0 (+3.00 nats)" in value["title"]


def test_swaps_with_one_vector_stand_at_their_partners():
    found = [an_effect(pair, 0.5, 0.1, 0.9, "swap") for pair in ((1, 0), (1, 2), (1, 3))]
    value = known(figures.effects(found, "swap", 4, 1))
    assert value["data"][0]["x"] == value["data"][0]["customdata"] == [0, 2, 3]


def test_swaps_of_all_pairs_have_a_place_each():
    pairs = [(0, 1), (0, 2), (1, 2)]
    value = known(figures.effects([an_effect(pair, 0.5, 0.1, 0.9, "swap") for pair in pairs], "swap", 3, None))
    assert value["data"][0]["x"] == value["layout"]["xaxis"]["tickvals"] == [0, 1, 2]
    assert value["layout"]["xaxis"]["ticktext"] == ["1 and 2", "1 and 3", "2 and 3"]


# --- attention --------------------------------------------------------------------------------------------------------------


LEARNED = an_attention("learned", [[0.1, 0.2], [0.3, 0.4]], [[[0.1, 0.2]] * 2, [[0.3, 0.6]] * 2], (HOSTILE, "2"))
WRITTEN = an_attention("plain", [[0.5, 0.5], [0.5, 0.7]], [[[0.1] * 3] * 2] * 2, ("a", "b", "c"))


def test_attention_says_the_means_of_both():
    value = known(figures.attention(LEARNED, WRITTEN, None, 1))
    assert value["title"] == (
        "25 % of the attention goes to the prompt, 25 % to the very first position; a handcrafted prompt gets 55 % on 3 tokens"
    )
    learned, written, bars = value["data"]
    assert learned["zmax"] == written["zmax"] == pytest.approx(0.7) and learned["hovertext"][1][0] == "learned, layer 1, head 0: 30 %"
    assert bars["y"] == pytest.approx([20, 40]) and bars["hovertext"][1] == "2: 40.0 %"
    assert bars["marker"]["color"][1] == colours.LEARNED != bars["marker"]["color"][0]


def test_attention_of_one_head_alone():
    value = known(figures.attention(LEARNED, None, (1, 0), None))
    assert len(value["data"]) == 2 and value["data"][1]["y"] == [30, 60] and "handcrafted" not in value["title"]
    assert "layer 1, head 0" in value["layout"]["xaxis3"]["title"]["text"]
    assert value["data"][1]["marker"]["color"] == [colours.LEARNED] * 2


# --- what the model hears ---------------------------------------------------------------------------------------------------


def test_the_lens_shows_first_choices_and_says_the_last():
    value = known(figures.lens(a_lens(["1", "2", HOSTILE], range(2), [HOSTILE, "\n"], 3), 1))
    (trace,) = value["data"]
    assert (
        np.array(trace["z"]).shape == (3, 3) and trace["hovertext"][2][0] == "1, layer 2: &lt;b&gt;x&lt;/b&gt;&lt;script&gt;y 50 %, ⏎ 25 %"
    )
    assert value["title"] == f"After the prompt alone, the model would say: “{HOSTILE}” 50 %, “⏎” 25 %"  # plain text there
    assert "&lt;b&gt;x" in value["layout"]["xaxis"]["ticktext"][2]


def test_a_word_in_the_lens_is_cut_before_it_is_escaped():
    (trace,) = figures.lens(a_lens(["1"], range(1), ["abcdef<ghijk"]), None)["data"]
    assert trace["text"] == [["abcdef&lt;g…"]] * 2
    (wide,) = figures.lens(a_lens([str(i) for i in range(60)], range(60), ["a"]), None)["data"]
    assert "text" not in wide  # no room


@pytest.mark.parametrize(("placement", "bos"), [("before", False), ("before", True), ("after", True)])
def test_the_lens_marks_the_chosen_vector_where_it_stands(placement, bos):
    lm = make("llama", bos=bos)
    prompt = Contender("x", "prompt", "1 {input}", random_prefix(lm, "prompt", 3), placement)  # a word that looks like a vector's number
    found = list(hear(lm, prompt))[-1]
    for chosen in range(3):
        band = known(figures.lens(found, chosen))["layout"]["shapes"]
        column = int(band[0]["x0"] + 0.5)
        assert len(band) == 1 and column == chosen + (placement == "after") and found.names[column] == str(chosen + 1)
    assert known(figures.lens(found, None))["layout"]["shapes"] == known(figures.lens(found, 3))["layout"]["shapes"] == []


def test_the_lens_marks_nothing_of_a_prefix_which_has_no_position():
    lm = make("llama")
    found = list(hear(lm, Contender("x", "prefix", "Word: {input}", random_prefix(lm, "prefix", 3))))[-1]
    assert len(found.names) > 1 and known(figures.lens(found, 0))["layout"]["shapes"] == []


# --- between prompts --------------------------------------------------------------------------------------------------------


def test_a_line_between_prompts_is_in_order_and_names_its_hump():
    found = [Along(1.0, percent(100)), Along(0.0, percent(50)), Along(0.5, percent(0))]
    value = known(figures.along(found, (HOSTILE, HOSTILE), 1.234))
    assert value["title"] == "On the way the loss rises 1.23 nats above the straight line between its ends"
    right, loss = value["data"]
    assert right["x"] == loss["x"] == [0, 0.5, 1] and right["y"] == [50, 0, 100] and right["error_y"]["arrayminus"][1] == 0
    assert "&lt;b&gt;" in value["layout"]["xaxis"]["title"]["text"] and "Held-out rows, 8" in value["note"]


def test_a_line_without_a_hump_and_one_that_is_not_done():
    found = [Along(0.0, percent(50))]
    assert figures.along(found, ("a", "b"), 0.0)["title"] == "No hump in the loss on the way"
    assert "No hump" not in figures.along(found, ("a", "b"), None)["title"]
    assert figures.along([], ("a", "b"), None) is None


def test_transplanted_vectors_add_up_from_the_first_and_one_alone_is_named():
    def patched(which, source, into, out):
        return Patched(which, source, percent(into), percent(out))

    found = [
        patched((), "learned", 100, 0), patched((0,), "learned", 75, 25), patched((0,), "control", 100, 0),
        patched((1,), "learned", 25, 50), patched((1,), "control", 75, 0),
        patched((0, 1), "learned", 0, 100), patched((0, 1), "control", 50, 0),
    ]  # fmt: skip
    value = known(figures.transplant(found, (HOSTILE, "“Other” right"), 0))
    assert value["title"] == "One vector alone: number 2 takes most from “Other” right (25 % left)"
    lines = [(trace["line"]["dash"], trace["x"], trace["y"]) for trace in value["data"]]
    assert lines == [
        ("solid", [0, 1, 2], [0, 25, 100]), ("solid", [0, 1, 2], [100, 75, 0]), ("dot", [1, 2], [0, 0]), ("dot", [1, 2], [100, 50]),
    ]  # fmt: skip
    one = known(figures.transplant([patched((), "learned", 100, 0), patched((0,), "learned", 50, 50)], ("a", "b"), None))
    assert one["data"][0]["x"] == [0, 1]  # a prompt of one vector
    assert figures.transplant(found[:1], ("a", "b"), None)["title"] == "Which vectors carry the task?"
    assert figures.transplant([], ("a", "b"), None) is None


def test_cosines_are_grouped_and_the_chosen_vector_lit_in_each_group():
    values = np.eye(5)
    value = known(figures.cosines(values, [HOSTILE, "b"], [3, 2], 2))
    assert value["title"] == "Similarity among 5 vectors of 2 prompts" and value["data"][0]["z"] == values.tolist()
    assert value["layout"]["xaxis"]["tickvals"] == [1, 3.5]
    bands = [shape["x0"] + 0.5 for shape in value["layout"]["shapes"] if shape["type"] == "rect"]
    assert bands == [2]  # the second prompt has no third vector
    lines = [shape for shape in value["layout"]["shapes"] if shape["type"] == "line"]
    assert len(lines) == 2 and lines[0]["x0"] == lines[0]["x1"] == 2.5
    bands = [shape["x0"] + 0.5 for shape in figures.cosines(values, ["a", "b"], [3, 2], 0)["layout"]["shapes"] if shape["type"] == "rect"]
    assert bands == [0, 3]


# --- layers of a prefix -----------------------------------------------------------------------------------------------------


def test_norms_of_layers_are_multiples_of_real_words():
    ratio = np.ones((3, 2, 2), np.float32)
    ratio[:, 0], ratio[1, 1, 0] = 2.0, 0.25
    value = known(figures.layer_norms(ratio))
    assert value["title"] == "Norms against real words’: keys 2.00 times, values 0.88 times on average"
    keys, values = value["data"]
    assert keys["z"] == [[1, 1]] * 3 and values["z"][1] == [-2, 0] and keys["zmax"] == 2
    assert values["hovertext"][1][0] == "values, layer 1, head 0: 0.25 times real words’"


def test_layers_are_in_order_beside_their_starts():
    found = [
        LayerEffect(1, an_effect((), 2.0, 1.0, 3.0), None),
        LayerEffect(0, an_effect((), 0.5, 0.1, 0.7), an_effect((), 0.25, 0.0, 1.0)),
    ]
    value = known(figures.layer_effects(found))
    assert value["title"] == "Layer 1 matters most: without it the loss rises 2.00 nats" and "on 8 held-out rows" in value["note"]
    out, back = value["data"]
    assert out["x"] == [0, 1] and out["y"] == [0.5, 2.0] and back["y"] == [0.25, None]
    assert out["error_y"]["array"] == pytest.approx([0.2, 1]) and out["error_y"]["arrayminus"] == pytest.approx([0.4, 1])
    assert len(known(figures.layer_effects(found[:1]))["data"]) == 1  # no start, no control
    assert figures.layer_effects([]) is None


def test_fits_draws_the_sentence_beside_random_tokens():
    aim = Aim((HOSTILE, "b"), ("x", "y"), 1, 32, 340)
    found = [Fit(step, Said(step, step, 9.0 - step), Said(0, 1, 20.0)) for step in range(3)]
    value = known(figures.fits(aim, found))
    assert value["title"] == "Step 2: 2 of 2 tokens of the sentence come back, 0 of 2 random ones"
    assert [trace["y"] for trace in value["data"]] == [[0, 1, 2], [0, 1, 2], [9.0, 8.0, 7.0], [0, 0, 0], [1, 1, 1], [20.0] * 3]
    assert figures.fits(aim, []) is None


def test_a_text_search_draws_a_line_for_each_search():
    words = [Round("words", number, (1,), f"{HOSTILE}\n", 4.0 - number) for number in range(3)]
    value = known(figures.text_search([*words, Round("random", 0, (2,), "b", 5.0)]))
    assert [trace["y"] for trace in value["data"]] == [[4.0, 3.0, 2.0], [5.0]] and "⏎" in value["data"][0]["hovertext"][0]
    assert "from the nearest words: from 4.00 to 2.00; from random tokens: from 5.00 to 5.00 nats" in value["title"]
    assert figures.text_search([]) is None


def test_salience_draws_each_position_and_names_the_strongest():
    mine = Salience(HOSTILE, ("1", HOSTILE, "go"), ("vector", "words", "input"), HOSTILE, -1.0, np.zeros(3), np.array([0.5, 3.0, -1.0]))
    value = known(figures.salience(mine, replace(mine, control=True), 0))
    assert value["data"][0]["y"] == [0.5, 3, -1] and len(set(value["data"][0]["marker"]["color"])) == 3
    assert "&lt;script&gt;" in value["title"] and value["layout"]["shapes"][0]["x1"] == 0.5
    many = replace(mine, names=("a",) * 70, kinds=("input",) * 70, gradient=np.zeros(70), without=np.zeros(70))
    assert known(figures.salience(many, None, 5))["layout"]["xaxis"]["showticklabels"] is False
