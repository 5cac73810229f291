"""What the panel layers says of findings made up for it: its sentences and tables, and that no text in them becomes markup."""

import numpy as np
from made_up import an_effect
from panel_cases import made, shown

from app.panels.layers import LayersPanel
from app.panels.look import Look
from app.sessions.session import Session
from core.probes.layers import LayerEffect


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
