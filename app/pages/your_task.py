"""The Your task page: bring rows, see exactly which tokens the model gets and must produce, and use them everywhere."""

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr

from app.components.widgets import QUIET, html
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.view import show, tables
from core import LabError
from core.models.language_model import LanguageModel
from core.scoring.rows import encode
from core.tasks.hub_rows import load_hub_table
from core.tasks.table import Table, read_bytes, read_table
from core.tasks.task import Columns, Task, guess_columns, table_or_task, task_from_table, task_to_json

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
                    label="or a file: CSV, TSV, JSON Lines, or a task saved here; up to 2 MB", height=120, elem_id="upload-task"
                )
                self.hub = gr.Textbox(
                    label="or a dataset of the Hub", info="owner/name or owner/name:config", visible=allow_hub, elem_id="hub"
                )
                self.fetch = gr.Button("Read it", visible=allow_hub, elem_id="read-hub", min_width=120)
                with gr.Row(elem_classes="settings"):
                    self.input = gr.Dropdown(label="input column", choices=[], elem_id="input-column", min_width=120)
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
        self.choices = [self.input, self.output, self.kind, self.split, self.template, self.words]
        self.result = [self.message, self.preview, self.use, self.words, self.saved]

    def wire(self, session: gr.State, train: Any, tabs: gr.Tabs, elsewhere: Any, elsewhere_outputs: list[Any]) -> None:
        """train: the Train page, which takes the task up. elsewhere: what the other pages paint then."""
        everything = [*self.choices[:5], *self.result]
        self.read.click(self._paste, [session, self.pasted], everything, **QUIET)
        self.upload.upload(self._file, [session, self.upload], everything, **QUIET)
        if self.allow_hub:  # a hidden button could still be pressed by hand
            self.fetch.click(self._hub, [session, self.hub], everything, **QUIET)
        for control in (self.input, self.output, self.kind, self.split):
            # Other outputs have other labels: their words begin anew.
            handler = self._anew if control in (self.output, self.kind) else self._change
            control.input(handler, [session, *self.choices], self.result, trigger_mode="always_last", **QUIET)
        for text in (self.template, self.words):  # change, since a text that is put in at once counts as no input
            text.change(self._typed, [session, *self.choices], self.result, trigger_mode="always_last", **QUIET)
        self.use.click(self._use, [session], [tabs, self.message, self.saved], **QUIET).success(
            lambda session: train.take_task(session, lambda: session.your_task.draft or session.task), [session], train.chosen, **QUIET
        ).then(elsewhere, [session], elsewhere_outputs, **QUIET)

    # --- reading ----------------------------------------------------------------------------------------------------

    def _paste(self, session: Session, text: Any) -> list[Any]:
        data = str(text or "").encode("utf-8", "replace")
        return self._read(session, lambda: read_table(data, "your rows", pasted=True))

    def _file(self, session: Session, path: Any) -> list[Any]:
        def read() -> Table | Task:
            if not path:
                raise LabError("No file arrived: choose one.")
            return table_or_task(read_bytes(Path(path)), Path(path).name)

        return self._read(session, read)

    async def _hub(self, session: Session, name: Any) -> list[Any]:
        if self.fetching.locked():
            return self._only("Another dataset is being fetched: try again in half a minute.")
        async with self.fetching:
            try:  # in a thread of its own: the engine's would keep everybody waiting
                table = await asyncio.to_thread(load_hub_table, str(name or "").strip())
            except LabError as error:
                return self._only(str(error))
        return self._read(session, lambda: table)

    def _read(self, session: Session, read: Any) -> list[Any]:
        """The values of the choices (label words left out) and of `result`, for rows that `read` brings."""
        try:
            brought = read()
        except LabError as error:
            return self._only(str(error))
        skips = [gr.skip()] * 5
        if isinstance(brought, Task):
            session.your_task.table, session.your_task.draft = None, brought
            return [*skips, *self._shown(session, brought, gr.update(visible=False))]
        session.your_task.table, session.your_task.draft = brought, None
        names, session.your_task.filled_in = list(brought.columns), {""}
        try:
            guess = guess_columns(brought)
        except LabError as error:
            blank = [gr.update(choices=names, value=None)] * 2
            told = show.message(f"{error} Or choose the columns here.")
            return [
                *blank,
                "answers",
                gr.update(choices=[NONE, *names], value=NONE),
                "",
                told,
                _table(brought),
                gr.update(interactive=False),
                gr.skip(),
                "",
            ]
        chosen = [
            gr.update(choices=names, value=guess.input),
            gr.update(choices=names, value=guess.output),
            guess.kind,
            gr.update(choices=[NONE, *names], value=guess.split or NONE),
            "",
        ]
        return [*chosen, *self._change(session, guess.input, guess.output, guess.kind, guess.split, "", None)]

    def _change(self, session: Session, input: Any, output: Any, kind: Any, split: Any, template: Any, words: Any) -> list[Any]:
        """The values of `result` for what is chosen. words None: the labels as they stand in the rows."""
        if session.your_task.table is None:
            return [show.message("Bring some rows first: paste them, or choose a file."), *[gr.skip()] * 4]
        session.your_task.draft = None
        labelled = kind == "labels"
        try:
            if not input or not output:
                raise LabError("Choose the input column and the output column.")
            columns = Columns(str(input), str(output), "labels" if labelled else "answers", "" if split in (NONE, None, "") else str(split))
            given = read_words(words) if labelled and words else {}
            session.your_task.draft = task_from_table(session.your_task.table, columns, str(template or "").strip("\n"), given)
        except LabError as error:
            return [show.message(str(error)), gr.skip(), gr.update(interactive=False), gr.update(visible=labelled), ""]
        spelled = gr.update(visible=labelled)
        if labelled and not words:
            lines = "\n".join(f"{label} = {label}" for label in session.your_task.draft.labels or ())
            session.your_task.filled_in = {str(template or ""), lines}
            spelled = gr.update(visible=True, value=lines)
        return self._shown(session, session.your_task.draft, spelled)

    def _typed(self, session: Session, *chosen: Any) -> list[Any]:
        """As `_change`, unless the texts are those that the page itself put there: that is a change, too."""
        texts = {str(chosen[4] or ""), str(chosen[5] or "")}
        if texts <= session.your_task.filled_in:
            return [gr.skip()] * len(self.result)
        session.your_task.filled_in = texts
        return self._change(session, *chosen)

    def _anew(self, session: Session, input: Any, output: Any, kind: Any, split: Any, template: Any, words: Any) -> list[Any]:
        return self._change(session, input, output, kind, split, template, None)

    def _shown(self, session: Session, task: Task, words: Any) -> list[Any]:
        lm = self.lab.engine.lm
        try:
            shown = preview(lm, task) if lm else summary(task) + "<p class='note'>The tokens appear here once the model is there.</p>"
        except LabError as error:
            session.your_task.draft = None
            return [show.message(str(error)), summary(task), gr.update(interactive=False), words, ""]
        return [show.message(""), shown, gr.update(interactive=True), words, ""]

    def _only(self, text: str) -> list[Any]:
        return [*[gr.skip()] * 5, show.message(text), *[gr.skip()] * 4]

    def _use(self, session: Session) -> list[Any]:
        if session.your_task.draft is None:
            raise gr.Error("Bring some rows first.", print_exception=False)
        link = tables.download(
            f"{session.your_task.draft.name}.task.json", task_to_json(session.your_task.draft), "this task as one file", "application/json"
        )
        return [gr.Tabs(selected="train"), show.message(""), f"<p>In use. Keep it: {link}; bring that file here to load it again.</p>"]


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
            raise LabError(f"Line {number} of the label words is not like label = word: write one label on each line.")
        words[label.strip()] = word.strip()
    return words


WELCOME = (
    "<h2>Train on rows of your own</h2><p>Two columns are enough: what goes in, and what should come out. Paste or upload some (fifty teach "
    "something, two hundred are good), look at the tokens that the model gets, and press <b>Use this task</b>. 30 % of the rows are held out, "
    "chosen by their content, and rows that repeat each other stay on one side. Rows stay on this server for as long as this page is open.</p>"
)


def summary(task: Task) -> str:
    """How a task's rows are parted, and what was dropped."""
    kind = f"{len(task.labels)} labels: {', '.join(task.labels)}" if task.labels else "free answers"
    counts = f"{len(task.train)} rows to train on, {len(task.validation)} to steer by, {len(task.held_out)} held out; {kind}."
    notes = "".join(f"<p class='note'>{show.safe(note)}</p>" for note in task.notes)
    return f"<h2>{show.safe(task.name)}</h2><p>{show.safe(show.cut(counts, 600))}</p>{notes}"


def preview(lm: LanguageModel, task: Task) -> str:
    """The very tokens of the first rows: what the model gets, and what it must produce. LabError where a row can't be used."""
    rows = encode(lm, task.template, task.train[:PREVIEWED], task.labels)
    lines = []
    for row in rows:
        wanted = [row.answer] if not row.candidates else row.candidates
        made = "".join(
            f"<div class='{'right' if ids == row.answer else 'dim'}'>{_chips(lm, ids)}</div>"
            for ids in sorted(wanted, key=lambda ids: ids != row.answer)[:8]
        )
        lines.append(f"<tr><td>{_chips(lm, row.prompt[-120:])}</td><td>{made}</td></tr>")
    longest = max(len(row.prompt) + max([len(row.answer), *map(len, row.candidates)]) for row in rows)
    return (
        f"{summary(task)}<table class='said'><caption>The first {len(rows)} training rows as tokens (␣: a space, ⏎: a line break); up to {longest} tokens "
        f"each</caption><thead><tr><th scope='col'>the model gets</th><th scope='col'>{'and chooses among' if task.labels else 'and must produce'}</th>"
        f"</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _chips(lm: LanguageModel, ids: Any) -> str:
    return " ".join(f"<span class='tok'>{show.safe(show.whole_token(lm.token_text(token)))}</span>" for token in ids)


def _table(table: Table) -> str:
    head = "".join(f"<th scope='col'>{show.safe(show.cut(name, 40))}</th>" for name in table.columns[:12])
    rows = "".join("<tr>" + "".join(f"<td>{show.safe(show.cut(cell, 60))}</td>" for cell in row[:12]) + "</tr>" for row in table.rows[:8])
    return f"<table class='said'><caption>{len(table.rows)} rows</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
