"""The Inspect page: what the vectors are near, where they moved, what snapping them leaves; each beside its control."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from core import LabError, Recipe, load_task
from core.contenders import moved, snapped, started
from core.engine import Ticket
from core.errors import shown
from core.model import LanguageModel
from core.reading import KVReader, Reading
from core.recipe import check_template
from core.record import RunRecord, loaded_record, score_row
from core.run import Scored, Skipped, contest, rivals
from core.scoring import Score
from core.storage import load, pack, record_of, to_files
from core.task import slugs

from . import figures, show
from .components import clicked_token, drawn, html, plot
from .contest import learned_contender, prefix_of
from .jobs import side_job
from .session import MOST_RUNS, Lab, Run, Session

DRAWS = 3  # random controls that are scored
UNTOLD = "This prompt has no recipe.json, so what stands around its input is not known: say it below, with {input} once."


class InspectPage:
    """Layout first (`__init__`, inside gr.Blocks), then events (`wire`)."""

    def __init__(self, lab: Lab, recording: Run | None):
        self.lab, self.recording = lab, recording
        self.message = html(elem_id="inspect-message")
        with gr.Row(elem_classes="picker"):
            self.run = gr.Dropdown(label="run", choices=[], elem_id="inspect-run", scale=3)
            self.save = gr.Button("Save", elem_id="save", scale=0, min_width=110)
            self.file = gr.DownloadButton("Download", elem_id="download", visible=False, scale=0, min_width=110)
            self.upload = gr.UploadButton("Load", elem_id="load-prompt", scale=0, min_width=110)
        with gr.Row(visible=False, elem_classes="ask") as self.template_row:
            self.template = gr.Textbox(
                label="the template of this prompt", info="What stands around {input}", max_length=2000, elem_id="load-template", scale=4
            )
            self.use = gr.Button("Use this template", elem_id="use-template", scale=0, min_width=160)
        with gr.Row(elem_classes="pair"):
            with gr.Column(min_width=320):
                gr.Markdown("### Nearest tokens")
                self.tokens = html(elem_id="tokens")
            with gr.Column(min_width=320):
                gr.Markdown("### Where the vectors are")
                self.dimensions = gr.Radio([("2D", 2), ("3D", 3)], value=2, show_label=False, elem_id="dimensions")
                with gr.Row(visible=False) as self.layer_row:
                    self.layer = gr.Slider(0, 29, value=15, step=1, label="layer", elem_id="layer")
                    self.part = gr.Radio([("keys", 0), ("values", 1)], value=1, label="of", elem_id="part")
                self.plane = plot(elem_id="inspect-plane")
        gr.Markdown("### Snap to words: are the nearest tokens enough?")
        self.snap_note = html(
            "<p class='note'>The nearest word in place of each vector, scored on the held-out rows. If the words carried the meaning, the snapped "
            "prompt would answer like the trained one. The control moves the start by the same lengths in a random direction.</p>"
        )
        with gr.Row():
            self.snap = gr.Button("Snap and score", elem_id="snap", scale=0, min_width=180)
        self.snapped = html(elem_id="snapped")
        self.outputs = [
            self.message, self.run, self.tokens, self.plane, self.layer_row, self.layer, self.part, self.snap, self.snapped, self.file,
            self.upload, self.template_row, self.template,
        ]  # fmt: skip
        self.view = [self.tokens, self.plane, self.layer, self.part]  # painted anew together, so that they agree

    # --- what the page shows ----------------------------------------------------------------------------------------

    def paint(self, session: Session, message: str = "", dimensions: int = 2) -> list[Any]:
        """The values of `outputs` for the run that is shown."""
        run = session.shown or self.recording
        names = [known.name for known in session.runs] + ([self.recording.name] if self.recording else [])
        picker = gr.update(choices=names, value=run.name if run else None)
        if run is None or not run.record.readings:
            return [show.message(message), picker, "<p class='note'>Train a prompt first.</p>", *[gr.skip()] * 10]
        record = run.record
        step = len(record.readings) - 1 if session.step is None else min(session.step, len(record.readings) - 1)
        soft = record.kind == "soft"
        layers = record.base.get("layers", 30)
        return [
            show.message(message),
            picker,
            tokens_table(record, step, session.chosen),
            drawn(figures.plane(record, step, session.chosen, dimensions, control=True)),
            gr.update(visible=not soft),
            gr.update(maximum=layers - 1, value=layers // 2),
            1,  # values: what the paths are drawn of
            gr.update(interactive=soft and prefix_of(run) is not None and not run.busy),
            "" if soft else "<p class='note'>A K/V prefix has no words to snap to.</p>",
            gr.update(visible=False),
            # A file that comes while something is scored would be dropped by Gradio without a word.
            gr.update(interactive=session.side_job is None or session.side_job.over),
            gr.update(visible=bool(session.untold)),
            gr.skip(),
        ]

    # --- events -----------------------------------------------------------------------------------------------------

    def wire(self, session: gr.State, train: Any) -> None:
        """train: the Train page, whose plots show the same run."""
        quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
        self.run.input(self._pick, [session, self.run, self.dimensions], self.outputs, **quiet).then(
            train.paint, [session], train.outputs, **quiet
        )
        self.dimensions.change(self._view, [session, self.dimensions], self.view, **quiet)
        both = [self.layer, self.part]
        for control in both:
            control.input(self._layer, [session, self.dimensions, *both], [self.message, self.plane], trigger_mode="always_last", **quiet)
        for source in (train.chips, train.plane):  # a token that is chosen there is lit here, and nothing else changes
            source.click(train.choose, [session], [train.plane, train.chips], **quiet).then(self.paint, [session], self.outputs, **quiet)
        for source in (self.tokens, self.plane):
            source.click(self._choose, [session, self.dimensions], self.view, **quiet).then(train.paint, [session], train.outputs, **quiet)
        self.snap.click(self._snap, [session], [self.message, self.snapped], **quiet)
        self.save.click(self._save, [session], [self.message, self.file], **quiet)
        for event, inputs in ((self.upload.upload, [session, self.upload]), (self.use.click, [session, self.upload, self.template])):
            event(self._load, inputs, self.outputs, **quiet).then(train.paint, [session], train.outputs, **quiet)

    def _pick(self, session: Session, name: str, dimensions: int) -> list[Any]:
        found = next((run for run in session.runs if run.name == name), None)
        if not (session.shown and session.shown.busy):
            session.shown, session.step, session.chosen = found, None, None
            return self.paint(session, dimensions=dimensions)
        return self.paint(session, "A run is going on: stop it, or wait for its end, before looking at another.", dimensions)

    def _view(self, session: Session, dimensions: int) -> list[Any]:
        painted = self.paint(session, dimensions=dimensions)
        return [painted[self.outputs.index(component)] for component in self.view]

    def _choose(self, session: Session, dimensions: int, event: gr.EventData) -> list[Any]:
        token = clicked_token(event)
        session.chosen = None if token == session.chosen else token
        return self._view(session, dimensions)

    async def _layer(self, session: Session, dimensions: int, layer: int, part: int) -> AsyncIterator[list[Any]]:
        run = session.shown
        vectors = run.record.final_vectors() if run else None
        start = run.record.vectors.get(0) if run else None
        if run is None or vectors is None or vectors.ndim != 5:
            yield [show.message("Layers can be looked at once a K/V prefix is trained or loaded."), gr.skip()]
            return
        record = run.record

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Any]:
            at = min(max(int(layer), 0), lm.layers - 1)
            reader = KVReader(lm, self.lab.vocabulary(lm), vectors if start is None else start, at, 0 if part == 0 else 1)
            yield reader, [reader.read(reader.start), reader.read(vectors)]

        async for made, problem in side_job(self.lab, session, job, lambda event: event):
            if problem:
                yield [show.message(problem), gr.skip()]
            if made:
                yield [show.message(""), drawn(_layer_figure(record, made[0], made[1], dimensions))]

    async def _snap(self, session: Session) -> AsyncIterator[list[Any]]:
        run = session.shown
        vectors = run.record.final_vectors() if run else None
        if run is None or vectors is None or vectors.ndim != 2:
            yield [show.message("Vectors are kept for live runs and loaded prompts only: train one, then snap it."), gr.skip()]
            return
        task, mine, start, book = (
            run.task,
            learned_contender(run),
            run.record.vectors.get(0) if run.record.start_known else None,
            self.lab.book,
        )
        texts: list[str] = []
        found: dict[str, Score] = {}

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Any]:
            words, text = snapped(lm, mine)
            texts.append(text)
            contenders = [mine, words]
            if start is not None:
                contenders += [started(lm, mine, start), *(moved(lm, mine, start, draw) for draw in range(DRAWS))]
            contenders += rivals(task, mine.template)
            rows = [e for e in task.held_out if e.key not in mine.excluded]
            yield from contest(lm, task, contenders, rows, book, "held_out")

        def take(event: Scored | Skipped) -> None:
            if isinstance(event, Scored):
                found[event.score.name] = event.score

        async for _, problem in side_job(self.lab, session, job, take):
            yield [show.message(problem), snapped_table(found, texts, [prompt.name for prompt in task.handcrafted])]

    async def _save(self, session: Session) -> AsyncIterator[list[Any]]:
        run = session.shown
        prefix = prefix_of(run) if run else None
        if run is None or prefix is None or run.busy:
            yield [show.message("There is nothing to save yet: train a prompt to its end, or stop it."), gr.skip()]
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[bytes]:
            if run.learned:
                record = run.learned.record or {"template": run.learned.template, "placement": run.learned.placement}
            else:
                scores = [score_row(score, samples=False) for score in run.record.held_out.values()]
                template = run.recipe.template or run.task.template
                record = record_of(lm, run.task, run.recipe, template, seconds=run.record.seconds, steps=run.record.step, scores=scores)
            yield pack(to_files(lm, prefix, record))

        async for data, problem in side_job(self.lab, session, job, lambda event: event):
            if problem:
                yield [show.message(problem), gr.skip()]
            if data:
                folder = Path(tempfile.mkdtemp(prefix="prompt-"))
                path = folder / "soft-prompt.zip"
                path.write_bytes(data)
                yield [show.message(""), gr.update(value=str(path), visible=True)]
                shutil.rmtree(folder, ignore_errors=True)  # Gradio has its copy, which it deletes in time

    async def _load(self, session: Session, path: Any, template: Any = None) -> AsyncIterator[list[Any]]:
        """Load a prompt, and score it. template: what a prompt without our recipe was asked for, the second time."""
        if session.shown and session.shown.busy:
            yield self.paint(session, "A run is going on: stop it, or wait for its end, before loading a prompt.")
            return

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Run | Scored | Skipped]:
            if not path:
                raise LabError("No file arrived: choose a zip that was saved here.")
            if template is not None:
                check_template(str(template))
            learned = load(Path(path), lm, str(template or ""))
            session.untold = not learned.record and not template
            if session.untold:
                return
            made_for = learned.made_for
            task = load_task(made_for) if made_for in slugs() else session.task
            if made_for and made_for != task.slug:
                told.append(f"It was trained on another task ({shown(made_for)}) than {shown(task.name)}, on which it is scored here.")
            record = loaded_record(lm, task, learned, self.lab.vocabulary(lm))
            number = 1 + sum(run.learned is not None for run in session.runs)
            run = Run(f"loaded {number}: {Path(path).stem[:40]}", record, task, Recipe.from_dict(record.recipe), learned=learned)
            yield run
            yield from contest(lm, task, [learned_contender(run)], task.held_out, self.lab.book, "held_out")

        loaded: list[Run] = []
        told: list[str] = []

        def take(event: Any) -> None:
            if isinstance(event, Run):
                loaded.append(event)
                session.runs = [*session.runs, event][-MOST_RUNS:]
                session.shown, session.step, session.chosen = event, None, None
            elif isinstance(event, Scored) and event.final:
                loaded[0].record.scores = [score_row(event.score, samples=False)]
                loaded[0].record.held_out = {event.score.name: event.score}

        async for _, problem in side_job(self.lab, session, job, take):
            warnings = loaded[0].learned.warnings if loaded and loaded[0].learned else ()
            painted = self.paint(session, problem or (UNTOLD if session.untold else " ".join((*warnings, *told))))
            if session.untold:
                painted[-1] = session.task.template
            yield painted


def tokens_table(record: RunRecord, step: int, chosen: int | None) -> str:
    """Every vector's nearest tokens by cosine and by distance, its norm and how far it moved, beside the control's."""
    if record.kind == "prefix":
        return (
            "<p class='note'>A K/V prefix is keys and values inside every layer: it was never a word embedding, so there is no vocabulary to project "
            "it on. See where its keys and values lie among those of real words instead.</p>"
        )
    reading, rows = record.readings[step], []
    for i, ids in enumerate(reading.ids):
        words = [show.token(record.texts[t]) for t in ids]
        near = " ".join(f"<b>{show.safe(w)}</b> {c:.2f}" for w, c in zip(words, reading.cosine[i], strict=True))
        far = f"<b>{show.safe(show.token(record.texts[reading.by_l2[i]]))}</b> {reading.distance[i]:.2f}"
        known = record.start_known
        control = (
            "–" if not known else f"<b>{show.safe(show.token(record.texts[reading.control_ids[i]]))}</b> {reading.control_cosine[i]:.2f}"
        )
        lit = " class='lit'" if chosen == i else ""
        rows.append(
            f"<tr{lit}><th scope='row'><button type='button' class='number' data-token='{i}'>{i + 1}</button></th><td>{near}</td><td>{far}</td>"
            f"<td class='control'>{control}</td><td class='num'>{reading.norm[i]:.2f}</td><td class='num'>{reading.moved[i]:.2f}</td></tr>"
        )
    verdict = show.nearest_verdict(record, step)
    usual = ""
    if record.neighbours:
        middle = record.neighbours[len(record.neighbours) // 2]
        usual = f" A word's own nearest other word lies at a cosine of {middle:.2f} (median over the vocabulary)."
    return (
        f"<p class='note'>{verdict}{usual}</p><table class='tokens'><caption>step {step}</caption><thead><tr><th scope='col'></th>"
        "<th scope='col'>nearest (cosine)</th><th scope='col'>nearest (L2)</th><th scope='col'>control</th><th scope='col' class='num'>norm</th>"
        f"<th scope='col' class='num'>moved</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )


def snapped_table(found: dict[str, Score], texts: list[str], written: Sequence[str]) -> str:
    """Scores of the learned, snapped and control prompts, and what the snapped one reads like."""
    if not found:
        return ""
    rows = [score_row(score, samples=False) for score in found.values()]
    reads = f"<p class='note'>Snapped, the prompt reads: <q>{show.safe(texts[0])}</q></p>" if texts else ""
    return reads + show.bars(rows, "The same held-out rows for all", written)


def _layer_figure(record: RunRecord, reader: KVReader, readings: list[Reading], dimensions: int) -> dict[str, Any]:
    what = "keys" if reader.part == 0 else "values"
    view = replace(
        record,
        readings=readings,
        cloud=reader.cloud,
        cloud_ids=list(reader.cloud_ids),
        explained=[float(share) for share in reader.plane.explained],
    )
    value = figures.plane(view, 1, None, dimensions, control=True)
    shares = sum(100 * share for share in view.explained[:dimensions])
    return {
        **value,
        "title": f"The prefix's {what} in layer {reader.layer} among real words' {what}",
        "note": f"PCA of real words' {what} in this layer; hollow: the start; filled: the end. The plane shows {shares:.0f} % of their variance.",
    }
