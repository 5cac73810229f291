"""What each panel says of findings made up for it: its sentences and tables, and that no text in them becomes markup."""

import json
import re
from dataclasses import replace

import numpy as np
import plotly.graph_objects as go
import pytest
from made_up import a_lens, a_score, a_view, a_wayward, an_attention, an_effect
from tiny_models import answer_task, make

from app.panels import PANELS
from app.panels.attention import AttentionPanel, identity
from app.panels.between import ALIKE, LINE, MOVE, START, BetweenPanel
from app.panels.findings import Findings, Shelf
from app.panels.hears import HearsPanel
from app.panels.layers import LayersPanel
from app.panels.look import Look
from app.panels.nearest import NearestPanel
from app.panels.plane import WALK, WORDS, PlanePanel
from app.panels.seeds import SeedsPanel
from app.panels.snap import ALL, EACH, SnapPanel
from app.panels.vectors import HELPFUL, VectorsPanel
from app.panels.wayward import MOST_WEIGHTS, WaywardPanel, weights
from app.sessions.run import Run
from app.sessions.session import Session
from core.errors import LabError
from core.events import Done
from core.prefix import no_prefix
from core.probes.between import Along, Patched
from core.probes.hears import Continuation
from core.probes.layers import LayerEffect
from core.probes.seeds import Meeting
from core.probes.vectors import Removal
from core.probes.wayward import Wayward
from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.run import Scorebook, Scored
from core.runs.training_job import training_job
from core.scoring.score import Contender
from core.tasks.task import Handcrafted

HOSTILE = "<img src=x onerror=alert(1)>"
TAGS = r"</?(abbr|table|caption|thead|tbody|tr|th|td|i|p|span|button|b|u|q|br|div|strong|details|summary|sub)( [^<>]*)?>"


class FakeLab:
    """All that panels ask of a lab here."""

    model, dtype = "tiny", "float32"

    def __init__(self, lm):
        self.lm, self.book, self._vocabulary = lm, Scorebook(), Vocabulary(lm)

    def vocabulary(self, lm):
        return self._vocabulary


@pytest.fixture(scope="module")
def lab():
    return FakeLab(make("llama", max_position_embeddings=1024))


def trained(lab, method="prompt", name=HOSTILE, **settings):
    """A run of hostile names, its nearest words hostile too."""
    task = answer_task(name=HOSTILE, handcrafted=(Handcrafted(HOSTILE, "Word: {input} gives"), Handcrafted("plain", "{input} ->")))
    recipe = Recipe(**(dict(task="tiny", method=method, virtual_tokens=3, steps=3) | settings))
    record = new_record(task, recipe)
    for _ in training_job(lab.lm, task, recipe, lab.vocabulary(lab.lm), lab.book, record, lambda: False):
        pass
    record.texts = {token: HOSTILE for token in record.texts}
    return Run(name, record, task, recipe)


@pytest.fixture(scope="module")
def soft(lab):
    return trained(lab)


@pytest.fixture(scope="module")
def prefix(lab):
    return trained(lab, "prefix")


@pytest.fixture(params=["prompt", "prefix"])
def run(request, soft, prefix):
    return soft if request.param == "prompt" else prefix


DEFAULTS = {
    "attention": {"layer": -1, "head": -1},
    "between": {"how": LINE, "other": START},
    "hears": {"whose": "the learned prompt"},
    "plane": {"basis": "vocabulary", "dimensions": 2, "extras": [], "layer": 1, "part": 1, "head": -1},
    "snap": {"how": ALL},
    "vectors": {"what": "leave out"},
    "wayward": {"sentence": "the fox", "gammas": "1", "steps": 2},
}


def shown(panel, run, items=None, whole=True, chosen=None, runs=(), step=3, **settings):
    """What `panel` shows of `run` with findings `items` (None: none): checked to hold no markup but its own."""
    session = Session(chosen=chosen, runs=[run, *runs])
    look = Look(session, run, step, DEFAULTS.get(panel.name, {}) | settings, tuple(runs))
    view = panel.view(look, None if items is None else Findings(items=list(items), complete=whole, total=9))
    inner = re.sub(TAGS, "", view.html)
    assert "<" not in inner and ">" not in inner
    if view.figure:
        assert go.Figure(data=view.figure["data"], layout=view.figure["layout"]).data
        assert "<img" not in json.dumps([view.figure["data"], view.figure["layout"]], default=float)
    return view


def made(panel, lab):
    return panel(lab, Shelf())


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel.name)
def test_before_its_experiment_a_panel_has_no_verdict(lab, panel, run):
    view = shown(made(panel, lab), run)
    assert "verdict" not in view.html and panel.sees.endswith(".") and panel.doubt.endswith(".")
    if panel.button:
        assert view.figure is None
        assert shown(made(panel, lab), run, [], whole=False).html.count("<table") == 0  # begun, nothing found yet


def test_names_of_panels_are_their_own():
    assert len({panel.name for panel in PANELS}) == len(PANELS) == 10


# --- nearest tokens ---------------------------------------------------------------------------------------------------------


def test_nearest_tokens_stand_beside_the_controls(lab, soft):
    view = shown(made(NearestPanel, lab), soft, chosen=1)
    assert view.html.count("data-token=") == 3 and view.html.count("<tr class='lit'>") == 1
    assert view.html.count(" of 3 still the start’s") == 3  # three draws at the end
    assert view.html.count("nearer than") >= 6 and view.html.count("longer than") == 3
    assert "Over all 3 steps" in view.html and view.figure["title"].startswith("0 of 3")
    assert shown(made(NearestPanel, lab), soft, step=1).html.count(" of 1 still the start’s") == 3


def test_nearest_tokens_of_a_prompt_whose_start_is_not_known_have_no_control(lab, soft):
    unknown = replace(soft, record=replace(soft.record, start_known=False))
    view = shown(made(NearestPanel, lab), unknown)
    assert "there is no control" in view.html and "still the start’s</span>" not in view.html and "Over all" not in view.html


def test_a_prefix_has_no_nearest_tokens(lab, prefix):
    view = shown(made(NearestPanel, lab), prefix)
    assert "not word embeddings" in view.html and view.figure is None


# --- the plane --------------------------------------------------------------------------------------------------------------


def test_the_plane_is_the_recorded_one_until_another_is_found(lab, run):
    panel = made(PlanePanel, lab)
    recorded = shown(panel, run).figure
    assert "PCA of the" in recorded["note"]
    assert shown(panel, run, basis="path").figure["note"] == recorded["note"]  # while the other one is made
    found = shown(panel, run, [a_view()], basis="path", part=0).figure
    assert ("of how the vectors vary" if run.record.kind == "prompt" else "of how the keys vary") in found["title"]
    assert shown(panel, run, [a_view()], basis="path", dimensions=3).figure["data"][0]["type"] == "scatter3d"
    dashes = [
        [trace.get("line", {}).get("dash") for trace in shown(panel, run, [a_view()], extras=extras).figure["data"]]
        for extras in ([WALK], [WORDS])
    ]
    assert "dot" in dashes[0] and "dot" not in dashes[1]


def test_only_what_was_recorded_needs_no_experiment(soft, prefix):
    panel = made(PlanePanel, None)

    def needed(run, beside=(), **settings):
        return panel.needed(Look(Session(), run, 3, DEFAULTS["plane"] | settings, beside))

    assert not needed(soft) and not needed(soft, dimensions=3) and not needed(soft, layer=0)
    assert needed(soft, basis="path") and needed(soft, extras=[WALK]) and needed(soft, (prefix,))
    assert not needed(prefix) and needed(prefix, layer=0) and needed(prefix, part=0) and needed(prefix, head=1)


def test_planes_of_runs_of_one_name_are_not_taken_for_each_other(lab, soft):
    """Runs are numbered in every session alike, and what was found is kept for all."""
    panel = made(PlanePanel, lab)
    others = [trained(lab, name="run 2", seed=seed) for seed in (2, 3)]
    keys = [panel._key(Look(Session(), soft, 3, DEFAULTS["plane"] | {"basis": "vectors"}, (other,))) for other in (*others, others[0])]
    assert keys[0] == keys[2] != keys[1]
    panel = made(BetweenPanel, lab)
    keys = [panel._key(Look(Session(runs=[soft, other]), soft, 3, {"how": ALIKE, "other": START})) for other in (*others, others[0])]
    assert keys[0] == keys[2] != keys[1]


def test_the_planes_experiment_lays_out_runs_and_words(lab, soft, prefix):
    panel = made(PlanePanel, lab)
    settings = DEFAULTS["plane"] | {"basis": "vectors", "extras": [WORDS]}
    progress, finding = panel.job(lab.lm, Look(Session(), soft, 3, settings, (trained(lab, name="other", virtual_tokens=5),)), None)
    assert progress.total == 1 and [marks.name for marks in finding.value.marks] == ["other", HOSTILE, "plain", "answers"]
    _, finding = panel.job(lab.lm, Look(Session(), prefix, 3, DEFAULTS["plane"] | {"layer": 99, "head": 9}), None)  # as many as there are
    assert finding.value.paths.shape == (4, 3, 3)


# --- do seeds meet? ---------------------------------------------------------------------------------------------------------


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


# --- snap to words ----------------------------------------------------------------------------------------------------------


def test_snapping_says_what_is_left_of_the_gain(lab, soft):
    whole, words, none = (
        a_score("learned", "1" * 8, "prompt"),
        a_score("snapped: learned", "11110000", "prompt"),
        a_score("no prompt", "0" * 8, "none"),
    )
    html = shown(made(SnapPanel, lab), soft, [HOSTILE, whole, words, none, a_score(HOSTILE, "11000000")]).html
    assert "Keeps 50% of the gain" in html and "&lt;img" in html and html.count('class="contender') == 4
    html = shown(made(SnapPanel, lab), soft, ["text", none, replace(whole, results=none.results), words]).html
    assert "Not defined" in html  # a prompt without a gain
    assert "Retention" not in shown(made(SnapPanel, lab), soft, ["text", whole, words], whole=False).html


def test_snapping_one_at_a_time_is_a_figure(lab, soft, prefix):
    found = [an_effect((0, 1, 2), 0.0, 0.0, 0.0, "whole"), an_effect((1,), 0.5, 0.1, 0.9, "snap")]
    figure = shown(made(SnapPanel, lab), soft, found, how=EACH).figure
    assert figure["title"].startswith("1 of 1 changes") and figure["data"][0]["x"] == [1]
    assert "no words to snap to" in shown(made(SnapPanel, lab), prefix, found).html


# --- wayward prompts --------------------------------------------------------------------------------------------------------


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
        list(made(WaywardPanel, lab).job(lab.lm, Look(Session(), soft, 3, DEFAULTS["wayward"] | {"steps": steps}), None))


def wayward(name, right, kept, start="sentence"):
    run = a_wayward(1, start, right, kept, text=HOSTILE)
    return replace(run, contender=Contender(name, "prompt", "{input}", no_prefix()), tokens=(HOSTILE, "b"))


def test_the_best_prompt_that_reads_so_is_told_of(lab, soft):
    runs = [wayward("low", 50, 2), wayward("best", 75, 2), wayward(HOSTILE, 100, 1), wayward("free", 100, 2, "free")]
    so_far = shown(made(WaywardPanel, lab), soft, runs, whole=False, chosen=0)
    assert "So far" in so_far.html and "<b>75 %</b> of 8 validation rows" in so_far.html and so_far.html.count("lit-token") == 4
    assert so_far.html.count("1 of 2") == 2 and so_far.figure["title"].startswith("3 of 4 prompts read exactly")
    final = Scored("held_out", a_score("best", "11110000", "prompt"))
    growing = Scored("held_out", a_score("other", "1", "prompt"), final=False)
    html = shown(made(WaywardPanel, lab), soft, [*runs, growing, final]).html
    assert "So far" not in html and "<b>50 %</b> of 8 held-out rows" in html and html.count('class="contender') == 1
    assert "class='note big'" not in shown(made(WaywardPanel, lab), soft, runs[2:3]).html  # none reads so


def test_a_prefix_reads_as_nothing(lab, prefix):
    assert "train a soft prompt" in shown(made(WaywardPanel, lab), prefix, [wayward("x", 50, 2)]).html


def test_wayward_prompts_are_trained_step_by_step(lab, soft):
    progress, *found = made(WaywardPanel, lab).job(lab.lm, Look(Session(), soft, 3, DEFAULTS["wayward"]), None)
    pieces = [event for event in found if isinstance(event, Done | Wayward)]
    assert progress.total == len(pieces) == 3 * (2 + 1) and sum(isinstance(event, Wayward) for event in found) == 3
    assert all(event.final for event in found if isinstance(event, Scored)) and isinstance([e for e in found if e][-1], Scored)


# --- what each vector does --------------------------------------------------------------------------------------------------


def a_removal(vector, adjusted, chosen=False, held_out=None):
    return Removal(vector, an_effect((vector,), -0.5, -0.9, -0.1), adjusted / 3, adjusted, chosen, held_out)


def test_no_vector_is_in_the_way(lab, run):
    found = [a_removal(n, 0.9) for n in (2, 0, 1)]
    html = shown(made(VectorsPanel, lab), run, found, what=HELPFUL, chosen=1).html
    assert "Holm-corrected over 3): no vector is harmful" in html and html.count("<tr class=lit>") == 1
    assert [int(n) for n in re.findall(r"data-token='(\d)'", html)] == [0, 1, 2]
    assert "none is in the way" not in shown(made(VectorsPanel, lab), run, found, whole=False, what=HELPFUL).html  # too early to say


def test_a_vector_in_the_way_is_confirmed_on_held_out_rows(lab, run):
    found = [a_removal(0, 0.9), a_removal(1, 0.01, True, an_effect((1,), -0.25, -0.5, -0.125))]
    html = shown(made(VectorsPanel, lab), run, found, what=HELPFUL).html
    assert "scored once on held-out rows: without vector 2 the loss on held-out rows changes by -0.25 nats (-0.50 to -0.12)" in html
    assert html.count("<td>yes</td>") == 1 and "none is in the way" not in html


def test_effects_leave_the_whole_prompt_out(lab, run):
    found = [an_effect((0, 1, 2), 9.0, 9.0, 9.0, "whole"), an_effect((2,), 0.5, 0.1, 0.9)]
    view = shown(made(VectorsPanel, lab), run, found, chosen=2)
    assert view.figure["title"].endswith("most of all vector 3 (+0.50 nats)") and view.html == ""
    swap = shown(made(VectorsPanel, lab), run, [an_effect((0, 1), 0.0, 0.0, 0.0, "swap")], what="swap").html
    assert ("changes nothing" in swap) == (run.record.kind == "prefix")


def test_only_a_swap_depends_on_the_chosen_vector(lab, soft):
    panel = made(VectorsPanel, lab)
    for what, differ in (("leave out", False), ("swap", True)):
        keys = {panel._key(Look(Session(chosen=chosen), soft, 3, {"what": what})) for chosen in (None, 0, 1)}
        assert len(keys) == (3 if differ else 1)


# --- attention --------------------------------------------------------------------------------------------------------------

SHARES = [[0.1, 0.2], [0.3, 0.4]]
BY_TOKEN = [[[0.1] * 3] * 2] * 2
NUMBERS = ("1", "2", "3")


def test_attention_stands_beside_its_start_and_a_written_prompt(lab, run):
    found = [
        an_attention("learned", [[0.0, 0.0], [0.0, 0.0]], BY_TOKEN, NUMBERS), an_attention("learned", SHARES, BY_TOKEN, NUMBERS),
        an_attention("the start of learned", SHARES, BY_TOKEN, NUMBERS),
        an_attention(HOSTILE, [[0.5] * 2] * 2, BY_TOKEN, (HOSTILE, " a", "b")),
        (np.array([1e-7, 0.25]), np.array([1e-7, 0.5])),
    ]  # fmt: skip
    view = shown(made(AttentionPanel, lab), run, found)
    assert view.html.count("<th scope='row'>") == 3 and view.html.count("class='tok'") == 3  # the words of the written prompt alone
    assert "at most 1.0e-07" in view.html and "up to 0.25 (the untrained start’s by 0.50" in view.html
    assert view.figure["title"].startswith("25 % of the attention") and "gets 50 %" in view.figure["title"]
    assert "layer 1, head 0" in shown(made(AttentionPanel, lab), run, found, layer=1, head=0).figure["layout"]["xaxis3"]["title"]["text"]
    assert "all heads" in shown(made(AttentionPanel, lab), run, found, layer=1).figure["layout"]["xaxis3"]["title"]["text"]
    alone = shown(made(AttentionPanel, lab), run, found[1:3], whole=False).figure
    assert "handcrafted" not in alone["title"]  # its start is no written prompt


def test_the_identity_of_one_layer_has_no_deeper_ones():
    assert "by up to 0," in identity(np.array([1e-7]), None) and "untrained" not in identity(np.array([1e-7, 0.1]), None)


# --- what the model hears ---------------------------------------------------------------------------------------------------


def test_what_the_model_says_has_its_control_characters_in_sight(lab, run):
    found = [
        a_lens(["1", "2", "3"], range(3), [HOSTILE]), Continuation("greedy", 0, "a", (1,)),
        Continuation("greedy", 0, f"a\n\t\x1b\u202e{HOSTILE}", (1, 2)),
        Continuation("sampled", 0, "b", (3,)), Continuation("sampled", 1, "c", (4,)),
    ]  # fmt: skip
    view = shown(made(HearsPanel, lab), run, found, chosen=1)
    assert "<td>a⏎⇥\\x1b\\u202e&lt;img" in view.html and "\x1b" not in view.html and "\u202e" not in view.html
    assert view.html.count("<tr>") == 3 and "sampled, 2" in view.html and "most likely" in view.html
    assert len(view.figure["layout"]["shapes"]) == 1
    assert shown(made(HearsPanel, lab), run, found[:1], whole=False).html == ""


# --- between prompts --------------------------------------------------------------------------------------------------------


def score_of(right):
    return a_score("x", "1" * right + "0" * (8 - right))


def test_a_line_tells_of_a_hump_only_when_it_is_done(lab, run):
    losses = [0.5, 2.5, 0.5]
    found = [Along(share, replace(score_of(4), loss=loss)) for share, loss in zip((0.0, 0.5, 1.0), losses, strict=True)]
    panel = made(BetweenPanel, lab)
    assert "rises 2.00 nats" in shown(panel, run, found, other=HOSTILE).figure["title"]
    flat = [replace(one, score=replace(one.score, loss=0.5)) for one in found]
    assert "No hump" in shown(panel, run, flat).figure["title"]
    assert "No hump" not in shown(panel, run, flat[:1], whole=False).figure["title"]


def test_single_vectors_put_into_another_stand_in_a_table_beside_their_controls(lab, soft):
    other = replace(soft, name=f"other {HOSTILE}")
    found = [
        Patched((), "learned", score_of(8), score_of(0)), Patched((1,), "learned", score_of(2), score_of(6)),
        Patched((0,), "learned", score_of(4), score_of(4)), Patched((0,), "control", score_of(8), score_of(0)),
        Patched((0, 1), "learned", score_of(0), score_of(8)),
    ]  # fmt: skip
    view = shown(made(BetweenPanel, lab), soft, found, how=MOVE, other=other.name, chosen=0, runs=(other,))
    rows = re.findall(r"data-token='(\d)'.*?</tr>", view.html)
    assert rows == ["0", "1"] and view.html.count("<tr class=lit>") == 1  # single ones alone, in order
    first, second = (re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in view.html.split("data-token=")[1:])
    assert first == ["50 %", "50 %", "0 %", "100 %"] and second == ["75 %", "25 %", "–", "–"]
    assert view.figure["title"].startswith("One vector alone: number 2")
    assert shown(made(BetweenPanel, lab), soft, found[:1], how=MOVE, other=other.name, runs=(other,)).html == ""


def test_cosines_of_all_vectors_begin_with_the_run_that_is_shown(lab, soft, prefix):
    other, panel = trained(lab, name="other", seed=5), made(BetweenPanel, lab)
    session = Session(runs=[other, prefix, soft])
    progress, finding = panel.job(lab.lm, Look(session, soft, 3, {"how": ALIKE, "other": START}), None)
    values, names, sizes = finding.value
    assert progress.total == 1 and names == [HOSTILE, "other"] and sizes == [3, 3] and values.shape == (6, 6)
    view = shown(panel, soft, [(values, names, sizes)], how=ALIKE, chosen=2)
    assert view.figure["title"] == "Similarity among 6 vectors of 2 prompts"


@pytest.mark.parametrize(
    ("settings", "words"), [({"how": MOVE}, "only be put into another learned prompt"), ({"other": "gone"}, "no such prompt")]
)
def test_another_prompt_that_is_not_there_is_refused(lab, soft, settings, words):
    look = Look(Session(runs=[soft]), soft, 3, DEFAULTS["between"] | settings)
    with pytest.raises(LabError, match=words):
        list(made(BetweenPanel, lab).job(lab.lm, look, None))
    unknown = replace(soft, record=replace(soft.record, start_known=False))
    with pytest.raises(LabError, match="start is not known"):
        list(made(BetweenPanel, lab).job(lab.lm, Look(Session(), unknown, 3, DEFAULTS["between"]), None))


# --- layers of a prefix -----------------------------------------------------------------------------------------------------


def test_layers_are_a_matter_of_prefixes(lab, soft, prefix):
    ratio = np.full((2, 2, 2), 1.5)
    effects = [LayerEffect(n, an_effect((), n + 0.5, 0.1, 2.0), None) for n in (0, 1)]
    panel = made(LayersPanel, lab)
    assert "only before the first layer" in shown(panel, soft, [ratio, *effects]).html
    first = shown(panel, prefix, [ratio], whole=False)
    assert first.figure["title"].startswith("Norms against real words’: keys 1.50") and first.html == ""
    then = shown(panel, prefix, [ratio, *effects])
    assert then.figure["title"].startswith("Layer 1 matters most") and then.html.count("<tr>") == 3
    assert list(panel.job(lab.lm, Look(Session(), soft, 3, {}), None)) == []


def test_a_prefixes_layers_are_left_out_one_by_one(lab, prefix):
    progress, *found = made(LayersPanel, lab).job(lab.lm, Look(Session(), prefix, 3, {}), None)
    kept = [event for event in found if event is not None]
    assert progress.total == len(kept) == lab.lm.layers + 1 and kept[0].value.shape == (lab.lm.layers, 2, lab.lm.kv_heads)
    assert [event.layer for event in kept[1:]] == [0, 1] and all(event.control for event in kept[1:])
