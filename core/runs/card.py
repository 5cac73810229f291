"""The model card of a saved prompt: README.md in the Hub's form, written from what recipe.json says.

What people typed and what files say is shown as text: nothing of it is markup, and none of it stands in the front matter but
the base model's name, if that is a name of the Hub.
"""

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from core.methods import METHODS, method_name

SETTINGS = (  # of a recipe, in this order; the rest are in recipe.json
    *(
        "method",
        "virtual_tokens",
        "init",
        "init_text",
        "init_from",
        "mlp",
        "train",
        "learning_rate",
        "steps",
        "batch_size",
        "warmup",
        "schedule",
        "frames",
        "keep",
        "loss",
        "continuation",
    ),
    "end",
    *("placement", "seed", "order_seed", "dtype"),
)
MOST_ROWS = 60
LONGEST = 200
REPEAT = """import json
from core import Recipe, load_model, load_task, train

recipe = Recipe.from_dict(json.load(open("recipe.json"))["recipe"])
run = train(load_model(recipe.model, dtype=recipe.dtype), load_task(recipe.task), recipe)
print(run.scores)"""
LIMITS = """* **Other weights.** A prompt works with exactly the weights that it was trained on: with others of the same name or
  shape, for example quantised ones, it may do much worse. Compare the hash.
* **What it means.** The nearest words of its vectors mostly show only where training started: the same start, moved equally far in random
  directions, mostly has the same nearest words.
* **Other rows.** The scores are for held-out rows of one task. The intervals are for rows like these, not for other texts or
  other seeds."""


STOPS = {  # by the recipe's `end`
    "eos": "Its answers were trained to end with the model's end token, at which `generate` stops.",
    "newline": "Its answers were trained to end with a new line and then the model's end token, at which `generate` stops.",
    "none": "It was not trained to end its answers: cut them, or stop at the first new line.",
    "teacher": "It ends its answers as its teacher prompt does: stop at the first new line.",
}


def hub_name(name: object) -> str:
    """`name` if it names a repository of the Hub (owner/name) and no folder here, else "".

    >>> hub_name("HuggingFaceTB/SmolLM2-135M-Instruct"), hub_name("/home/me/model"), hub_name("x: [y]/z")
    ('HuggingFaceTB/SmolLM2-135M-Instruct', '', '')
    """
    text = name if isinstance(name, str) else ""
    good = len(text) <= 96 and re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", text, re.ASCII) and not re.search(r"--|\.\.", text)
    return text if good and not Path(text).exists() else ""


def card(config: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """README.md for a prompt with this adapter_config.json and this recipe.json, whatever the latter holds."""
    told = _Told(record)
    base, task, recipe = told.table("base"), told.table("task"), told.table("recipe")
    soft = config["peft_type"] == "PROMPT_TUNING"
    name = hub_name(base.text("name"))
    what = "Soft prompt" if soft else "K/V prefix"
    subject = task.text("name")
    parts = [
        front_matter(name, soft),
        f"# {what}{f' for “{escaped(subject)}”' if subject else ''}",
        _what(config, base, soft, recipe.text("train")),
        f"## Scores\n\n{_scores(told.rows('scores'))}",
        f"## How to load it\n\n{_loading(config, told, base)}",
        f"## How it was made\n\n{_made(told, task, recipe)}",
        f"## What this does not show\n\n{LIMITS}",
    ]
    return "\n\n".join(parts) + "\n"


def front_matter(base_model: str, soft: bool) -> str:
    """The card's YAML. base_model: a name of the Hub, or "": a folder's path means nothing to others."""
    method = "prompt-tuning" if soft else "prefix-tuning"
    data: dict[str, Any] = {"library_name": "peft", "pipeline_tag": "text-generation"}
    if base_model:
        data["base_model"] = base_model
    data["tags"] = [method, "soft-prompt-lab"] + ([f"base_model:adapter:{base_model}"] if base_model else [])
    return f"---\n{yaml.safe_dump(data, sort_keys=False, allow_unicode=True)}---"


def _what(config: Mapping[str, Any], base: "_Told", soft: bool, train: str) -> str:
    count, width = config["num_virtual_tokens"], config["token_dim"]
    size = count * width * (1 if soft else 2 * config["num_layers"])
    what = (
        f"{count} trained vectors ({size:,} parameters) before the input of a frozen language model (prompt tuning, Lester et al. 2021)."
        if soft
        else f"{_numbers(count, size, train)} before the input of a frozen language model (prefix tuning, Li & Liang 2021)."
    )
    name, weights, origin = base.text("name"), base.text("weights"), base.text("origin")
    lines = [what]
    if name:
        lines.append(f"Base model: {code(name)}{f' – here {escaped(origin)}, which are not the Hub’s weights' if origin else ''}.")
    if weights:
        lines.append(f"SHA-256 over the names and float32 values of its weights: {code(weights)}.")
    return "\n\n".join(lines)


def _numbers(count: int, size: int, train: str) -> str:
    """What a K/V prefix is made of. train: the part that was trained, as recipe.json says."""
    if train in ("keys", "values"):
        half = f"{size:,} numbers, of which the {train}, {size // 2:,}, were trained and the others are as at the start"
        return f"Keys and values of {count} positions in every layer ({half})"
    return f"Trained keys and values of {count} positions in every layer ({size:,} numbers)"


def _scores(rows: Sequence["_Told"]) -> str:
    heads = ("contender", "kind", "right", "95 % interval", "exact", "rows", "loss (nats)", "tokens in front")
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    for row in rows[:MOST_ROWS]:
        accuracy, interval, n = row.number("accuracy"), row.numbers("interval"), row.number("n")
        if not row.text("name") or accuracy is None or len(interval) != 2 or n is None:
            continue
        loss, positions, exact = row.number("loss"), row.number("positions"), row.number("exact")
        strong = "**" if method_name(row.text("kind")) in METHODS else ""
        stopped = "–" if exact is None else f"{100 * exact:.0f} %"
        lines.append(
            f"| {escaped(row.text('name'))} | {escaped(row.text('kind'))} | {strong}{100 * accuracy:.0f} %{strong} "
            f"| {100 * interval[0]:.0f}–{100 * interval[1]:.0f} % | {stopped} | {n:.0f} | {'–' if loss is None else f'{loss:.2f}'} "
            f"| {'–' if positions is None or row.text('kind') == 'majority' else f'{positions:.0f}'} |"
        )
    if len(lines) == 2:
        return "None: it was saved without having been scored."
    told = (
        "All on the same held-out rows, never used in training, in float32. Right: every token of the right answer is the model’s first "
        "choice; for labels, the right label is the most likely. Exact: right, and then the model stops (ends the text or begins a new "
        "line). Intervals: Wilson. If you pick the best handcrafted prompt after seeing these rows, that flatters it."
    )
    return "\n".join(lines) + f"\n\n{told}"


def _loading(config: Mapping[str, Any], told: "_Told", base: "_Told") -> str:
    template = told.text("template", most=20_000)
    text = template if template.count("{input}") == 1 else "{input}"
    recipe = told.table("recipe")
    end = "teacher" if recipe.text("loss") == "imitate" else recipe.text("end")
    snippet = loading_snippet(base.text("name", most=4000) or str(config["base_model_name_or_path"]), text, end)
    origin = base.text("origin")
    lines = ["With [PEFT](https://huggingface.co/docs/peft):", fenced(snippet, "python"), STOPS.get(end, STOPS["none"])]
    if origin:
        lines.append(
            f"Its scores are of {escaped(origin)}. With Soft Prompt Lab these load as `core.load_model().model`; the Hub’s weights differ "
            "a little, so the scores may, too."
        )
    lines.append('With Soft Prompt Lab: `core.runs.hub_prompts.load(".", core.load_model())`, with this folder or its name on the Hub.')
    return "\n\n".join(lines)


def loading_snippet(base: str, template: str, end: str = "none") -> str:
    """Python that loads the adapter in the present folder with PEFT and lets it answer. Every text in it is a literal.

    end: what answers were trained to end with (the recipe's).
    """
    most = 64 if end in ("eos", "newline") else 12
    return f"""from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

base, adapter = {base!r}, "."  # this folder, or its name on the Hub
tokenizer = AutoTokenizer.from_pretrained(base)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
text = {template!r}.replace("{{input}}", "your input")
inputs = tokenizer(text, return_tensors="pt")
answer = model.generate(**inputs, max_new_tokens={most}, do_sample=False)
print(tokenizer.decode(answer[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))"""


def _made(told: "_Told", task: "_Told", recipe: "_Told") -> str:
    lines = []
    if task.text("name"):
        labels = task.texts("labels")
        kind = f"one of the label words {', '.join(code(label) for label in labels[:20])}" if labels else "free text"
        lines.append(f"* Task: {escaped(task.text('name'))}; answers are {kind}.")
    if told.text("template", most=20_000):
        lines.append("* Template, around the input:\n\n" + fenced(told.text("template", most=20_000), "text", "  ") + "\n")
    begun = told.table("start")
    if begun.text("prompt"):
        lines.append(f"* Start: the saved prompt {code(begun.text('prompt'))}, SHA-256 of its float32 values {code(begun.text('sha256'))}.")
    unused = {"init", "init_text"} if begun.text("prompt") else set()
    if recipe.text("loss") == "imitate":
        teacher = fenced(recipe.text("teacher", most=20_000), "text", "  ")
        lines.append(f"* It learned to predict what the model does after this teacher prompt:\n\n{teacher}\n")
        if told.text("imitation"):
            lines.append("* How like it is:\n\n" + fenced(told.text("imitation", most=2000), "text", "  ") + "\n")
        unused |= {"teacher", "end"}
    else:
        unused |= {"continuation"}
    known = [(name, recipe.plain(name)) for name in SETTINGS if recipe.plain(name) and name not in unused]
    if known:
        lines.append("* Recipe: " + ", ".join(f"{name.replace('_', ' ')} {code(value)}" for name, value in known) + ".")
    examples, seconds, steps = told.number("examples"), told.number("seconds"), told.number("steps")
    if steps is not None:
        cost = [f"{steps:.0f} steps", *([f"{examples:.0f} training rows"] if examples else []), *([f"{seconds:.0f} s"] if seconds else [])]
        lines.append(f"* Cost: {', '.join(cost)}.")
    versions = told.table("versions")
    used = [f"{name} {versions.text(name)}" for name in ("torch", "transformers") if versions.text(name)]
    if used:
        lines.append(f"* With Soft Prompt Lab, {escaped(', '.join(used))}.")
    if known:
        lines.append("* To repeat it with Soft Prompt Lab, in this folder:\n\n" + fenced(REPEAT, "python", "  "))
    return "\n".join(lines) or "Not known: it came without a recipe."


# --- text from elsewhere, made fit for Markdown ---------------------------------------------------------------------------


def escaped(text: str) -> str:
    """Text on one line with nothing in it that Markdown or HTML would read.

    >>> print(escaped("*a* | <b>[x](y)"))
    \\*a\\* \\| \\<b\\>\\[x\\]\\(y\\)
    """
    return re.sub(r"""([\\`*_{}\[\]<>()#+.!|~&=:$@^/"'])""", r"\\\1", _line(text))


def code(text: str) -> str:
    """Text as inline code, whatever it holds; in tables, too.

    >>> code("a`b"), code("{input}")
    ('`` a`b ``', '`{input}`')
    """
    line = _line(text).replace("|", "¦")
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {line} {fence}" if longest else f"{fence}{line}{fence}"


def fenced(text: str, language: str, indent: str = "") -> str:
    """Text as a block of code, with a fence longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    plain = "".join(sign if sign.isprintable() or sign == "\t" else "\n" if sign in "\r\n" else "�" for sign in text)
    lines = [f"{fence}{language}", *plain.split("\n"), fence]
    return "\n".join(indent + line for line in lines)


def _line(text: str) -> str:
    words = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split()) or "–"
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


class _Told:
    """A table from a file that anyone may have written: what is asked for comes as the type that is asked for, or empty."""

    def __init__(self, data: object):
        self._data = data if isinstance(data, Mapping) else {}

    def table(self, name: str) -> "_Told":
        return _Told(self._data.get(name))

    def rows(self, name: str) -> list["_Told"]:
        value = self._data.get(name)
        return [_Told(row) for row in value] if isinstance(value, list) else []

    def text(self, name: str, most: int = LONGEST) -> str:
        value = self._data.get(name)
        return value[:most] if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        value = self._data.get(name)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def number(self, name: str) -> float | None:
        return _number(self._data.get(name))

    def numbers(self, name: str) -> list[float]:
        value = self._data.get(name)
        found = [_number(item) for item in value] if isinstance(value, list | tuple) else []
        return [item for item in found if item is not None]

    def plain(self, name: str) -> str:
        """A setting as text, "" where it is none."""
        value = self._data.get(name)
        return value[:LONGEST] if isinstance(value, str) else f"{value:g}" if _number(value) is not None else ""


def _number(value: object) -> float | None:
    sound = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15 and math.isfinite(value)
    return float(value) if sound else None  # type: ignore[arg-type]
