"""Makes Gradio endpoints of methods: errors as sentences, and documentation from signatures, docstrings and the recipe's fields."""

import inspect
from collections.abc import AsyncIterator
from typing import Any, Literal

import gradio as gr

from app.view.links import ON_PAGE
from core import LabError

TABLE: dict[str, tuple[Any, str]] = {  # how `rows` are read; after the settings, so that older calls by position still hold
    "columns": (
        list[str] | None,
        "of rows: the columns that go in (one or more), and last the one that comes out; left out: found. A template may have a place "
        "for each, as {question}",
    ),
    "kind": (Literal["answers", "labels"] | None, "of rows: answers (free text) or labels (one of a few words); left out: found"),
    "words": (dict[str, str] | None, 'of rows: words for labels, as {"0": "negative", "1": "positive"}'),
}


def told(endpoint: Any) -> Any:
    """The endpoint as Gradio gets it: a LabError is a sentence for the caller; its types are those of one answer."""
    signature = inspect.signature(endpoint)
    hints = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    yields = inspect.isasyncgenfunction(endpoint)
    answer = getattr(signature.return_annotation, "__args__", [signature.return_annotation])[0] if yields else signature.return_annotation

    async def streamed(*given: Any) -> AsyncIterator[Any]:
        try:
            async for said in endpoint(*given):
                yield said
        except LabError as error:
            raise gr.Error(str(error), print_exception=False) from None

    async def answered(*given: Any) -> Any:
        try:
            said = endpoint(*given)
            return await said if inspect.isawaitable(said) else said
        except LabError as error:
            raise gr.Error(str(error), print_exception=False) from None

    made: Any = streamed if yields else answered
    made.__name__, made.__doc__ = endpoint.__name__, endpoint.__doc__
    made.__signature__ = signature.replace(return_annotation=answer)
    made.__annotations__ = {**hints, "return": answer}
    return made


def describe_train(train: Any) -> None:
    """Give `train` its signature and its words from the recipe's fields."""
    parameters = [
        inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request),
        inspect.Parameter("task", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str, default=""),
        inspect.Parameter("rows", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str, default=""),
        inspect.Parameter("start", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=str, default=""),
    ]
    lines = [
        "task: a built-in task's name, as /tasks lists them; left out: the task of the run to start from, or past-tense",
        "rows: rows of your own in its place: CSV, TSV, JSON, a Markdown table, or lines like `France -> Paris`, whose columns are "
        "found from their values; or a task file; up to 200,000 characters",
        "start: the handle of a run whose prompt training starts from; its method, virtual tokens and place in the text are taken",
    ]
    for name, setting in ON_PAGE.items():
        kind = Literal[setting.choices] if setting.choices else setting.kind
        own = setting.own_defaults
        default = " or ".join(f"{value} ({method})" for method, value in own.items()) if own else repr(setting.default)
        lines.append(f"{name}: {setting.help}; left out: the task's own, or {default}")
        parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=kind | None, default=None))
    for name, (annotation, words) in TABLE.items():
        lines.append(f"{name}: {words}")
        parameters.append(inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=annotation, default=None))
    train.__func__.__signature__ = inspect.Signature(
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY), *parameters], return_annotation=AsyncIterator[dict]
    )
    train.__func__.__doc__ = "\n".join(
        [
            "Train a soft prompt or K/V prefix on the frozen model, and score it on held-out rows beside handcrafted prompts.",
            "",
            "Parameters:",
            *(f"    {line}" for line in lines),
            "",
            "Returns:",
            "    progress while it trains; run is the handle that the other endpoints take; the last word has all scores",
        ]
    )
