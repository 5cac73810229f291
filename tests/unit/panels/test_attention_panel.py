"""What the panel attention says of findings made up for it; `shown` checks that no text becomes markup."""

import numpy as np
from made_up import an_attention
from panel_cases import HOSTILE, made, shown

from app.panels.attention import AttentionPanel, identity

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
    assert view.html.count('<th scope="row">') == 3 and view.html.count('class="tok"') == 3  # the words of the written prompt alone
    assert "at most 1.0e-07" in view.html and "up to 0.25 (the untrained start’s by 0.50" in view.html
    assert view.figure["title"].startswith("25 % of the attention") and "gets 50 %" in view.figure["title"]
    assert "layer 1, head 0" in shown(made(AttentionPanel, lab), run, found, layer=1, head=0).figure["layout"]["xaxis3"]["title"]["text"]
    assert "all heads" in shown(made(AttentionPanel, lab), run, found, layer=1).figure["layout"]["xaxis3"]["title"]["text"]
    alone = shown(made(AttentionPanel, lab), run, found[1:3], whole=False).figure
    assert "handcrafted" not in alone["title"]  # its start is no written prompt


def test_the_identity_of_one_layer_has_no_deeper_ones():
    assert "by up to 0," in identity(np.array([1e-7]), None) and "untrained" not in identity(np.array([1e-7, 0.1]), None)
