"""The Compare page's tables as HTML, and as CSV for a spreadsheet. Every text in them is escaped."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from app.view.show import colours, cut, percent, safe, token
from core.methods import METHODS
from core.runs.record import score_row
from core.scoring.measures import expected_calibration_error, in_words, pairs, spread
from core.scoring.score import Result, Score, compare
from core.tasks.task import Handcrafted, Task

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for a formula
MOST_ROWS = 300


def grouped(scores: Mapping[str, Score]) -> list[dict[str, Any]]:
    """Scores as rows of a table, those of one group (orders, seeds) as one row with their mean and range."""
    rows: dict[str, dict[str, Any]] = {}
    members: dict[str, list[dict[str, Any]]] = {}
    for score in scores.values():
        row = score_row(score, samples=False)
        if score.group:
            members.setdefault(score.group, []).append(row)
            rows.setdefault(score.group, row)
        else:
            rows[score.name] = row
    for group, several in members.items():
        if len(several) == 1:
            continue
        mean, low, high = spread([row["accuracy"] for row in several])
        told = f"{group}: mean of {len(several)}"
        losses = [row["loss"] for row in several if row["loss"] is not None]
        firsts = [row["first_choice"] for row in several if row["first_choice"] is not None]
        rows[group] = {
            **several[0],
            "name": told,
            "accuracy": mean,
            "interval": [low, high],
            "first_choice": sum(firsts) / len(firsts) if firsts else None,
            "loss": sum(losses) / len(losses) if losses else None,
            "seconds": sum(row["seconds"] for row in several),
            "members": [row["name"] for row in several],
        }
    return list(rows.values())


def measures(scores: Mapping[str, Score], labelled: bool) -> str:
    """What else was measured on the same rows: calibration, and for labels first choices, for answers stops and agreement."""
    heads = (
        ["calibration error", "first choice of all tokens"] if labelled else ["calibration error", "tokens agreeing", "right, then stops"]
    )
    lines = []
    for score in scores.values():
        if score.kind == "majority" or not score.results:
            continue
        error = expected_calibration_error([r.confidence for r in score.results], [r.correct for r in score.results])
        shares = [score.first_choice] if labelled else [score.agreement, score.exact]
        cells = [f"{error:.2f}", *("–" if share is None else percent(share) for share in shares)]
        numbers = "".join(f"<td class='num'>{cell}</td>" for cell in cells)
        lines.append(f"<tr><th scope='row'>{safe(score.name)}</th>{numbers}</tr>")
    head = "".join(f"<th scope='col' class='num'>{name}</th>" for name in heads)
    return f"<table class='said'><thead><tr><th scope='col'>contender</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def ordered_rows(scores: Sequence[Score], label: str, only_learned: bool, by_disagreement: bool) -> list[str]:
    """Inputs of the grid's rows: those of `label` ("" for all), those that only learned contenders get right, most disputed first."""
    right: dict[str, dict[str, bool]] = {}
    answers: dict[str, str] = {}
    trained = [score for score in scores if score.kind in METHODS]
    learned = {score.name for score in trained if score.examples and not score.name.startswith("control")}
    others = {score.name for score in scores} - {score.name for score in trained}  # controls are neither
    for score in scores:
        for result in score.results:
            right.setdefault(result.input, {})[score.name] = result.correct
            answers[result.input] = result.output
    chosen = [text for text in right if not label or answers[text] == label]
    if only_learned:
        chosen = [
            text for text in chosen if any(right[text].get(name) for name in learned) and not any(right[text].get(name) for name in others)
        ]
    if by_disagreement:
        chosen.sort(key=lambda text: abs(sum(right[text].values()) / len(right[text]) - 0.5))
    return chosen


def grid(scores: Sequence[Score], inputs: Sequence[str], written: Sequence[str]) -> str:
    """Examples by contenders, right and wrong. A cell carries its row, as a place in `inputs`."""
    if not scores:
        return "<p class='note'>Score the contenders first.</p>"
    if not inputs:
        return "<p class='note'>No rows match.</p>"
    colour = colours([{"name": score.name, "kind": score.kind} for score in scores], written)
    found = {score.name: {result.input: result for result in score.results} for score in scores}
    answers = {result.input: result.output for score in scores for result in score.results}
    head = "".join(
        f"<th scope='col' style='--c:{colour[score.name]}'><i class='dot'></i>{safe(cut(score.name, 40))}</th>" for score in scores
    )
    lines = []
    for number, text in enumerate(inputs[:MOST_ROWS]):
        cells = []
        for score in scores:
            result = found[score.name].get(text)
            if result is None:
                cells.append("<td class='dim' title='does not count: this row is in the prompt, or was trained on'>–</td>")
                continue
            mark, name = ("✓", "right") if result.correct else ("✗", "wrong")
            label = safe(f"{name}: {cut(result.said, 60)}")
            cells.append(
                f"<td class='{name}'><button type='button' class='cell' data-cell='{number}' title='{label}' aria-label='{label}'>"
                f"{mark} {safe(cut(result.said, 14) or '∅')}</button></td>"
            )
        lines.append(
            f"<tr><th scope='row'>{safe(cut(text, 60))}</th><td class='dim'>{safe(cut(answers[text], 24))}</td>{''.join(cells)}</tr>"
        )
    more = f"<p class='dim'>{len(inputs) - MOST_ROWS} more rows: see the CSV.</p>" if len(inputs) > MOST_ROWS else ""
    return (
        f"<table class='said grid'><caption>{len(inputs)} rows; click a cell to see what the model considered</caption><thead><tr>"
        f"<th scope='col'>input</th><th scope='col'>right answer</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>{more}"
    )


def next_words(text: str, said: Mapping[str, str], considered: Mapping[str, Any], wanted: str, labels: Sequence[str]) -> str:
    """For one input: every contender's answer, its most likely next tokens, and for labels how likely each one is.

    considered: by name the pair (tokens with their probabilities, the labels' shares), for those who were asked so far.
    """
    head = "".join(f"<th scope='col' class='num'>{safe(cut(label, 24))}</th>" for label in labels)
    lines = []
    for name, words in said.items():
        tokens, shares = considered.get(name, ((), ()))
        chips = " ".join(f"<span class='tok'>{safe(token(piece))}</span> {percent(share)}" for piece, share in tokens)
        cells = "".join(f"<td class='num'>{percent(share)}</td>" for share in shares) or "<td></td>" * len(labels)
        lines.append(f"<tr><th scope='row'>{safe(name)}</th><td>{safe(words) or '…'}</td><td>{chips or '…'}</td>{cells}</tr>")
    right = f", whose right answer is “{safe(cut(wanted, 80))}”" if wanted else ""
    return (
        f"<table class='said'><caption>After “{safe(cut(text, 120))}”{right}</caption><thead><tr><th scope='col'>contender</th>"
        f"<th scope='col'>continues with</th><th scope='col'>most likely next tokens</th>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def contenders_csv(scores: Mapping[str, Score]) -> str:
    """The contenders as CSV."""
    names = ("name", "kind", "group", "accuracy", "low", "high", "n", "loss", "token_loss", "first_choice", "agreement", "exact")
    costs = ("positions", "parameters", "examples", "seconds")
    rows = []
    for score in scores.values():
        facts = {**{k: v for k, v in vars(score).items() if k != "results"}, "low": score.interval[0], "high": score.interval[1]}
        rows.append(["" if facts[name] is None else facts[name] for name in (*names, *costs)])
    return as_csv([*names, *costs], rows)


def grid_csv(scores: Sequence[Score]) -> str:
    """Every row by every contender as CSV: what was said, whether it was right, its loss and its confidence."""
    head = ["contender", "input", "right answer", "said", "correct", "loss", "confidence"]
    rows = [
        [
            *(score.name, r.input, r.output, r.said, int(r.correct)),
            "" if score.loss is None else round(r.loss, 5),  # of label words only, or of nothing at all: no loss like the others'
            "" if score.kind == "majority" else round(r.confidence, 5),
        ]
        for score in scores
        for r in score.results
    ]
    return as_csv(head, rows)


def as_csv(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A CSV that a spreadsheet opens without running anything: a text that begins like a formula gets an apostrophe."""
    buffer = io.StringIO()
    made = csv.writer(buffer, lineterminator="\n")
    made.writerow(head)
    for row in rows:
        made.writerow([f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell for cell in row])
    return buffer.getvalue()


def download(name: str, text: str, words: str, kind: str = "text/csv") -> str:
    """A link that saves `text` as a file: it travels in the link, so the server keeps nothing."""
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return f'<a class="download" download="{safe(name)}" href="data:{kind};charset=utf-8;base64,{data}">{safe(words)}</a>'


def verdicts(looked: Score, known: Sequence[Score]) -> str:
    """A sentence for each pair with the contender that is looked at, Holm-corrected over those shown, with the difference."""
    by_name = {score.name: score for score in known}
    right = {name: {r.input: r.correct for r in score.results} for name, score in by_name.items()}
    lines = []
    for pair in pairs(looked.name, right):
        gap = compare(looked, by_name[pair.other])
        low, high = (100 * end for end in gap.interval)
        lines.append(
            f"<tr><th scope='row'>{safe(pair.other)}</th><td>{safe(in_words(pair))}</td>"
            f"<td class='num'>{100 * gap.difference:+.0f} <span class='dim'>{low:+.0f} to {high:+.0f}</span></td></tr>"
        )
    if not lines:
        return "<p class='note'>Score at least two contenders.</p>"
    return (
        f"<table class='said'><caption>{safe(looked.name)}, against each of the others on the rows that count for both</caption><thead><tr>"
        "<th scope='col'>against</th><th scope='col'>in words</th><th scope='col' class='num'>points <span class='dim'>95 % interval</span></th>"
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table><p class='note'>Exact McNemar tests, two-sided, p Holm-corrected over the {len(lines)} "
        "pairs shown; the intervals are by bootstrap over rows, without correction. If you pick the best handcrafted prompt after seeing these rows, "
        "that flatters it.</p>"
    )


def label_said(result: Result, task: Task) -> str:
    """The label that a contender chose, as the task writes it."""
    labels = task.labels or ()
    return labels[max(range(len(labels)), key=lambda i: result.shares[i])] if result.shares else result.said


def how_counted(task: Task) -> str:
    """What right means on this task, in words."""
    right = (
        "Right means: the right label is the most likely of the label words."
        if task.labels
        else "Right means: every token of the right answer is the model's first choice (we don't check whether it then stops)."
    )
    return (
        f"<p class='note'>{right} Loss: nats per answer. Groups (orders, seeds) show mean and range. "
        "All scores are in float32, by the same code, on the same rows.</p>"
    )


def prompts(rows: Sequence[Handcrafted]) -> str:
    """The prompts' texts, to be read."""
    items = "".join(f"<dt>{safe(prompt.name)}</dt><dd><pre>{safe(prompt.template)}</pre></dd>" for prompt in rows)
    return f"<details><summary>full text of each prompt</summary><dl class='prompts'>{items}</dl></details>"
