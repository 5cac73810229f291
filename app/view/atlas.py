"""The recorded results as Markdown: the table of the README, and what the rule for defaults says."""

from collections.abc import Iterable

from app.view.text import percent
from core.recipe import SETTINGS
from core.scoring.measures import wilson
from core.sweeps.atlas import METHODS, SIZES, Atlas
from core.sweeps.defaults import Choice
from core.sweeps.grid import Cell, word_of
from core.sweeps.outcome import SweepResult
from core.sweeps.result import Baseline, Part

HEADS = ("no prompt", "best without examples", "best with examples", "soft prompt, 10 vectors", "K/V prefix of 10")
TOKENS = SIZES["virtual_tokens"][0]


def table_lines(atlas: Atlas) -> list[str]:
    """A line for each task. Intervals: over rows for what is not trained, over seeds for what is."""
    rows = [_line(slug, found) for slug, found in atlas.tasks.items()]
    return [f"| task (held-out rows) | {' | '.join(HEADS)} |", "|" + "---|" * (1 + len(HEADS)), *rows]


def _line(slug: str, found: SweepResult) -> str:
    lines = list(found.baselines.values())
    written = [one for one in lines if one.kind == "handcrafted"]
    best = [
        _best(one for one in lines if one.kind == "none"),
        _best(one for one in written if not one.examples),
        _best(one for one in written if one.examples),
    ]
    n = max(run.held_out.n for run in found.runs)
    cells = [*(_untrained(one.held_out) if one else "–" for one in best), *(_trained(found, method) for method in METHODS)]
    return f"| `{slug}` ({n}) | {' | '.join(cells)} |"


def _best(of: Iterable[Baseline]) -> Baseline | None:
    """Chosen after seeing the scores, which flatters it."""
    return max(of, key=lambda one: one.held_out.accuracy, default=None)


def _untrained(part: Part) -> str:
    low, high = wilson(round(part.accuracy * part.n), part.n)
    return f"{percent(part.accuracy)} ({100 * low:.0f}-{100 * high:.0f}){_exact(part.exact)}"


def _trained(found: SweepResult, method: str) -> str:
    one = found.summary_of(Cell((("method", method), ("virtual_tokens", TOKENS))))
    if one is None:
        return "–"
    right, exact = one.measures["held_out_accuracy"], one.measures["held_out_exact"]
    reach = f" ({100 * right.low:.0f}-{100 * right.high:.0f})" if right.n > 1 else ""
    return f"**{percent(right.mean)}**{reach}{_exact(exact.mean if exact.n else None)}"


def _exact(share: float | None) -> str:
    return "" if share is None else f", exact {percent(share)}"


def choice_lines(choices: Iterable[Choice]) -> list[str]:
    """A line for each method and setting: mean accuracy by value, and what the rule says."""
    heads = "| method | setting | accuracy on validation rows, mean over tasks (gain over the default, 95 % over tasks) | tasks | default |"
    return [heads, "|" + "---|" * 5, *(_choice_line(one) for one in choices)]


def _choice_line(one: Choice) -> str:
    told = []
    for value, mean in sorted(one.means.items(), key=lambda item: str(item[0]) if isinstance(item[0], str) else item[0]):
        gain = one.gains[value]
        more = "" if value == one.present else f" ({100 * gain.mean:+.0f}, {100 * gain.low:+.0f} to {100 * gain.high:+.0f})"
        told.append(f"{word_of(one.setting, value)}: {percent(mean)}{more}")
    kept = word_of(one.setting, one.present)
    default = kept if one.stays else f"{kept} → {word_of(one.setting, one.found)}"
    return f"| {SETTINGS['method'].word(one.method)} | {SETTINGS[one.setting].label} | {', '.join(told)} | {one.tasks} | {default} |"
