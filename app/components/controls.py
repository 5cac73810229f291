"""Controls made from the recipe's fields: default, bounds, choices and help are read from core.recipe, never written here."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any

import gradio as gr

from app.view.links import ON_PAGE
from core import LabError, Recipe
from core.methods import METHODS
from core.recipe import SETTINGS, Setting
from core.tasks.task import Task


def panel_rows() -> list[list[Setting]]:
    """The settings that are always visible, a list for each row of the panel."""
    visible = sorted((setting for setting in ON_PAGE.values() if setting.place == "panel"), key=lambda setting: setting.row)
    return [list(row) for _, row in groupby(visible, key=lambda setting: setting.row)]


def choices(setting: Setting, method: str, labelled: bool = True) -> list[tuple[str, str]]:
    """(word, value) of each choice that this method has."""
    return [(setting.word(choice), choice) for choice in setting.choices_for(method, labelled)]


def control(setting: Setting) -> Any:
    """The Gradio component for one field. Numbers have no bounds in the component: the recipe's own sentence is clearer."""
    usual = Recipe()
    default = getattr(usual, setting.name)
    shown = setting.only_with is None or setting.applies(usual.to_dict())
    common = {"label": setting.label, "info": setting.help, "elem_id": f"set-{setting.name}", "min_width": 120, "visible": shown}
    if setting.choices:
        offered = choices(setting, usual.method)
        kind = gr.Radio if len(offered) <= 2 else gr.Dropdown
        return kind(choices=offered, value=default, **common)
    if setting.kind is str:
        return gr.Textbox(value=default, max_length=4000, **common)
    return gr.Number(value=default, **common)


def recipe_from(values: dict[str, Any], task: Task) -> Recipe:
    """A recipe from what the controls hold. LabError, naming the control, for a value that can't be used.

    Settings that don't apply with these other values keep their defaults.
    """
    clean: dict[str, Any] = {"task": task.slug}
    for name, value in values.items():
        setting = SETTINGS[name]
        if value is None and setting.kind is not str:
            raise LabError(f"{setting.label} is empty: give a number.")
        clean[name] = int(value) if setting.kind is int and isinstance(value, float) and value.is_integer() else value
    if clean.get("method") in METHODS:
        usual = Recipe(method=clean["method"]).to_dict()
        clean |= {name: usual[name] for name in values if not SETTINGS[name].applies(usual | clean)}
    return Recipe.from_settings(clean)


def showing(name: str, values: Mapping[str, Any]) -> Any:
    """The update of one control on a page that shows `values`: its value, the choices of their method, whether it applies."""
    setting = SETTINGS[name]
    offered = {"choices": choices(setting, values["method"])} if setting.choices else {}
    return gr.update(value=values[name], visible=setting.applies(values), **offered)


def applying(values: Mapping[str, Any]) -> dict[str, Any]:
    """By name, an update of each control that shows it only where it applies."""
    return {name: gr.update(visible=setting.applies(values)) for name, setting in ON_PAGE.items()}


def for_method(values: Mapping[str, Any]) -> dict[str, Any]:
    """`applying` after the method was changed: fields take the method's own defaults, and a start that it does not have becomes the default."""
    method = METHODS[values["method"]]
    init = values["init"] if values["init"] in method.starts else SETTINGS["init"].default
    changed = {**values, **method.defaults, "init": init}
    return applying(changed) | {name: showing(name, changed) for name in (*method.defaults, "init")}
