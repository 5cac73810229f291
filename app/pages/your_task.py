"""The Your task page: bring rows, see exactly which tokens the model gets and must produce, and use them everywhere."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, Changes, html
from app.pages.train import TrainPage
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.view import tables
from app.view.html import Html, alert, join, note, table, tag, td, tokens
from app.view.text import cut
from core import LabError
from core.models.language_model import LanguageModel
from core.scoring.rows import encode
from core.tasks.columns import Columns, decide
from core.tasks.from_table import task_from_table
from core.tasks.hub_rows import load_hub_table
from core.tasks.load import table_or_task
from core.tasks.reader import read_bytes, read_table
from core.tasks.table import Table
from core.tasks.task import Task
from core.tasks.task_file import task_to_json

NONE = "(none)"
MOST_PASTED = 200_000  # characters
PREVIEWED = 5


class TaskPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, allow_hub: bool):
        self.lab, self.allow_hub = lab, allow_hub
        self.fetching = asyncio.Lock()  # one dataset at a time, for all visitors
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                self.pasted = gr.Textbox(
                    label="paste rows",
                    info="From a spreadsheet, as CSV or JSON lines, or as lines like: France -> Paris",
                    lines=6,
                    max_lines=12,
                    max_length=MOST_PASTED,
                    elem_id="paste",
                )
                self.read = gr.Button("Read these rows", elem_id="read-rows", min_width=120)
                self.upload = gr.File(
                    label="or a file: CSV, TSV, Excel, JSON, or a task saved here; up to 20 MB", height=120, elem_id="upload-task"
                )
                self.hub = gr.Textbox(
                    label="or a dataset of the Hub", info="owner/name or owner/name:config", visible=allow_hub, elem_id="hub"
                )
                self.fetch = gr.Button("Read it", visible=allow_hub, elem_id="read-hub", min_width=120)
                with gr.Row(elem_classes="settings"):
                    self.input = gr.Dropdown(label="input columns", choices=[], multiselect=True, elem_id="input-column", min_width=120)
                    self.output = gr.Dropdown(label="output column", choices=[], elem_id="output-column", min_width=120)
                with gr.Row(elem_classes="settings"):
                    self.kind = gr.Radio(
                        [("free answers", "answers"), ("labels", "labels")], value="answers", label="outputs", elem_id="kind"
                    )
                    self.split = gr.Dropdown(label="split column", choices=[NONE], value=NONE, elem_id="split-column", min_width=110)
                self.template = gr.Textbox(
                    label="template",
                    info="The text around {input}; empty: the usual one",
                    lines=2,
                    max_length=2000,
                    elem_id="task-template",
                )
                self.words = gr.Textbox(
                    label="label words",
                    info="A line for each: label = word",
                    lines=3,
                    max_length=4000,
                    visible=False,
                    elem_id="label-words",
                )
                self.use = gr.Button("Use this task", variant="primary", interactive=False, elem_id="use-task", min_width=120)
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="task-message")
                self.preview = html(WELCOME, elem_id="task-preview")
                self.saved = html(elem_id="task-download")
        self.columns = [self.input, self.output, self.kind, self.split, self.template]
        self.result = [self.message, self.preview, self.use, self.words, self.saved]

    def wire(
        self, session: gr.State, train: TrainPage, tabs: gr.Tabs, paint_others: Callable[[Session], Changes], other_outputs: list[Any]
    ) -> None:
        """train: the Train page, which takes the task up. paint_others: what the other pages show then."""
        self.tabs = tabs
        outputs = [*self.columns, *self.result]
        self.read.click(self._paste, [session, self.pasted], outputs, **QUIET)
        self.upload.upload(self._file, [session, self.upload], outputs, **QUIET)
        if self.allow_hub:  # a hidden button could still be pressed by hand
            self.fetch.click(self._hub, [session, self.hub], outputs, **QUIET)
        inputs = [session, *self.columns, self.words]
        for control in (self.input, self.output, self.kind, self.split):
            # Other outputs have other labels, so their words are filled in anew.
            handler = self._anew if control in (self.output, self.kind) else self._change
            control.input(handler, inputs, self.result, trigger_mode="always_last", **QUIET)
        for text in (self.template, self.words):  # change, since a text that is put in at once counts as no input
            text.change(self._typed, inputs, self.result, trigger_mode="always_last", **QUIET)

        def take(session: Session) -> Changes:
            return train.take_task(session, lambda: session.your_task.draft or session.task)

        self.use.click(self._use, [session], [tabs, self.message, self.saved], **QUIET).success(
            take, [session], [train.message, *train.set_up_outputs], **QUIET
        ).then(paint_others, [session], other_outputs, **QUIET)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _paste(self, session: Session, text: Any) -> Changes:
        data = str(text or "").encode("utf-8", "replace")
        return self._read(session, lambda: read_table(data, "your rows"))

    def _file(self, session: Session, path: Any) -> Changes:
        def read() -> Table | Task:
            if not path:
                raise LabError("No file arrived: choose one.")
            return table_or_task(read_bytes(Path(path)), Path(path).name)

        return self._read(session, read)

    async def _hub(self, session: Session, name: Any) -> Changes:
        if self.fetching.locked():
            return {self.message: alert("Another dataset is being fetched: try again in half a minute.")}
        async with self.fetching:
            try:  # in a thread of its own: the engine's thread would keep other sessions waiting
                table = await asyncio.to_thread(load_hub_table, str(name or "").strip())
            except LabError as error:
                return {self.message: alert(str(error))}
        return self._read(session, lambda: table)

    def _read(self, session: Session, read: Callable[[], Table | Task]) -> Changes:
        """Changes of the columns and of `result`, for rows or a whole task that `read` brings."""
        state = session.your_task
        try:
            brought = read()
        except LabError as error:
            return {self.message: alert(str(error))}
        if isinstance(brought, Task):
            state.table, state.draft = None, brought
            return {**self._shown(session, brought), self.words: gr.update(visible=False)}
        state.table, state.draft, state.filled_in = brought, None, {""}
        names = list(brought.columns)
        try:
            guess = decide(brought)
        except LabError as error:
            return {
                **self._choices(names, Columns()),
                self.message: alert(f"{error} Or choose the columns here."),
                self.preview: _table(brought),
                self.use: gr.update(interactive=False),
                self.saved: "",
            }
        return {
            **self._choices(names, guess),
            **self._change(session, list(guess.inputs), guess.output, guess.kind, guess.split, "", None),
        }

    def _choices(self, names: list[str], chosen: Columns) -> Changes:
        """Changes of the columns: their names to choose from, and an empty template."""
        return {
            self.input: gr.update(choices=names, value=list(chosen.inputs)),
            self.output: gr.update(choices=names, value=chosen.output or None),
            self.kind: chosen.kind or "answers",
            self.split: gr.update(choices=[NONE, *names], value=chosen.split or NONE),
            self.template: "",
        }

    def _change(self, session: Session, input: Any, output: Any, kind: Any, split: Any, template: Any, words: Any) -> Changes:
        """Changes of `result` for what is chosen. words None: the labels as they are in the rows."""
        state = session.your_task
        if state.table is None:
            return {self.message: alert("Bring some rows first: paste them, or choose a file.")}
        state.draft = None
        labelled = kind == "labels"
        try:
            if not input or not output:
                raise LabError("Choose the input column and the output column.")
            names = tuple(str(name) for name in input) if isinstance(input, list) else (str(input),)
            columns = Columns(
                names,
                str(output),
                "labels" if labelled else "answers",
                "" if split in (NONE, None, "") else str(split),
                str(template or "").strip("\n"),
                read_words(words) if labelled and words else {},
            )
            task = state.draft = task_from_table(state.table, columns)
        except LabError as error:
            return {
                self.message: alert(str(error)),
                self.use: gr.update(interactive=False),
                self.words: gr.update(visible=labelled),
                self.saved: "",
            }
        changes = {**self._shown(session, task), self.words: gr.update(visible=labelled)}
        if labelled and not words:
            lines = "\n".join(f"{label} = {label}" for label in task.labels or ())
            state.filled_in = {str(template or ""), lines}
            changes[self.words] = gr.update(visible=True, value=lines)
        return changes

    def _typed(self, session: Session, *chosen: Any) -> Changes:
        """As `_change`, unless the texts are those that the page itself put there: that is a change, too."""
        texts = {str(chosen[-2] or ""), str(chosen[-1] or "")}
        if texts <= session.your_task.filled_in:
            return gr.skip()
        session.your_task.filled_in = texts
        return self._change(session, *chosen)

    def _anew(self, session: Session, input: Any, output: Any, kind: Any, split: Any, template: Any, words: Any) -> Changes:
        return self._change(session, input, output, kind, split, template, None)

    def _shown(self, session: Session, task: Task) -> Changes:
        """Changes of `result` for a task that can be used, label words left out."""
        lm = self.lab.engine.lm
        problem, shown = "", summary(task)
        try:
            shown = preview(lm, task) if lm else shown + note("The tokens appear here when the model is loaded.")
        except LabError as error:
            session.your_task.draft, problem = None, str(error)
        return {
            self.message: alert(problem),
            self.preview: shown,
            self.use: gr.update(interactive=not problem),
            self.saved: "",
        }

    def _use(self, session: Session) -> Changes:
        task = session.your_task.draft
        if task is None:
            raise gr.Error("Add some rows first.", print_exception=False)
        link = tables.download(f"{task.name}.task.json", task_to_json(task), "this task as one file", "application/json")
        return {
            self.tabs: gr.Tabs(selected="train"),
            self.message: alert(""),
            self.saved: tag("p", "In use. Keep it: ", link, "; upload that file here to load it again."),
        }


def read_words(text: Any) -> dict[str, str]:
    """`label = word` lines as a table. LabError, naming the line, for one that is not like that.

    The first " = " parts them: a label may hold a "=", and so may its word.
    """
    words = {}
    for number, line in enumerate(str(text or "").splitlines(), start=1):
        if not line.strip():
            continue
        label, sign, word = line.partition(" = ") if " = " in line else line.rpartition("=")
        if not sign or not label.strip() or not word.strip():
            raise LabError(f"Line {number} of the label words is not in the form label = word: write one label per line.")
        words[label.strip()] = word.strip()
    return words


WELCOME = Html(
    "<h2>Train on rows of your own</h2><p>Two columns are enough: what goes in, and what should come out. Paste or upload some (50 rows work; "
    "200 work better), look at the tokens that the model gets, and press <b>Use this task</b>. 30 % of the rows are held out, "
    "chosen by their content, and rows that repeat each other stay on one side. This server keeps the rows while this page is open.</p>"
)


def summary(task: Task) -> Html:
    """How a task's rows are parted, and what was dropped."""
    kind = f"{len(task.labels)} labels: {', '.join(task.labels)}" if task.labels else "free answers"
    counts = f"{len(task.train)} rows to train on, {len(task.validation)} for validation, {len(task.held_out)} held out; {kind}."
    return join([tag("h2", task.name), tag("p", cut(counts, 600)), *map(note, task.notes)])


def preview(lm: LanguageModel, task: Task) -> Html:
    """The tokens of the first rows: what the model gets, and what it must produce. LabError for a row that can't be used."""

    def shown(ids: Any) -> Html:
        return tokens([lm.token_text(one) for one in ids])

    encoded = encode(lm, task.template, task.train[:PREVIEWED], task.labels)
    rows = []
    for one in encoded:
        wanted = sorted(one.candidates or [one.answer], key=lambda ids: ids != one.answer)[:8]
        rows.append(
            [td(shown(one.prompt[-120:])), join(tag("div", shown(ids), class_="right" if ids == one.answer else "dim") for ids in wanted)]
        )
    longest = max(len(one.prompt) + max([len(one.answer), *map(len, one.candidates)]) for one in encoded)
    heads = ["the model gets", "and chooses among" if task.labels else "and must produce"]
    caption = f"The first {len(rows)} training rows as tokens (␣: a space, ⏎: a line break); up to {longest} tokens each"
    return summary(task) + table(heads, rows, caption, class_="said")


def _table(brought: Table) -> Html:
    rows = [[td(cut(cell, 60)) for cell in cells[:12]] for cells in brought.rows[:8]]
    return table([cut(name, 40) for name in brought.columns[:12]], rows, f"{len(brought.rows)} rows", class_="said")
