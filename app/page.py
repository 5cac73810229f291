"""The whole page: header, tabs, theme, and what is shared between them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import gradio as gr

from core.model import LanguageModel

from . import show
from .compare_page import ComparePage
from .components import PLOTLY, html
from .inspect_page import InspectPage
from .session import Lab, Session, recorded_run
from .task_page import TaskPage
from .train_page import TrainPage

ASSETS = Path(__file__).resolve().parent.parent / "assets"

THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.blue,
    neutral_hue=gr.themes.colors.slate,
    font=["Inter", "system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"],
    radius_size=gr.themes.sizes.radius_md,
    spacing_size=gr.themes.sizes.spacing_sm,
)


def build(load: Callable[[], LanguageModel], name: str, dtype: str, allow_hub: bool = False) -> gr.Blocks:
    """The page over an engine that loads its model in the background. name: the model's, shown while it loads. dtype: of
    training. allow_hub: visitors may name datasets of the Hub, which this server then fetches."""
    gr.set_static_paths([PLOTLY])
    lab = Lab(load, name, dtype)
    recording = recorded_run()
    with gr.Blocks(title="Soft Prompt Lab", analytics_enabled=False, delete_cache=(3600, 3600), fill_width=True) as page:
        session = gr.State(Session())
        with gr.Row(elem_classes="top"):
            html(
                '<h1>Soft Prompt Lab</h1><p class="lead">A few trained vectors in front of the input can do what worked examples do. '
                "Train them live on a frozen language model, put them beside prompts that people write, and look inside.</p>"
            )
            status = html(_status(lab, name), elem_id="status")
        with gr.Tabs(selected="train") as tabs:
            with gr.Tab("Train", id="train"):
                train = TrainPage(lab, recording)
            with gr.Tab("Compare", id="compare"):
                compare = ComparePage(lab)
            with gr.Tab("Inspect", id="inspect"):
                inspect = InspectPage(lab, recording)
            with gr.Tab("Your task", id="task"):
                own = TaskPage(lab, allow_hub)

        visitors: dict[str, str] = {}  # Gradio's session hash -> our session

        def leave(request: gr.Request) -> None:
            gone = visitors.pop(str(request.session_hash), None)
            if gone:
                lab.engine.leave(gone)
                inspect.forget(gone)

        page.unload(leave)

        def elsewhere(session: Session) -> list[object]:
            return [*compare.paint(session), *inspect.paint(session)]

        train.wire(session, elsewhere, [*compare.outputs, *inspect.outputs])
        compare.wire(session)
        own.wire(session, train, tabs, elsewhere, [*compare.outputs, *inspect.outputs])
        train.own.click(lambda: gr.Tabs(selected="task"), None, [tabs], show_progress="hidden", queue=False, api_visibility="private")
        inspect.wire(session, train)

        async def watch(session: Session, request: gr.Request) -> AsyncIterator[str]:
            visitors[str(request.session_hash)] = session.id
            while lab.engine.lm is None and not lab.engine.problem:
                yield _status(lab, name)
                await asyncio.sleep(0.5)
            lab.prepare(session.task)
            yield _status(lab, name)

        page.load(watch, [session], [status], show_progress="hidden", concurrency_limit=None, api_visibility="private")
        page.load(elsewhere, [session], [*compare.outputs, *inspect.outputs], show_progress="hidden", api_visibility="private")
    page.queue(default_concurrency_limit=None)
    return page


def _status(lab: Lab, name: str) -> str:
    lm = lab.engine.lm
    short = show.safe((lm.name if lm else name).rsplit("/", 1)[-1])
    if lab.engine.problem:
        return f'<p class="status bad">{show.safe(lab.engine.problem)}</p>'
    if lm is None:
        return f'<p class="status" role="status"><i class="pulse"></i>{short} is loading; what you see is a recording of a real run</p>'
    return (
        f'<p class="status" role="status"><i class="ok"></i>{short} · {lm.device.type} · {lm.dtype_name} · {lm.layers} layers, frozen</p>'
    )
