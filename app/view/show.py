"""Text and numbers made fit to be shown: pure functions from data to escaped HTML."""

import datetime
import html
from collections.abc import Mapping, Sequence
from typing import Any

from app.view.glossary import explained
from core.methods import METHODS
from core.recipe import Recipe
from core.runs.record import RunRecord, best_handcrafted
from core.runs.recordings import Recording
from core.tasks.task import Task

# Okabe and Ito's colours, which colour-blind people can tell apart. A contender keeps its colour on every page and plot.
LEARNED = "#0072B2"
CONTROL = "#8A63A6"
PLAIN = "#767676"
HANDCRAFTED = ("#D55E00", "#009E73", "#B8860B", "#CC79A7", "#56A0D3", "#8B5A2B", "#5F8C2A", "#A0522D")
SPECIAL = {"control": CONTROL, "snapped": "#4C9BC8", "the start": PLAIN}  # by how their names begin
TURNS = {code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}
MARKS = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def in_order(text: object) -> str:
    """Text with the signs spelled out that would turn the reading direction of what follows it, our own numbers too.

    >>> in_order("\\u202eabc")
    '\\\\u202eabc'
    """
    return str(text).translate(TURNS)


def safe(text: object) -> str:
    """Text for HTML: nothing in it is markup."""
    return html.escape(in_order(text), quote=True)


def token(text: str) -> str:
    """A token legibly: a leading space is dropped if words follow, other white space and broken characters get a sign.

    >>> token(" the"), token("\\n"), token(" "), token("a b")
    ('the', '⏎', '␣', 'a b')
    """
    words = text[1:] if text.startswith(" ") and text.strip() else text
    blank = not words.strip()
    return "".join(_sign(sign, blank) for sign in words) or "∅"


def whole_token(text: str) -> str:
    """A token with every sign of it, its leading space too: for where the exact tokens matter.

    >>> whole_token(" the"), whole_token("a\\n")
    ('␣the', 'a⏎')
    """
    return "".join(_sign(sign, True) for sign in text) or "∅"


def _sign(sign: str, blank: bool) -> str:
    if sign == " " and not blank:
        return sign
    if sign in MARKS:
        return MARKS[sign]
    return sign if sign.isprintable() else sign.encode("unicode_escape").decode()


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def interval(row: Mapping[str, Any]) -> str:
    low, high = row["interval"]
    return f"{100 * low:.0f}–{100 * high:.0f}"


def colours(rows: Sequence[Mapping[str, Any]], written: Sequence[str]) -> dict[str, str]:
    """Name -> colour, by kind; handcrafted ones by their place in `written` (the task's own order), so always the same."""
    order = list(dict.fromkeys([*written, *(row["name"] for row in rows if row["kind"] == "handcrafted")]))
    found = {}
    for row in rows:
        if row["kind"] == "handcrafted":
            found[row["name"]] = HANDCRAFTED[order.index(row["name"]) % len(HANDCRAFTED)]
        else:
            special = next((ink for start, ink in SPECIAL.items() if row["name"].startswith(start)), LEARNED)
            found[row["name"]] = special if row["kind"] in METHODS else PLAIN
    return found


COLUMNS = (  # of a table of contenders; the last three are costs
    ("loss", "mean loss, nats per answer"),
    ("tokens", "positions before the input"),
    ("parameters", "trained parameters"),
    ("examples", "examples that it was trained on, or shows"),
    ("seconds", "seconds of training"),
)


def bars(rows: Sequence[Mapping[str, Any]], caption: str, written: Sequence[str], full: bool = False) -> str:
    """Contenders as a table with a bar and an interval each (of a group: its range). full: best first, with costs."""
    if not rows:
        return ""
    colour = colours(rows, written)
    most = max(row["n"] for row in rows)
    columns = COLUMNS if full else COLUMNS[:2]
    lines = []
    for row in sorted(rows, key=lambda row: -row["accuracy"]) if full else rows:
        low, high = (100 * end for end in row["interval"])
        share = 100 * row["accuracy"]
        growing = "" if row.get("final", True) else '<span class="dim"> …</span>'
        strong = " strong" if row["kind"] in METHODS else ""
        fewer = f' <span class="dim">of {row["n"]}</span>' if row["n"] != most else ""
        first = row.get("first_choice")
        hint = f' title="the right answer is the first choice of all tokens: {percent(first)}"' if first is not None else ""
        members = f' title="{safe(", ".join(row["members"]))}"' if "members" in row else ""
        cells = [
            "–" if row["loss"] is None else f"{row['loss']:.2f}",
            row["positions"] if row["kind"] != "majority" else "–",
            f"{row['parameters']:,}" if row["parameters"] else "–",
            row.get("examples") or "–",
            f"{row['seconds']:.0f}" if row.get("seconds") else "–",
        ]
        numbers = "".join(f'<td class="num cost">{cell}</td>' for cell in cells[: len(columns)])
        lines.append(
            f'<tr class="contender{strong}" style="--c:{colour[row["name"]]}"><th scope="row"{members}><i class="dot"></i>{safe(row["name"])}{growing}</th>'
            f'<td class="barcell"><div class="bar"><b style="width:{share:.1f}%"></b>'
            f'<u style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></u></div></td>'
            f'<td class="num"{hint}><strong>{percent(row["accuracy"])}</strong>{fewer} <span class="dim">{interval(row)}</span></td>{numbers}</tr>'
        )
    head = "".join(f'<th scope="col" class="num cost" title="{title}">{name}</th>' for name, title in columns)
    return (
        f'<table class="bars"><caption>{caption}</caption><thead><tr><th scope="col">{explained("contender")}</th><th scope="col">right answers</th>'
        f'<th scope="col" class="num">% <span class="dim">95 % interval</span></th>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )


def headline(record: RunRecord) -> str:
    """One sentence with the results of this run so far."""
    name = safe(record.task["name"])
    learned = next((row for row in record.scores if row["kind"] in METHODS), None)
    written = best_handcrafted(record.scores)
    vectors = record.recipe["virtual_tokens"]
    what = f"{record.method.described(vectors)} get"
    if learned and written and record.difference:
        gap, p = record.difference["difference"], record.difference["p"]
        verdict = f"clearly {'better' if gap > 0 else 'worse'}" if p < 0.05 else f"too close to call on {learned['n']} rows"
        return (
            f"<b>{name}:</b> {what} <b>{percent(learned['accuracy'])}</b> of {learned['n']} held-out rows right; the best handcrafted "
            f"prompt (“{safe(written['name'])}”) <b>{percent(written['accuracy'])}</b>: {verdict} "
            f'<span class="dim">(paired, p = {p:.2g})</span>.'
        )
    if learned and learned.get("final", True):
        return f"<b>{name}:</b> {what} <b>{percent(learned['accuracy'])}</b> of {learned['n']} held-out rows right."
    if record.validation:
        last = record.validation[-1]
        return f"<b>{name}:</b> after step {last['step']}, {what} <b>{percent(last['accuracy'])}</b> of {last['n']} validation rows right."
    return f"<b>{name}:</b> {'learning' if record.step else 'about to learn'}."


MOST_SQUARES = 12  # vectors drawn as squares


def ladder(rows: Sequence[Mapping[str, Any]], task: Task, record: RunRecord) -> str:
    """The result of a run at a glance: accuracy with no prompt, the best instruction, the best worked examples, and the learned prompt,
    each with its text. rows: scores on the same rows."""
    written = [row for row in rows if row["kind"] == "handcrafted"]
    shown = [
        ("no prompt", next((row for row in rows if row["kind"] == "none"), None)),
        ("the best instruction", best_handcrafted([row for row in written if not row.get("examples")])),
        ("the best with examples", best_handcrafted([row for row in written if row.get("examples")])),
        (record.method.described(record.recipe["virtual_tokens"]), next((row for row in rows if row["kind"] in METHODS), None)),
    ]
    colour = colours(rows, record.task["handcrafted"])
    known = [(told, row) for told, row in shown if row]
    if not any(row["kind"] in METHODS for _, row in known):
        return ""
    rungs = []
    for told, row in known:
        low, high = (100 * end for end in row["interval"])
        mine = row["kind"] in METHODS
        rungs.append(
            f'<li class="rung{" mine" if mine else ""}" style="--c:{colour[row["name"]]}"><strong>{percent(row["accuracy"])}</strong>'
            f'<span class="told">{told}</span><div class="bar"><b style="width:{100 * row["accuracy"]:.1f}%"></b>'
            f'<u style="left:{low:.1f}%;width:{max(high - low, 0.5):.1f}%"></u></div>{_as_it_reads(row, task, record)}</li>'
        )
    what = "Accuracy with each kind of prompt"
    return f'<p class="ladder-name">{what}</p><ol class="ladder" aria-label="{what}">{"".join(rungs)}</ol>'


def _as_it_reads(row: Mapping[str, Any], task: Task, record: RunRecord) -> str:
    """The text before and after an input, on one line; a learned prompt as squares."""
    mine = row["kind"] in METHODS
    template = next((prompt.template for prompt in task.handcrafted if prompt.name == row["name"]), "")
    template = template or record.recipe["template"] or task.template
    before, _, after = template.partition("{input}")
    text = task.held_out[0].input if task.held_out else "…"
    count = record.recipe["virtual_tokens"]
    squares = f'<i class="squares">{"■" * min(count, MOST_SQUARES)}{"…" if count > MOST_SQUARES else ""}</i> ' if mine else ""
    gaps = [" " if edge.isspace() else "" for edge in (before[-1:], after[:1])]  # line breaks, too
    words = f"{safe(cut(before, 40))}{gaps[0]}<b>{safe(cut(text, 36))}</b>{gaps[1]}{safe(cut(after, 24))}"
    return f'<code title="{safe(template.replace("{input}", text))}">{squares}{words}</code>'


def gallery(recordings: Sequence[Recording], shown: Recipe | None) -> str:
    """The recorded runs to choose from, each with what it shows; the one whose recipe is shown is marked."""
    if not recordings:
        return ""
    stories = "".join(
        f'<button type="button" class="story" data-cell="{i}" aria-pressed="{"true" if one.recipe == shown else "false"}">'
        f"<b>{safe(one.title)}</b><span>{safe(one.told)}</span></button>"
        for i, one in enumerate(recordings)
    )
    return f'<p class="gallery-name">Recorded runs</p><div class="gallery" role="group" aria-label="Recorded runs">{stories}</div>'


def day(date: str) -> str:
    """An ISO date in words; any other text unchanged.

    >>> day("2026-11-24"), day("then")
    ('24 Nov 2026', 'then')
    """
    try:
        found = datetime.date.fromisoformat(date)
    except ValueError:
        return date
    return f"{found.day} {found:%b %Y}"


def _made(record: RunRecord) -> str:
    """The date and model of a recording, with the other details folded."""
    made, base = record.recorded, record.base
    rest = f"weights {base['weights'][:12]}, {base['device']}, {base['dtype']}, {record.seconds:.0f} s of training, "
    rest += f"{made['version']}, {made['libraries']}, {made['machine']}"
    return (
        f"Recorded {safe(day(made['date']))} with {safe(short_name(base['name']))} · "
        f'<details class="made"><summary>details</summary>{safe(rest)}</details>'
    )


def short_name(model: str) -> str:
    """A model's name without its owner or folder."""
    return model.rsplit("/", 1)[-1]


def progress(record: RunRecord, status: str, others: int, left: float | None, wait: float | None = None) -> str:
    """Where the run is, as a bar and words. others: sessions before this one, or that share the device with it. left: seconds
    to its end. wait: seconds to its beginning."""
    steps = record.recipe["steps"]
    done = record.step
    if record.recorded:
        words = _made(record)
    elif record.loaded:
        words = f"Loaded from a file: {record.parameters:,} parameters."
    elif status == "waiting":
        soon = f", about {max(1, round(wait))} s" if wait is not None else ""
        words = f"Waiting for the device: {others} before you{soon}." if others else "Starting …"
    elif status == "paused":
        words = f"Paused at step {done} of {steps}."
    elif status == "running" and (done >= steps or record.scores):
        words = f"Step {done} of {steps}. Scoring the held-out rows, once …"
    elif status == "running":
        share = f", sharing the device with {others} other{'s' if others > 1 else ''}" if others else ""
        words = f"Step {done} of {steps}{f', about {left:.0f} s left' if left is not None else ''}{share}."
    elif status == "cancelled":
        words = f"Stopped at step {done} of {steps}, without scoring the held-out rows."
    elif status == "failed":
        words = "This run ended early."
    else:
        words = f"{done} steps, {record.seconds:.0f} s of training, {record.parameters:,} trained parameters."
        if record.stopped:
            words += (
                f" You stopped it at step {done}." if record.stopped.startswith("stopped") else f" Ended early: {safe(record.stopped)}."
            )
    return f'<div class="progress" role="status"><div class="track"><b style="width:{100 * done / max(steps, 1):.1f}%"></b></div><span>{words}</span></div>'


def examples(rows: Sequence[tuple[str, str]], teaches: str, counts: str, notes: Sequence[str]) -> str:
    """A task's first rows."""
    lines = "".join(f"<tr><td>{safe(cut(a, 90))}</td><td>→ {safe(cut(b, 40))}</td></tr>" for a, b in rows)
    told = "".join(f'<p class="note">{safe(note)}</p>' for note in notes)
    return f'<div class="examples"><p>{safe(teaches)}</p><table><tbody>{lines}</tbody></table><p class="dim">{safe(counts)}</p>{told}</div>'


def chips(record: RunRecord, step: int, chosen: int | None) -> str:
    """The nearest token of every vector at a step with the control's, and what they show."""
    if not record.method.in_embedding_space:
        return (
            '<p class="note">A K/V prefix is keys and values inside every layer, not vectors among the word embeddings: it has no nearest tokens. '
            "The plot shows its values in the middle layer among those of real words.</p>"
        )
    if not record.readings:
        return ""
    reading, start = record.readings[step], record.readings[0]
    cells = []
    for i, (ids, cosines) in enumerate(zip(reading.ids, reading.cosine, strict=True)):
        words = [token(record.texts[t]) for t in ids]
        title = (
            f"vector {i + 1}: " + ", ".join(f"{w} {c:.2f}" for w, c in zip(words, cosines, strict=True)) + f"; moved {reading.moved[i]:.2f}"
        )
        changed = "" if ids[0] == start.ids[i][0] else " changed"
        picked = ' aria-pressed="true"' if chosen == i else ' aria-pressed="false"'
        cells.append(
            f'<button type="button" class="chip{changed}" data-token="{i}"{picked} title="{safe(title)}"><small>{i + 1}</small>'
            f"<span>{safe(words[0])}</span><em>{cosines[0]:.2f}</em>"
            f'<i title="the control: the same start, moved equally far in a random direction">{safe(token(record.texts[reading.control_ids[0][i]]))} '
            f"{reading.control_cosine[0][i]:.2f}</i></button>"
        )
    return f'<div class="chips" role="group" aria-label="nearest token of each vector">{"".join(cells)}</div><p class="note">{nearest_verdict(record, step)}</p>'


def numbers(count: int, chosen: int | None) -> str:
    """A button for every virtual token: the chosen one is lit everywhere."""
    buttons = "".join(
        f'<button type="button" class="number" data-token="{i}" aria-pressed="{"true" if chosen == i else "false"}">{i + 1}</button>'
        for i in range(count)
    )
    return f'<div class="numbers" role="group" aria-label="virtual token">{buttons}</div>'


def recipe_line(record: RunRecord) -> str:
    """A run's recipe in one line of plain text, for the caption of a figure that leaves the page."""
    recipe, base = record.recipe, record.base
    start = {"vocab": "sampled vocabulary", "text": f"the text “{cut(recipe['init_text'], 80)}”", "labels": "label words"}.get(
        recipe["init"], recipe["init"]
    )
    name = str(base.get("name", recipe["model"])).rsplit("/", 1)[-1]
    return (
        f"{record.task['name']}: {record.method.label}, {recipe['virtual_tokens']} virtual tokens from {start}, learning rate {recipe['learning_rate']:g}, "
        f"{recipe['steps']} steps of {recipe['batch_size']} rows, seed {recipe['seed']}; {name}, weights {str(base.get('weights', ''))[:8]}"
    )


def token_list(tokens: Sequence[str]) -> str:
    """Tokens side by side, each with every sign of it."""
    return " ".join(f"<span class='tok'>{safe(whole_token(text))}</span>" for text in tokens)


def visible(text: str) -> str:
    """Text on one line, with a sign for every line break, tab and unprintable character in it."""
    return "".join(_sign(sign, False) for sign in text)


def nearest_verdict(record: RunRecord, step: int) -> str:
    """What the nearest tokens show, in words: the learned prompt compared with the control."""
    if not record.start_known:
        return (
            "This prompt's start is not known (no recipe, or other weights), so there is no control: its nearest tokens alone show little."
        )
    reading, start = record.readings[step], record.readings[0]
    total = len(reading.ids)
    first = [ids[0] for ids in start.ids]
    kept = sum(ids[0] == was for ids, was in zip(reading.ids, first, strict=True))
    control = sum(now == was for now, was in zip(reading.control_ids[0], first, strict=True))
    if step == 0:
        return "Before training each vector is where it starts. Large: its nearest token (cosine). Small and violet: the control, once it moves."
    words = f"{kept} of {total} vectors are still nearest to the same token as at the start; "
    words += f"so are {control} of {total} vectors pushed equally far at <b>random</b> (violet). "
    if kept == total and control == total:
        return words + "So the nearest tokens show only where training started, not what was learned."
    if abs(kept - control) <= max(1, total // 5):
        return words + "The control does about the same, so this reading shows little about what was learned."
    if kept < control:
        return words + "Training changed more of them than a random move of the same lengths would: its direction matters here."
    return words + "Training changed fewer of them than a random move of the same lengths would."


def skipped(record: RunRecord) -> str:
    """Handcrafted prompts that could not be scored, and why."""
    return "".join(f'<p class="note">“{safe(name)}” was not scored: {safe(reason)}</p>' for name, reason in record.skipped.items())


def samples(record: RunRecord, step: int) -> str:
    """Answers on validation rows at a step, with those of the best handcrafted prompt."""
    seen = [entry for entry in record.validation if entry["step"] <= step]
    if not seen:
        return '<p class="dim">Answers on validation rows appear after the first few steps.</p>'
    now, line = seen[-1], best_handcrafted(record.lines)
    other = {row[0]: row for row in line["samples"]} if line else {}
    head = f"<th scope='col'>{safe(line['name'])}</th>" if line else ""
    rows = []
    for text, answer, said, right in now["samples"][:8]:
        beside = _said(other[text]) if text in other else "<td></td>" if line else ""
        rows.append(
            f"<tr><td>{safe(cut(text, 70))}</td><td class='dim'>{safe(cut(answer, 30))}</td>{_said([text, answer, said, right])}{beside}</tr>"
        )
    return (
        f"<table class='said'><caption>What it says on validation rows, step {now['step']}</caption><thead><tr><th scope='col'>input</th>"
        f"<th scope='col'>right answer</th><th scope='col'>learned</th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def _said(row: Sequence[Any]) -> str:
    mark, name = ("✓", "right") if row[3] else ("✗", "wrong")
    return f'<td class="{name}"><span aria-label="{name}">{mark}</span> {safe(cut(row[2], 30) or "∅")}</td>'


def cut(text: str, most: int) -> str:
    """`text` on one line, at most so many characters."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 1] + "…"


def message(text: str) -> str:
    """A sentence about something to put right, or nothing."""
    return f'<p class="message" role="alert">{safe(text)}</p>' if text else ""


def lesson_link(lesson: str, words: str) -> str:
    """A link to a lesson, in a new tab, so that work on this page continues."""
    return f'<p class="lesson-link"><a href="?lesson={lesson}" target="_blank" rel="noopener">Lesson: {safe(words)}</a></p>'
