"""The ways of adapting a model as a table: for the page, and in plain text for the command line."""

from collections.abc import Sequence

from app.view.colours import inks
from app.view.html import Html, dim, note, row, share_cells, table, tag, th, wide
from app.view.text import in_list, percent, short_name
from core.display import in_words, text_table
from core.finetuning.recorded import COMMAND
from core.finetuning.result import MethodResult, SpectrumResult, Spread


def methods_table(result: SpectrumResult) -> Html:
    """A row for each method: accuracy with its 95 % interval and its range over seeds, cost, and what was forgotten."""
    ink = inks(one.name for one in result.methods)
    slugs = list(result.methods[0].forgetting.tasks_before) if result.methods else []
    rows = []
    for one in result.methods:
        cells = [
            th(tag("i", class_="dot"), one.label, scope="row", title=one.about),
            *share_cells(one.accuracy.mean, one.interval),
            *_costs(one, slugs),
        ]
        rows.append(row(cells, numbers=range(3, 12 + len(slugs)), class_="contender", style=f"--c:{ink[one.name]}"))
    heads = [
        *("method", "held-out rows right", th("% ", dim("95 % interval"), scope="col", class_="num")),
        *(th(word, scope="col", class_="num", title=hint) for word, hint in [*_HEADS, *((f"{slug}: loss +", _FORGOT) for slug in slugs)]),
    ]
    caption = f"{result.rows} held-out rows, {_seeds(result)}, {result.steps} steps of {result.batch_size} rows"
    made = wide(table(heads, rows, caption, class_="bars csv"))
    for sentence in remarks(result):
        made += note(sentence)
    return made


_FORGOT = "how much the loss grew with training, nothing before the input; 0 where the model itself is not changed"
_HEADS = (
    ("over seeds", "smallest and largest accuracy"),
    ("loss", "held out, nats per answer, mean over seeds"),
    ("parameters", "trained parameters"),
    ("rate", "the learning rate with the lowest loss on validation rows; *: at the edge of those tried"),
    ("s a step", "median"),
    ("memory", "of one training step"),
    ("to store", "for each task"),
    ("page: loss +", _FORGOT),
)


def forgotten(result: SpectrumResult) -> str:
    """What was found, in sentences: who answers best, who forgets most and who forgets nothing."""
    trained = [one for one in result.methods if one.parameters]
    if not trained:
        return "Nothing is trained yet."
    best = max(trained, key=lambda one: one.accuracy.mean)
    said = [f"{best.label[:1].upper()}{best.label[1:]} is right most often ({percent(best.accuracy.mean)} of {result.rows} held-out rows)."]
    changed = [one for one in trained if any(one.forgetting.page.values)]
    if changed:
        most = max(changed, key=lambda one: one.forgetting.page.mean)
        grew = most.forgetting.page.mean
        if grew > 0:
            said.append(
                f"{most.label[:1].upper()}{most.label[1:]} forgets most: its loss on an unrelated page grew by {grew:.2f} nats per token."
            )
        else:
            said.append("No changed model’s loss on an unrelated page grew.")
    still = [one.label for one in trained if one not in changed]
    if still:
        said.append(f"Exactly nothing is forgotten with {in_list(still)}: the model’s weights stay as they were.")
    return " ".join(said)


def origin(result: SpectrumResult) -> str:
    """Where a recorded result comes from."""
    return f"Recorded with {short_name(result.model)} on “{result.task}”, {result.device}, {result.dtype}, by {COMMAND}."


def methods_text(result: SpectrumResult) -> str:
    """The same in plain text, with its baselines."""
    slugs = list(result.methods[0].forgetting.tasks_before) if result.methods else []
    heads = ["method", "right", "95 %", *(word for word, _ in _HEADS), *(f"{slug}: loss +" for slug in slugs)]
    rows = [
        (
            one.label,
            percent(one.accuracy.mean),
            f"{100 * one.interval[0]:.0f}–{100 * one.interval[1]:.0f}",
            *_costs(one, slugs),
        )
        for one in result.methods
    ]
    lines = [text_table(heads, rows), ""]
    lines += [f"{base.name}: {percent(base.accuracy)}" for base in result.baselines]
    return "\n".join([*lines, *remarks(result)])


def _costs(one: MethodResult, slugs: Sequence[str]) -> list[str]:
    """The cells under `_HEADS`, and what was forgotten of each of the tasks `slugs`."""
    return [
        _range(one.accuracy),
        f"{one.loss.mean:.2f}",
        f"{one.parameters:,}",
        _rate(one),
        f"{one.seconds:.2f}" if one.seconds else "–",
        in_words(one.peak) if one.peak else "–",
        in_words(one.stored) if one.stored else "0",
        _change(one.forgetting.page),
        *(_change(one.forgetting.task(slug)) for slug in slugs),
    ]


def remarks(result: SpectrumResult) -> Sequence[str]:
    """What must be known to read the numbers."""
    found = [
        f"Each rate had the lowest loss on {result.validation_rows} validation rows after {result.search_steps} steps, of at least three tried.",
        f"Memory: {result.memory}.",
        "Forgetting: growth of the loss on a page of unrelated text (nats per token) and on other tasks' validation rows (per answer), "
        "with nothing before the input. Exactly 0 where the model is not changed.",
    ]
    edges = [one.label for one in result.methods if one.rate_at_edge]
    if edges:
        found.append(f"* At the edge of the rates that were tried, so one beyond may be better: {', '.join(edges)}.")
    found += [f"{one.label}: {one.note}." for one in result.methods if one.note]
    found += [f"{one.label}: {one.stopped} of {len(one.accuracy.values)} runs ended early." for one in result.methods if one.stopped]
    return [*found, *(f"Left out, {name}: {reason}" for name, reason in result.refused.items())]


def _seeds(result: SpectrumResult) -> str:
    return "1 seed" if len(result.seeds) == 1 else f"mean of {len(result.seeds)} seeds"


def _range(spread: Spread) -> str:
    return f"{100 * spread.low:.0f}–{100 * spread.high:.0f}" if len(spread.values) > 1 else "–"


def _rate(one: MethodResult) -> str:
    return f"{one.rate:g}{'*' if one.rate_at_edge else ''}" if one.rate else "–"


def _change(spread: Spread) -> str:
    """A growth of a loss; exactly none is written without a sign or decimals."""
    return f"{spread.mean:+.2f}" if any(spread.values) else "0"
