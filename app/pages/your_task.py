"""The Your task page: bring rows, see how they are read and which tokens the model gets, change it, and use them everywhere."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.widgets import NEWEST, QUIET, Changes, html
from app.pages.train import TrainPage
from app.sessions.heavy import heavy
from app.sessions.jobs import Paint
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.view import reading, tables
from app.view.html import Html, alert, note, tag
from core import LabError
from core.files import ASSETS
from core.scoring.fit_rows import fitted
from core.tasks.columns import Columns
from core.tasks.decode import ENCODINGS
from core.tasks.from_table import merged, same_but_for_case, task_from_table
from core.tasks.hub_rows import load_hub_table
from core.tasks.load import table_or_task
from core.tasks.reader import read_bytes
from core.tasks.table import LONG_ROWS, Format, Table
from core.tasks.task import Task
from core.tasks.task_file import task_to_json

NONE = "(none)"
FOUND = "found"  # of a setting of the file's format: what was found from the bytes
MOST_PASTED = 200_000  # characters
EXAMPLES = {"tickets": "tickets.csv", "feedback": "feedback.csv", "word forms": "comparatives.txt"}
SIGNS = [("as found", FOUND), ("comma", ","), ("semicolon", ";"), ("tab", "\t"), ("pipe", "|"), ("two pipes", "||"), ("arrow ->", "->")]


class TaskPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, allow_hub: bool):
        self.lab, self.allow_hub = lab, allow_hub
        self.fetching = asyncio.Lock()  # one dataset at a time, for all visitors
        with gr.Row(elem_classes="split"):
            with gr.Column(scale=0, min_width=320, elem_classes="controls"):
                with gr.Column(elem_id="bring"):
                    self.pasted = gr.Textbox(
                        label="paste rows, or drop a file here",
                        info="From a spreadsheet, CSV, JSON, Markdown, or lines like: France -> Paris",
                        lines=6,
                        max_lines=12,
                        max_length=MOST_PASTED,
                        elem_id="paste",
                    )
                    self.upload = gr.File(label="or choose a file, or a task saved here; up to 32 MB", height=120, elem_id="upload-task")
                with gr.Row(elem_classes="buttons", elem_id="example-files"):
                    self.examples = {
                        name: gr.Button(f"Try {title}", size="sm", min_width=90, elem_id=f"example-{Path(name).stem}")
                        for title, name in EXAMPLES.items()
                    }
                self.hub = gr.Textbox(label="or a dataset of the Hub: owner/name or owner/name:config", visible=allow_hub, elem_id="hub")
                self.fetch = gr.Button("Read it", visible=allow_hub, elem_id="read-hub", min_width=120)
                with gr.Column(visible=False, elem_id="read-as") as self.settings:
                    self.input = gr.Dropdown(label="what goes in", choices=[], multiselect=True, elem_id="input-column", min_width=120)
                    with gr.Row(elem_classes="settings"):
                        self.output = gr.Dropdown(label="what comes out", choices=[], elem_id="output-column", min_width=120)
                        self.split = gr.Dropdown(label="split column", choices=[NONE], value=NONE, elem_id="split-column", min_width=110)
                    self.kind = gr.Radio([("free answers", "answers"), ("labels", "labels")], label="outputs", elem_id="kind")
                    self.template = gr.Textbox(
                        label="template",
                        info="The text around {input}, or around the names of columns in braces; empty: the usual one",
                        lines=2,
                        max_length=2000,
                        elem_id="task-template",
                    )
                    self.words = gr.Textbox(
                        label="label words",
                        info="A line for each: label = word. Several labels may share a word.",
                        lines=3,
                        max_length=20_000,
                        visible=False,
                        elem_id="label-words",
                    )
                    self.merge = gr.Button("Merge labels that differ only in case", visible=False, size="sm", elem_id="merge-labels")
                    with gr.Accordion("how the file was read", open=False, elem_id="file-format"):
                        with gr.Row(elem_classes="settings"):
                            self.header = gr.Dropdown(
                                [("as found", FOUND), ("names columns", "yes"), ("is data", "no")],
                                value=FOUND, label="first row", elem_id="header", min_width=110,
                            )  # fmt: skip
                            self.separator = gr.Dropdown(SIGNS, value=FOUND, label="between cells", elem_id="separator", min_width=110)
                        with gr.Row(elem_classes="settings"):
                            self.encoding = gr.Dropdown(
                                [("as found", FOUND), *ENCODINGS], value=FOUND, label="encoding", elem_id="encoding", min_width=110
                            )
                            self.sheet = gr.Dropdown([], label="sheet", visible=False, elem_id="sheet", min_width=110)
                        self.long = gr.Radio(
                            [("cut the end", "end"), ("cut the beginning", "beginning"), ("leave out", "leave out")],
                            value="end", label="rows longer than the model's window", elem_id="long-rows",
                        )  # fmt: skip
            with gr.Column(scale=1, min_width=320, elem_classes="results"):
                self.message = html(elem_id="task-message")
                self.sentence = html(elem_id="task-sentence")
                with gr.Row(elem_classes="buttons"):
                    self.use = gr.Button("Use it", interactive=False, elem_id="use-task", min_width=120)
                    self.use_and_train = gr.Button("Use it and train", variant="primary", interactive=False, elem_id="use-and-train")
                self.rows = html(elem_id="task-rows")
                self.preview = html(reading.WELCOME, elem_id="task-preview")
                self.saved = html(elem_id="task-download")
        self.chosen = [self.input, self.output, self.kind, self.split, self.template, self.words, self.long]
        self.format = [self.header, self.separator, self.encoding, self.sheet]
        self.result = [self.message, self.sentence, self.rows, self.preview, self.use, self.use_and_train, self.merge, self.saved]
        self.outputs = [self.settings, *self.chosen, *self.format, *self.result]

    def wire(self, session: gr.State, train: TrainPage, tabs: gr.Tabs, paint_others: Paint, other_outputs: list[Any]) -> None:
        """train: the Train page, which takes the task up. paint_others: what the other pages show then."""
        self.tabs = tabs
        self.pasted.change(self._paste, [session, self.pasted], self.outputs, **NEWEST)
        self.upload.upload(self._file, [session, self.upload], [self.pasted, *self.outputs], **QUIET)
        for name, button in self.examples.items():
            button.click(partial(self._example, name), [session], [self.pasted, *self.outputs], **QUIET)
        if self.allow_hub:  # a hidden button could still be pressed by hand
            self.fetch.click(self._hub, [session, self.hub], self.outputs, **QUIET)
        inputs = [session, *self.chosen]
        for control, name in ((self.input, "inputs"), (self.output, "output"), (self.kind, "kind"), (self.split, ""), (self.long, "")):
            control.input(partial(self._change, name), inputs, self.outputs, **NEWEST)
        for text in (self.template, self.words):  # change, since a text that is put in at once counts as no input
            text.change(self._typed, inputs, self.outputs, **NEWEST)
        self.merge.click(self._merge, inputs, self.outputs, **QUIET)
        for control in self.format:
            control.input(self._again, [session, *self.format], self.outputs, **NEWEST)

        def take(session: Session) -> Changes:
            return train.take_task(session, lambda: session.your_task.draft or session.task)

        for button in (self.use, self.use_and_train):
            used = button.click(self._use, [session], [tabs, self.message, self.saved], **QUIET).success(
                take, [session], [train.message, *train.set_up_outputs], **QUIET
            )
            others = used.then(paint_others, [session], other_outputs, **QUIET)
            if button is self.use_and_train:
                begun = others.then(train.begin, [session, *train.controls.values()], train.outputs, **QUIET)
                begun.then(paint_others, [session], other_outputs, **QUIET)  # the run is over

    # --- reading ----------------------------------------------------------------------------------------------------

    async def _paste(self, session: Session, text: Any) -> AsyncIterator[Changes]:
        state, data = session.your_task, str(text or "").encode("utf-8", "replace")
        if data.strip():
            async for changes in self._read(session, data, "your rows"):
                yield changes
        elif state.name == "your rows":  # the rows were deleted; where a file was brought, the box was emptied for it
            state.clear()
            yield self._nothing("")
        else:
            yield gr.skip()

    async def _file(self, session: Session, path: Any) -> AsyncIterator[Changes]:
        try:
            data = await asyncio.to_thread(read_bytes, Path(path or "no file"))
        except (LabError, TypeError) as error:
            session.your_task.clear()
            problem = str(error) if isinstance(error, LabError) else "No file arrived: choose one."
            yield {**self._nothing(problem), self.pasted: ""}
            return
        async for changes in self._read(session, data, Path(path).name):
            yield {**changes, self.pasted: ""}

    async def _example(self, name: str, session: Session) -> AsyncIterator[Changes]:
        async for changes in self._read(session, (ASSETS / "examples" / name).read_bytes(), name):
            yield {**changes, self.pasted: ""}

    async def _hub(self, session: Session, name: Any) -> AsyncIterator[Changes]:
        if self.fetching.locked():
            yield {self.message: alert("Another dataset is being fetched: try again in half a minute.")}
            return
        state = session.your_task
        async with self.fetching:
            try:  # in a thread of its own: the engine's thread would keep other sessions waiting
                found = await asyncio.to_thread(load_hub_table, str(name or "").strip())
            except LabError as error:
                state.clear()
                yield self._nothing(str(error))
                return
        state.clear()
        state.name = found.name
        async for changes in self._decided(session, found):
            yield changes

    async def _read(self, session: Session, data: bytes, name: str, chosen: Format | None = None) -> AsyncIterator[Changes]:
        """Changes of `outputs` for a file's bytes. A file that is refused leaves nothing of an earlier one."""
        state = session.your_task
        state.clear()
        state.name, state.data = name, data
        try:
            brought = await heavy(session.id, table_or_task, data, name, chosen)
        except LabError as error:
            kept = chosen is not None  # the settings stay in sight, so that a wrong one can be put right
            yield {**self._nothing(str(error)), self.settings: gr.update(visible=kept)}
            return
        if state.data is not data:  # a newer file came in the meantime
            return
        if isinstance(brought, Task):
            state.draft = brought
            async for changes in self._shown(session, brought, "end"):
                yield {
                    self.settings: gr.update(visible=False),
                    self.sentence: "",
                    self.rows: "",
                    self.merge: gr.update(visible=False),
                    **changes,
                }
            return
        async for changes in self._decided(session, brought, chosen):
            yield changes

    async def _decided(self, session: Session, brought: Table, chosen: Format | None = None) -> AsyncIterator[Changes]:
        """Changes of `outputs` for a new table: what is decided of it stands in the controls."""
        session.your_task.table, session.your_task.filled_in = brought, {""}
        found, said, problem = Columns(kind="answers", split=""), Html(), ""
        try:
            found, said = await heavy(session.id, reading.decided, brought)
        except LabError as error:
            problem = str(error)
        if session.your_task.table is not brought:  # other rows came in the meantime
            return
        names = list(brought.columns)
        told = self._nothing("") if chosen is None else {}
        changes: Changes = {
            **told,
            self.settings: gr.update(visible=True),
            self.input: gr.update(choices=names, value=list(found.inputs)),
            self.output: gr.update(choices=names, value=found.output or None),
            self.kind: found.kind,
            self.split: gr.update(choices=[NONE, *names], value=found.split or NONE),
            self.template: "",
            self.sheet: gr.update(choices=list(brought.sheets), value=brought.format.sheet or None, visible=len(brought.sheets) > 1),
            self.rows: reading.first_rows(brought, found if found.output else None),
            self.sentence: said,
            self.message: alert(problem),
        }
        yield changes  # at once; how the rows are parted may take seconds in a large file
        if not problem:
            async for more in self._made(session, found, "end"):
                yield {**changes, **more}

    async def _again(self, session: Session, header: Any, separator: Any, encoding: Any, sheet: Any) -> AsyncIterator[Changes]:
        """The same bytes, read in the way that is chosen."""
        state = session.your_task
        given = ["" if value in (FOUND, None, []) else str(value) for value in (header, separator, encoding, sheet)]
        if not state.data:
            yield {self.message: alert("Bring some rows first: paste them, or choose a file.")}
            return
        async for changes in self._read(session, state.data, state.name, Format(given[2], given[1], given[0], given[3])):
            yield changes

    # --- changing ---------------------------------------------------------------------------------------------------

    async def _change(self, which: str, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """Changes of `outputs` for what is chosen. which: the part of the decision that was just changed; others follow it."""
        state = session.your_task
        if state.table is None:
            yield {self.message: alert("Bring some rows first: paste them, or choose a file.")}
            return
        state.draft = None
        try:
            chosen, long = self._columns(*values), str(values[-1])
            if which == "output":  # other outputs are of another kind, and what comes out does not go in
                left = tuple(name for name in chosen.inputs if name != chosen.output)
                chosen = replace(chosen, kind="", words={}, inputs=left, template="")
            elif which == "inputs":
                chosen = replace(chosen, output="" if chosen.output in chosen.inputs else chosen.output, template="")
            elif which == "kind":
                chosen = replace(chosen, words={})
            table = state.table
            found, said = await heavy(session.id, reading.decided, table, chosen)
        except LabError as error:
            yield self._refused(str(error))
            return
        if state.table is not table:  # other rows came in the meantime
            return
        changes: Changes = {
            self.input: list(found.inputs),
            self.output: found.output,
            self.kind: found.kind,
            self.split: found.split or NONE,
        }
        if which in ("inputs", "output"):
            changes[self.template] = ""
        changes |= {self.rows: reading.first_rows(table, found), self.sentence: said}
        yield {**changes, self.use: gr.update(interactive=False), self.use_and_train: gr.update(interactive=False)}
        async for more in self._made(session, found, long):
            yield {**changes, **more}

    def _columns(self, input: Any, output: Any, kind: Any, split: Any, template: Any, words: Any, long: Any) -> Columns:
        """What the controls say."""
        if long not in LONG_ROWS:
            raise LabError("Choose what becomes of long rows.")
        names = [str(name) for name in input] if isinstance(input, list) else [str(input)] if input else []
        labelled = kind == "labels"
        return Columns(
            tuple(names),
            "" if output is None else str(output),
            "labels" if labelled else "answers",
            "" if split in (NONE, None, "", []) else str(split),
            str(template or "").strip("\n"),
            reading.read_words(words) if labelled and words else {},
        )

    async def _typed(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """As `_change`, unless the texts are those that the page itself put there: that is a change, too."""
        texts = {str(values[4] or ""), str(values[5] or "")}
        if texts <= session.your_task.filled_in or session.your_task.table is None:
            yield gr.skip()
            return
        session.your_task.filled_in = texts
        async for changes in self._change("", session, *values):
            yield changes

    async def _merge(self, session: Session, *values: Any) -> AsyncIterator[Changes]:
        """Labels that differ only in case get the word of the one that is most common."""
        state = session.your_task
        if state.table is None or state.draft is None or not state.draft.labels:
            yield gr.skip()
            return
        cells = state.table.column(str(values[1])) if values[1] in state.table.columns else []
        lines = "\n".join(f"{label} = {word}" for label, word in (await heavy(session.id, merged, cells)).items())
        state.filled_in = {str(values[4] or ""), lines}
        async for changes in self._change("", session, *values[:5], lines, values[6]):
            yield {**changes, self.words: gr.update(value=lines, visible=True)}

    # --- showing ----------------------------------------------------------------------------------------------------

    async def _made(self, session: Session, columns: Columns, long: str) -> AsyncIterator[Changes]:
        """Changes of the sentence, label words and `result` for a table and what is decided of it."""
        state = session.your_task
        brought = state.table
        assert brought is not None
        labelled = columns.kind == "labels"
        try:
            task = await heavy(session.id, task_from_table, brought, columns)
        except LabError as error:
            yield {**self._refused(str(error)), self.words: gr.update(visible=labelled)}
            return
        if state.table is not brought:
            return
        state.draft = task
        known: Changes = {self.sentence: reading.said(brought, columns, task.labels), self.words: gr.update(visible=labelled)}
        if labelled and not columns.words:
            lines = "\n".join(f"{label} = {label}" for label in task.labels or ())
            state.filled_in = {columns.template, lines}
            known[self.words] = gr.update(visible=True, value=lines)
        known[self.merge] = gr.update(visible=any(len(names) > 1 for names in same_but_for_case(task.labels or ())))
        async for changes in self._shown(session, task, long):
            yield {**known, **changes}

    async def _shown(self, session: Session, task: Task, long: str) -> AsyncIterator[Changes]:
        """Changes of the preview and the buttons for a task that can be used."""
        state, lm = session.your_task, self.lab.lm(session)
        problem, shown = "", reading.summary(task)
        try:
            if lm:
                task = state.draft = await heavy(session.id, fitted, lm, task, long)
                shown = await heavy(session.id, reading.preview, lm, task)
            else:
                shown += note("The tokens appear here when the model is loaded.")
        except LabError as error:
            state.draft, problem = None, str(error)
        ready = gr.update(interactive=not problem)
        yield {self.message: alert(problem), self.preview: shown, self.use: ready, self.use_and_train: ready, self.saved: ""}

    def _refused(self, problem: str) -> Changes:
        """Changes of `result` where the rows stay but make no task as they are read."""
        never = gr.update(interactive=False)
        return {
            self.message: alert(problem), self.sentence: "", self.preview: "", self.use: never, self.use_and_train: never,
            self.saved: "", self.merge: gr.update(visible=False),
        }  # fmt: skip

    def _nothing(self, problem: str) -> Changes:
        """Changes of `outputs` where no rows are there."""
        as_found = dict.fromkeys((self.header, self.separator, self.encoding), FOUND)
        return {
            **self._refused(problem), **as_found, self.rows: "", self.preview: "" if problem else reading.WELCOME,
            self.settings: gr.update(visible=False), self.words: gr.update(value="", visible=False), self.template: "",
            self.sheet: gr.update(choices=[], value=None, visible=False), self.long: "end",
        }  # fmt: skip

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
