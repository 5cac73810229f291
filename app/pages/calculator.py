"""How many parameters each way of adapting a model trains: for the loaded model, for well-known ones, or any sizes typed in."""

from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, Changes, begin_with, drawn, html, plot
from app.sessions.lab import Lab
from app.view import figures
from app.view.html import alert, note, tag
from app.view.sizes import sizes_table, textbook
from core import LabError
from core.finetuning.parameters import spectrum
from core.models.sizes import Shape

LOADED = "the loaded model"
PRESETS = {
    "GPT-2 (124M)": Shape(768, 12, 12, 12, 64, 124_439_808),
    "Llama-2-7B": Shape(4096, 32, 32, 32, 128, 6_738_415_616),
    "d = 4096, as textbooks count": Shape(4096, 32, 32, 32, 128, 7_000_000_000),
}
TABLE = (10, 20, 50, 100)  # virtual tokens, as textbooks list them
FIELDS = {  # label, default, most
    "d_model": ("d_model", 4096, 10**6),
    "layers": ("layers", 32, 10**4),
    "heads": ("heads", 32, 10**4),
    "kv_heads": ("K/V heads", 32, 10**4),
    "head_dim": ("d_head", 128, 10**5),
    "parameters": ("the model’s own parameters", 7_000_000_000, 10**14),
    "tokens": ("virtual tokens", 10, 10**5),
    "mlp": ("MLP size (0: none)", 0, 10**6),
    "rank": ("LoRA rank", 8, 10**5),
    "adapter": ("adapter size", 64, 10**6),
}
SHAPE = ("d_model", "layers", "heads", "kv_heads", "head_dim", "parameters")


class Calculator:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab):
        self.lab = lab
        html(tag("h4", "Any model") + note("Choose a model or type its sizes; the counts update."))
        self.preset = gr.Dropdown([LOADED, *PRESETS], value=list(PRESETS)[-1], label="model", elem_id="sizes-preset")
        self.fields: dict[str, Any] = {}
        for names in (SHAPE, tuple(name for name in FIELDS if name not in SHAPE)):
            with gr.Row(elem_classes="settings sizes"):
                for name in names:
                    label, value, _ = FIELDS[name]
                    self.fields[name] = gr.Number(value, label=label, precision=0, elem_id=f"size-{name}", min_width=90)
        self.message = html(elem_id="sizes-message")
        self.plot = plot(elem_id="sizes-plot")
        self.table = html(elem_id="sizes-table")
        begin_with(self.count(*(value for _, value, _ in FIELDS.values())))

    def count(self, *values: Any) -> Changes:
        """Message, figure and table for what the fields hold."""
        try:
            given = {name: _whole(name, value) for name, value in zip(FIELDS, values, strict=True)}
        except LabError as error:
            return {self.message: alert(str(error))}
        shape = Shape(*(given[name] for name in SHAPE))
        sizes = spectrum(shape, given["tokens"], given["rank"], given["adapter"], given["mlp"])
        return {
            self.message: "",
            self.plot: drawn(figures.spectrum(sizes, "this model")),
            self.table: sizes_table(sizes) + textbook(shape, TABLE),
        }

    def choose(self, name: Any, *values: Any) -> Changes:
        """The fields of a preset, and its counts."""
        shape = PRESETS.get(name) if isinstance(name, str) else None
        if name == LOADED and self.lab.engine.lm is not None:
            shape = self.lab.engine.lm.shape
        if shape is None:
            return {self.message: alert("The model is still loading: choose another, or wait for it.")}
        chosen = {**dict(zip(FIELDS, values, strict=True)), **{name: getattr(shape, name) for name in SHAPE}}
        return {**{self.fields[name]: value for name, value in chosen.items()}, **self.count(*chosen.values())}

    def wire(self) -> None:
        fields, shown = list(self.fields.values()), [self.message, self.plot, self.table]
        self.preset.input(self.choose, [self.preset, *fields], [*fields, *shown], **NEWEST)
        for field in fields:
            field.input(self.count, fields, shown, **NEWEST)


def _whole(name: str, value: Any) -> int:
    """A field's value. LabError, naming the field, where it is no whole number in its bounds."""
    label, _, most = FIELDS[name]
    low = 0 if name == "mlp" else 1
    number = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= most and float(value).is_integer()
    if not number:
        raise LabError(f"{label} is empty or out of bounds: give a whole number from {low} to {most:,}.")
    return int(value)
