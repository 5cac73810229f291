"""The Compare page's tables as HTML, and as CSV for a spreadsheet. Every text in them is escaped."""

import base64
import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from app.view.colours import colours
from app.view.html import Cell, Html, button, details, dim, join, note, table, tag, td, th
from app.view.text import cut, percent, token
from core.recipe import SETTINGS
from core.scoring.measures import expected_calibration_error, in_words, pairs, spread
from core.scoring.row_results import RowResult
from core.scoring.score import Score, compare
from core.tasks import evidence
from core.tasks.task import Handcrafted, Task

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for a formula
MOST_ROWS = 300


def grouped(scores: Mapping[str, Score]) -> list[Score]:
    """Scores for a table, those of one group (orders, seeds) as one with their mean and, in place of an interval, their range."""
    groups: dict[str, list[Score]] = {}
    for score in scores.values():
        groups.setdefault(score.group or f"only {score.name}", []).append(score)
    return [_mean(members) if len(members) > 1 else members[0] for members in groups.values()]


def _mean(scores: Sequence[Score]) -> Score:
    def mean(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return sum(known) / len(known) if known else None

    accuracy, low, high = spread([score.accuracy for score in scores])
    return replace(
        scores[0],
        name=f"{scores[0].group}: mean of {len(scores)}",
        accuracy=accuracy,
        interval=(low, high),
        first_choice=mean(score.first_choice for score in scores),
        loss=mean(score.loss for score in scores),
        exact=mean(score.exact for score in scores),
        seconds=sum(score.seconds for score in scores),
        members=tuple(score.name for score in scores),
        final=all(score.final for score in scores),
    )


def measures(scores: Mapping[str, Score], labelled: bool) -> Html:
    """Other measures on the same rows: calibration; with labels, first choices; with answers, agreement."""
    heads = ["first choice of all tokens"] if labelled else ["tokens agreeing"]
    rows = []
    for score in scores.values():
        if score.kind == "majority" or not score.results:
            continue
        error = expected_calibration_error([r.confidence for r in score.results], [r.correct for r in score.results])
        share = score.first_choice if labelled else score.agreement
        rows.append([score.name, f"{error:.2f}", "–" if share is None else percent(share)])
    return table(["contender", "calibration error", *heads], rows, numbers=range(1, 3), class_="said")


def ordered_rows(scores: Sequence[Score], label: str, only_learned: bool, by_disagreement: bool) -> list[str]:
    """Inputs of the grid's rows: those of `label` ("" for all), those that only learned contenders get right, most disputed first."""
    right: dict[str, dict[str, bool]] = {}
    answers: dict[str, str] = {}
    trained = [score for score in scores if score.learned]
    learned = {score.name for score in trained if score.examples and not score.name.startswith("control")}
    others = {score.name for score in scores} - {score.name for score in trained}  # controls are neither
    for score in scores:
        for result in score.results:
            right.setdefault(result.input, {})[score.name] = result.correct
            answers[result.input] = result.output
    chosen = [text for text in right if not label or answers[text] == label]
    if only_learned:
        winners = {text: {name for name, correct in right[text].items() if correct} for text in chosen}
        chosen = [text for text in chosen if winners[text] & learned and not winners[text] & others]
    if by_disagreement:
        chosen.sort(key=lambda text: abs(sum(right[text].values()) / len(right[text]) - 0.5))
    return chosen


def grid(scores: Sequence[Score], inputs: Sequence[str], written: Sequence[str]) -> Html:
    """Examples by contenders, right and wrong. A cell carries its row, as a place in `inputs`."""
    if not scores:
        return note("Score the contenders first.")
    if not inputs:
        return note("No rows match.")
    colour = colours(scores, written)
    found = [{result.input: result for result in score.results} for score in scores]
    answers = {result.input: result.output for score in scores for result in score.results}
    heads = [th(tag("i", class_="dot"), cut(score.name, 40), scope="col", style=f"--c:{colour[score.name]}") for score in scores]
    rows = [
        [cut(text, 60), td(cut(answers[text], 24), class_="dim"), *(_grid_cell(number, results.get(text)) for results in found)]
        for number, text in enumerate(inputs[:MOST_ROWS])
    ]
    caption = f"{len(inputs)} rows; click a cell to see what the model considered"
    more = tag("p", f"{len(inputs) - MOST_ROWS} more rows: see the CSV.", class_="dim") if len(inputs) > MOST_ROWS else None
    return join([table(["input", "right answer", *heads], rows, caption, class_="said grid"), more])


def _grid_cell(number: int, result: RowResult | None) -> Cell:
    if result is None:
        return td("–", class_="dim", title="does not count: this row is in the prompt, or was trained on")
    mark, name = ("✓", "right") if result.correct else ("✗", "wrong")
    label = f"{name}: {cut(result.said, 60)}"
    words = f"{mark} {cut(result.said, 14) or '∅'}"
    return td(button(words, class_="cell", data_cell=number, title=label, aria_label=label), class_=name)


def next_words(text: str, said: Mapping[str, str], considered: Mapping[str, Any], wanted: str, labels: Sequence[str]) -> Html:
    """For one input: every contender's answer, its most likely next tokens, and for labels how likely each one is.

    considered: by name the pair (tokens with their probabilities, the labels' shares), for the contenders that have answered so far.
    """
    rows = []
    for name, words in said.items():
        pieces, shares = considered.get(name, ((), ()))
        chips = join((join([tag("span", token(piece), class_="tok"), " ", percent(share)]) for piece, share in pieces), " ")
        cells = [td(percent(share), class_="num") for share in shares] or [td() for _ in labels]
        rows.append([name, words or "…", chips or "…", *cells])
    right = f", whose right answer is “{cut(wanted, 80)}”" if wanted else ""
    heads = ["contender", "continues with", "most likely next tokens", *(th(cut(label, 24), scope="col", class_="num") for label in labels)]
    return table(heads, rows, f"After “{cut(text, 120)}”{right}", class_="said")


def contenders_csv(scores: Mapping[str, Score]) -> str:
    """The contenders as CSV."""
    head = (
        "name", "kind", "group", "accuracy", "low", "high", "n", "loss", "token_loss", "first_choice", "agreement", "exact",
        "positions", "parameters", "examples", "seconds",
    )  # fmt: skip
    facts = [{**vars(score), "low": score.interval[0], "high": score.interval[1]} for score in scores.values()]
    return as_csv(head, [["" if fact[name] is None else fact[name] for name in head] for fact in facts])


def grid_csv(scores: Sequence[Score]) -> str:
    """Every row by every contender as CSV: what was said, whether it was right, its loss and its confidence."""
    head = ["contender", "input", "right answer", "said", "correct", "loss", "confidence"]
    rows: list[list[object]] = []
    for score in scores:
        for r in score.results:
            loss = "" if score.loss is None else round(r.loss, 5)  # only scores whose losses can be compared have one
            confidence = "" if score.kind == "majority" else round(r.confidence, 5)
            rows.append([score.name, r.input, r.output, r.said, int(r.correct), loss, confidence])
    return as_csv(head, rows)


def as_csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A CSV that a spreadsheet opens without running anything: a text that begins like a formula gets an apostrophe."""
    buffer = io.StringIO()
    made = csv.writer(buffer, lineterminator="\n")
    made.writerow(head)
    for row in rows:
        made.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in row])
    return buffer.getvalue()


def download(name: str, text: str, words: str, kind: str = "text/csv") -> Html:
    """A link that saves `text` as a file. The link holds the text, so the server keeps nothing."""
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return tag("a", words, class_="download", download=name, href=f"data:{kind};charset=utf-8;base64,{data}")


def verdicts(looked: Score, known: Sequence[Score]) -> Html:
    """A sentence and the difference for each pair with the contender `looked`, Holm-corrected over the pairs shown."""
    by_name = {score.name: score for score in known}
    right = {name: {r.input: r.correct for r in score.results} for name, score in by_name.items()}
    rows = []
    for pair in pairs(looked.name, right):
        gap = compare(looked, by_name[pair.other])
        low, high = (100 * end for end in gap.interval)
        points = td(f"{100 * gap.difference:+.0f} ", dim(f"{low:+.0f} to {high:+.0f}"), class_="num")
        rows.append([pair.other, in_words(pair), points])
    if not rows:
        return note("Score at least two contenders.")
    heads = ["against", "in words", th("points ", dim("95 % interval"), scope="col", class_="num")]
    return table(heads, rows, f"{looked.name}, against each of the others on the rows that count for both", class_="said") + note(
        f"Exact McNemar tests, two-sided, p Holm-corrected over the {len(rows)} "
        "pairs shown; the intervals are by bootstrap over rows, without correction. If you pick the best handcrafted prompt after seeing these rows, "
        "that flatters it."
    )


def label_said(result: RowResult, task: Task) -> str:
    """The label that a contender chose, as the task writes it."""
    labels = task.labels or ()
    return labels[max(range(len(labels)), key=lambda i: result.shares[i])] if result.shares else result.said


def how_counted(task: Task, label_score: str) -> Html:
    """A note on how this task's answers are counted as right. label_score: the recipe's."""
    right = (
        f"Right means: the right label is the most likely of the label words ({SETTINGS['label_score'].word(label_score)})."
        if task.labels
        else "Right means: every token of the right answer is the model's first choice. Exact means: right, and then it stops."
    )
    return note(
        f"{right} Loss: nats per answer. Groups (orders, seeds) show mean and range. "
        "All scores are in float32, by the same code, on the same rows. "
        f"{evidence.in_words(len(task.held_out))} (Exact McNemar test, p < 0.05, if a quarter of the rows are right for only one of them.)"
    )


def prompts(rows: Sequence[Handcrafted]) -> Html:
    """The full text of each prompt, folded, with a button that puts it into the field for one's own prompt."""
    items = (
        tag("dt", prompt.name, " ", button("edit", class_="cell", data_cell=place, aria_label=f"edit a copy of {prompt.name}"))
        + tag("dd", tag("pre", prompt.template))
        for place, prompt in enumerate(rows)
    )
    return details("full text of each prompt", tag("dl", *items, class_="prompts"))
