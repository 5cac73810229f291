"""What the panel layers says of findings made up for it; `shown` checks that no text becomes markup."""

import numpy as np
from made_up import an_effect
from panel_cases import found_by, made, shown

from app.panels.layers import LayersPanel
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
    assert found_by(LayersPanel, lab, soft) == []


def test_a_prefixes_layers_are_left_out_one_by_one(lab, prefix):
    lm = lab.engine.lm
    progress, norms, *effects = found_by(LayersPanel, lab, prefix)
    assert progress.total == lm.layers + 1 and norms.value.shape == (lm.layers, 2, lm.kv_heads)
    assert [effect.layer for effect in effects] == [0, 1] and all(effect.control for effect in effects)
