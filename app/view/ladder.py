"""The result of a run at a glance."""

from collections.abc import Collection

from app.view.colours import colours
from app.view.html import EMPTY, Html, bold, join, share_bar, tag
from app.view.text import cut, percent
from core.runs.record import RunRecord
from core.scoring.score import Score, best_handcrafted, learned_score
from core.tasks.task import Task

MOST_SQUARES = 12  # vectors drawn as squares
TITLE = "Accuracy with each kind of prompt"


def ladder(scores: Collection[Score], task: Task, record: RunRecord) -> Html:
    """Accuracy with no prompt, the best instruction, the best worked examples, and the learned prompt, each with its text.

    scores: on the same rows.
    """
    written = [score for score in scores if score.kind == "handcrafted"]
    count = record.recipe["virtual_tokens"]
    shown = [
        ("no prompt", next((score for score in scores if score.kind == "none"), None)),
        ("the best instruction", best_handcrafted(score for score in written if not score.examples)),
        ("the best with examples", best_handcrafted(score for score in written if score.examples)),
        (record.method.described(count), learned_score(scores)),
    ]
    known = [(name, score) for name, score in shown if score]
    if not any(score.learned for _, score in known):
        return EMPTY
    colour = colours(scores, record.task["handcrafted"])
    rungs = [
        tag(
            "li",
            tag("strong", percent(score.accuracy)),
            tag("span", name, class_="told"),
            share_bar(score.accuracy, score.interval),
            _as_it_reads(score, task, record),
            class_="rung mine" if score.learned else "rung",
            style=f"--c:{colour[score.name]}",
        )
        for name, score in known
    ]
    return tag("p", TITLE, class_="ladder-name") + tag("ol", *rungs, class_="ladder", aria_label=TITLE)


def _as_it_reads(score: Score, task: Task, record: RunRecord) -> Html:
    """The text before and after an input, on one line; a learned prompt as squares."""
    written = {prompt.name: prompt.template for prompt in task.handcrafted} | {one.name: one.template for one in record.derived}
    template = written.get(score.name, "")
    template = template or record.recipe["template"] or task.template
    before, _, after = template.partition("{input}")
    text = task.held_out[0].input if task.held_out else "…"
    count = record.recipe["virtual_tokens"]
    squares = "■" * min(count, MOST_SQUARES) + ("…" if count > MOST_SQUARES else "")
    gaps = [" " if edge.isspace() else "" for edge in (before[-1:], after[:1])]  # line breaks, too
    words = join([cut(before, 40), gaps[0], bold(cut(text, 36)), gaps[1], cut(after, 24)])
    vectors = (tag("i", squares, class_="squares"), " ") if score.learned else ()
    return tag("code", *vectors, words, title=template.replace("{input}", text))
