"""What the panel hears says of findings made up for it; `shown` checks that no text becomes markup."""

from made_up import a_lens
from panel_cases import HOSTILE, made, shown

from app.panels.hears import HearsPanel
from core.probes.hears import Continuation


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
