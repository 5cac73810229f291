"""What the panel plane says of findings made up for it; `shown` checks that no text becomes markup."""

from made_up import a_view
from panel_cases import HOSTILE, found_by, look_at, made, shown, trained

from app.panels.between import ALIKE, BetweenPanel
from app.panels.plane import WALK, WORDS, PlanePanel
from app.sessions.session import Session


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
        return panel.needed(look_at("plane", run, beside, **settings))

    assert not needed(soft) and not needed(soft, dimensions=3) and not needed(soft, layer=0)
    assert needed(soft, basis="path") and needed(soft, extras=[WALK]) and needed(soft, (prefix,))
    assert not needed(prefix) and needed(prefix, layer=0) and needed(prefix, part=0) and needed(prefix, head=1)


def test_planes_of_runs_of_one_name_are_not_taken_for_each_other(lab, soft):
    panel = made(PlanePanel, lab)
    others = [trained(lab, name="run 2", seed=seed) for seed in (2, 3)]
    keys = [panel._key(look_at("plane", soft, (other,), basis="vectors")) for other in (*others, others[0])]
    assert keys[0] == keys[2] != keys[1]
    panel = made(BetweenPanel, lab)
    keys = [panel._key(look_at("between", soft, session=Session(runs=[soft, other]), how=ALIKE)) for other in (*others, others[0])]
    assert keys[0] == keys[2] != keys[1]


def test_the_planes_experiment_lays_out_runs_and_words(lab, soft, prefix):
    other = trained(lab, name="other", virtual_tokens=5)
    progress, finding = found_by(PlanePanel, lab, soft, beside=(other,), basis="vectors", extras=[WORDS])
    assert progress.total == 1 and [marks.name for marks in finding.value.marks] == ["other", HOSTILE, "plain", "answers"]
    _, finding = found_by(PlanePanel, lab, prefix, layer=99, head=9)  # more than there are
    assert finding.value.paths.shape == (4, 3, 3)


def test_of_a_prefix_whose_keys_alone_are_trained_the_keys_are_shown(lab):
    run, panel = trained(lab, "prefix", train="keys"), made(PlanePanel, lab)
    panel.defaults = {"basis": "vocabulary", "dimensions": 2, "extras": [], "layer": 15, "part": 1, "head": -1}
    assert run.record.readings[-1].moved.min() > 0  # the values stay where they start
    look = panel.look(Session(runs=[run]), run, [run])
    assert look.settings["part"] == 0 and not panel.needed(look)
    figure = panel.view(look, None).figure
    assert figure["title"].startswith("The prefix's keys (middle layer) have moved") and "real keys" in figure["note"]
