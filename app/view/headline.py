"""The results of a run in one sentence, and its recipe in one line."""

from app.view.html import EMPTY, Html, bold, details, note
from app.view.text import cut, percent, short_name
from core.runs.imitation import in_words
from core.runs.record import RunRecord
from core.scoring.measures import CHANCE
from core.scoring.score import best_handcrafted, learned_score


def headline(record: RunRecord) -> Html:
    """One sentence with the results of this run so far."""
    name = record.task["name"]
    learned = learned_score(record.scores)
    written = best_handcrafted(record.scores)
    vectors = record.recipe["virtual_tokens"]
    what = f"{record.method.described(vectors)} get"
    if learned and written and record.difference:
        gap, p = record.difference.difference, record.difference.p
        verdict = f"clearly {'better' if gap > 0 else 'worse'}" if p < CHANCE else f"too close to call on {learned.n} rows"
        return Html(
            "<b>{}:</b> {} <b>{}</b> of {} held-out rows right; the best handcrafted prompt (“{}”) <b>{}</b>: {}. {}"
        ).format(
            name, what, percent(learned.accuracy), learned.n, written.name, percent(written.accuracy), verdict,
            details("how sure?", f"Paired test on the same rows: p = {p:.2g}.", class_="made"),
        )  # fmt: skip
    if learned and learned.final:
        return Html("<b>{}:</b> {} <b>{}</b> of {} held-out rows right.").format(name, what, percent(learned.accuracy), learned.n)
    if record.validation:
        step, last = list(record.validation.items())[-1]
        words = Html("<b>{}:</b> after step {}, {} <b>{}</b> of {} validation rows right.")
        return words.format(name, step, what, percent(last.accuracy), last.n)
    return Html("<b>{}:</b> {}.").format(name, "learning" if record.step else "about to learn")


def imitated(record: RunRecord, run: str = "") -> Html:
    """How like its teacher a run's prompt became; nothing where it imitates none, or is not measured yet. run: its name, to be shown."""
    if not record.imitation:
        return EMPTY
    words = f"Compressed: {in_words(record.imitation, record.scores)}"
    return note(bold(run), ": ", words) if run else note(words)


def recipe_line(record: RunRecord) -> str:
    """A run's recipe in one line of plain text, for the caption of a figure that leaves the page."""
    recipe, base = record.recipe, record.base
    start = {
        "vocab": "sampled vocabulary",
        "text": f"the text “{cut(recipe['init_text'], 80)}”",
        "labels": "label words",
        "examples": "worked examples",
    }.get(recipe["init"], recipe["init"])
    start = f"the saved prompt “{cut(recipe['init_from'], 80)}”" if recipe.get("init_from") else start
    name = short_name(str(base.get("name", recipe["model"])))
    part = f" ({recipe['train']} alone trained)" if recipe.get("train", "both") != "both" else ""
    part += " in random frames" if recipe.get("frames", "none") == "random" else ""
    return (
        f"{record.task['name']}: {record.method.label}{part}, {recipe['virtual_tokens']} virtual tokens from {start}, learning rate {recipe['learning_rate']:g}, "
        f"{recipe['steps']} steps of {recipe['batch_size']} rows, seed {recipe['seed']}; {name}, weights {str(base.get('weights', ''))[:8]}"
    )
