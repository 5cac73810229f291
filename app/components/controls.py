"""Controls made from the recipe's fields: default, bounds, choices and help are read from core.recipe, never written here."""

from dataclasses import fields
from typing import Any

import gradio as gr

from core import LabError, Recipe
from core.recipe import default_of
from core.tasks.task import Task

IN_SIGHT = (("method",), ("virtual_tokens", "steps"), ("init",), ("init_text",), ("learning_rate", "seed"))  # rows of the panel
HIDDEN = ("task", "model", "dtype")  # the page's own choices, or the server's
SETTINGS = tuple(spec.name for spec in fields(Recipe) if spec.name not in HIDDEN)
WORDS = {
    "prompt": "soft prompt",
    "prefix": "K/V prefix",
    "vocab": "sampled vocabulary",
    "random": "random numbers",
    "text": "a text",
    "labels": "label words",
    "vocabulary": "all tokens",
}


def control(name: str) -> Any:
    """The Gradio component for one field. Numbers have no bounds in the component: the recipe's own sentence is clearer."""
    spec = Recipe.__dataclass_fields__[name]
    facts, default = spec.metadata, default_of(name)
    common = {"label": facts["label"], "info": facts["help"], "elem_id": f"set-{name}", "min_width": 120}
    if "choices" in facts:
        choices = [(WORDS.get(choice, choice), choice) for choice in facts["choices"]]
        kind = gr.Radio if len(choices) <= 2 else gr.Dropdown
        return kind(choices=choices, value=default, **common)
    if isinstance(default, str):
        return gr.Textbox(value=default, max_length=2000, visible=name != "init_text", **common)
    return gr.Number(value=default, **common)


def recipe_from(values: dict[str, Any], task: Task) -> Recipe:
    """A recipe from what the controls hold. LabError, naming the control, for a value that can't be used."""
    clean: dict[str, Any] = {"task": task.slug}
    for name, value in values.items():
        whole = isinstance(default_of(name), int)
        if value is None and not isinstance(default_of(name), str):
            raise LabError(f"{Recipe.__dataclass_fields__[name].metadata['label']} is empty: give a number.")
        clean[name] = int(value) if whole and isinstance(value, float) and value.is_integer() else value
    if clean.get("init") != "text":
        clean["init_text"] = ""
    if clean.get("method") == "prompt":
        clean["mlp"] = 0
    return Recipe.from_dict(clean)
