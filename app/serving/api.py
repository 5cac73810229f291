"""Endpoints for programs: what the page does, with the same engine, limits and sentences. See docs/api.md.

A program gets a handle of each run that it trains. The documentation of an endpoint is read from its signature and docstring;
the settings of `train` are the recipe's fields.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, replace
from typing import Any, TypedDict

import gradio as gr
import numpy as np

from app.serving.endpoints import TABLE, describe_train, told
from app.serving.handles import Handles
from app.serving.private_files import offer
from app.sessions.contest import adapter_files, as_start, begun_from, best_written, contender_at, learned_contender
from app.sessions.following import following
from app.sessions.heavy import heavy
from app.sessions.lab import Lab
from app.sessions.session import Session
from app.sessions.session_run import SessionRun
from app.view.links import ON_PAGE
from core import LabError, Recipe, load_task
from core.errors import shown
from core.events import Event, Finding
from core.models.language_model import LanguageModel
from core.recipe import check_template, default_of
from core.runs.adapter_files import pack
from core.runs.contest import Entered, Scored, Skipped, baselines, common_rows, contest, enter_calibrated, with_model
from core.scoring.answering import answer, label_probabilities
from core.scoring.contender import DEFAULT_SCORE, Contender, bare, by_one_score, written
from core.scoring.fit_rows import fitted
from core.scoring.score import Score, majority
from core.tasks import evidence
from core.tasks.built_in import slugs
from core.tasks.columns import Columns
from core.tasks.load import read_task
from core.tasks.task import Handcrafted, Task
from core.tasks.template import names_columns
from core.ticket import Ticket

MOST_ROWS_TEXT = 200_000  # characters
MOST_TEXT = 4000  # characters of anything else
MOST_PROMPTS = 12
MOST_NEAREST = 50
MOST_TOKENS = 64  # of an answer
MOST_PLACES = 100  # steps of a path
GAP = 0.1  # seconds at least between two reports on a job
CAVEAT = "Nearest tokens mostly show only where training started: `control` is the start moved equally far in a random direction; it learned nothing."


class File(TypedDict):
    """A file as Gradio passes it on."""

    path: str


class Api:
    """The endpoints, over a lab."""

    def __init__(self, lab: Lab):
        self.lab, self.handles = lab, Handles(lab)

    def wire(self) -> None:
        """Make the endpoints. Inside gr.Blocks."""
        describe_train(self.train)
        for endpoint in (self.tasks, self.train, self.evaluate, self.nearest, self.pca, self.generate, self.download):
            gr.api(told(endpoint), api_name=endpoint.__name__, concurrency_limit=None)

    # --- endpoints --------------------------------------------------------------------------------------------------

    def tasks(self) -> list[dict]:
        """The built-in tasks: name, what each teaches, its labels (null where answers are free), its first rows, and how many
        rows are for training, validation and held out.
        """
        return [_about(load_task(slug)) for slug in slugs()]

    async def train(self, request: gr.Request, task: Any, rows: Any, start: Any, *values: Any) -> AsyncIterator[dict]:
        given = {name: value for name, value in zip((*ON_PAGE, *TABLE), values, strict=True) if value is not None}
        columns = _columns({name: given.pop(name, None) for name in TABLE}, given, rows)
        first = self.handles.done(start).run if start else None
        task = first.task if first and not (task or rows) else await heavy(_caller(request), _task, task or "past-tense", rows, columns)
        if self.lab.engine.lm is not None:
            task = await heavy(_caller(request), fitted, self.lab.engine.lm, task)
        recipe = _recipe(task, given, first)
        caller = _caller(request)
        session = Session(id=caller, task=task)
        run = self.lab.start(session, recipe, begun=begun_from(session, first) if first else None)
        ticket = run.ticket
        assert ticket is not None
        handle = self.handles.add(run, caller)
        async for _ in self._follow(ticket):
            yield _progress(handle, run)

    async def evaluate(self, request: gr.Request, run: str = "", task: str = "", prompts: list[str] = []) -> AsyncIterator[dict]:  # noqa: B006
        """Score a run, and prompts in words, on a task's held-out rows, beside no prompt and the task's own handcrafted ones.

        Parameters:
            run: the handle of a run; empty to score prompts in words alone
            task: a built-in task's name, where no run is given (a run is scored on its own task)
            prompts: up to 12 prompts to score with it, each with {input} once, where the input goes

        Returns:
            the scores so far, with 95 % intervals, and at the end all of them (done is true)
        """
        asked = self.handles.done(run).run if run else None
        if asked is None and not task:
            raise LabError("Nothing was named to score: give the handle of a run, or a task.")
        if asked is not None and task not in ("", asked.task.slug):
            raise LabError(f"This run belongs to the task {shown(asked.task.slug)}: leave the other one out.")
        rows = asked.task if asked else _task(task, "")
        contenders = [
            *([_learned(asked)] if asked else []),
            *(written(rows, prompt) for prompt in _prompts(prompts)),
            *baselines(rows),
        ]
        rule = asked.recipe.label_score if asked else DEFAULT_SCORE
        held_out = common_rows(rows.held_out, contenders)
        if not held_out:
            raise LabError("Every held-out row is shown in a prompt, so none is left to score: leave some examples out.")

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            every = by_one_score([*contenders, *with_model(lm, rows)], rule)
            for event in enter_calibrated(lm, rows, every, self.lab.book):
                if isinstance(event, Entered):
                    every.append(event.contender)
                else:
                    yield event
            yield from contest(lm, rows, every, held_out, self.lab.book, "held_out")
            yield Scored("held_out", majority(rows, held_out))

        ticket = self.lab.engine.submit(_caller(request), job)
        async for over in self._follow(ticket):
            scores = [event.score for event in ticket.events if isinstance(event, Scored) and event.final]
            skipped = {event.name: event.reason for event in ticket.events if isinstance(event, Skipped)}
            found = {"done": over, "task": rows.slug, "rows": len(held_out), "scores": [_row(score) for score in scores]}
            yield {**found, "skipped": skipped, "evidence": evidence.as_dict(len(held_out))}

    async def nearest(self, request: gr.Request, run: str, k: int = 5) -> dict:
        """The vocabulary tokens nearest to each vector of a trained soft prompt, by cosine, with the distance to each.

        Beside each vector stands its control: the same start moved as far in a random direction.

        Parameters:
            run: the handle of a run
            k: how many tokens to list for each vector, 1 to 50

        Returns:
            for each position the nearest tokens, those of the control, and how far the vector has moved
        """
        asked = self.handles.done(run).run
        most = _whole(k, "k", 1, MOST_NEAREST)
        if not asked.record.method.in_embedding_space:
            raise LabError("A K/V prefix has no place in the vocabulary: nearest tokens exist for soft prompts only.")

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            learned, start = contender_at(asked, asked.record.step).prefix.snapshot(), asked.record.vectors[0]
            found = self.lab.vocabulary(lm).nearest_beside_control(learned, start, most)
            listed = [
                [
                    {"token": lm.token_text(token), "id": token, "cosine": round(cosine, 4), "l2": round(l2, 4)}
                    for token, cosine, l2 in zip(*row, strict=True)
                ]
                for row in zip(found.ids.tolist(), found.cosine.tolist(), found.l2.tolist(), strict=True)
            ]
            moved = np.linalg.norm(learned - start, axis=1).tolist()
            tokens = [
                {"position": i, "nearest": listed[i], "control": listed[i + len(learned)], "moved": round(moved[i], 4)}
                for i in range(len(learned))
            ]
            yield Finding({"tokens": tokens, "caveat": CAVEAT})

        return await self._result(request, job)

    def pca(self, run: str) -> dict:
        """Each vector's path through training in a fixed plane: the first three principal components of the vocabulary's
        embeddings (of a K/V prefix: of real tokens' values in its middle layer), with a sample of real tokens around it.

        Parameters:
            run: the handle of a run

        Returns:
            steps and, for each, (x, y, z) of every vector and of its control, the start moved as far at random; the cloud of tokens;
            explained, each component's share of the vocabulary's variance; hidden, the share of each vector at the end that the
            first two components don't show
        """
        record = self.handles.done(run).run.record
        last = len(record.readings) - 1
        steps = sorted({round(i * last / MOST_PLACES) for i in range(MOST_PLACES + 1)})
        return {
            "steps": steps,
            "places": [_rounded(record.readings[step].place) for step in steps],
            "control": [_rounded(record.readings[step].control_place) for step in steps],
            "explained": [round(share, 4) for share in record.explained],
            "hidden": _rounded(record.readings[last].hidden),
            "cloud": [
                {"token": record.texts.get(token, ""), "place": place}
                for token, place in zip(record.cloud_ids, _rounded(record.cloud), strict=True)
            ],
        }

    async def generate(self, request: gr.Request, run: str, text: str, tokens: int = 12) -> dict:
        """What the model answers to a text after a trained prompt, beside no prompt and the best handcrafted one. Greedy.

        Parameters:
            run: the handle of a run
            text: the input to answer; the run's template goes around it
            tokens: the most tokens of an answer, 1 to 64; it ends sooner at a line break or where the model ends it

        Returns:
            each one's answer and, on a task with labels, each label's share among them
        """
        asked = self.handles.done(run).run
        most = _whole(tokens, "tokens", 1, MOST_TOKENS)
        if not isinstance(text, str) or not 0 < len(text.strip()) <= len(text) <= MOST_TEXT:
            raise LabError(f"text is {shown(text)}: give an input of 1 to {MOST_TEXT:,} characters.")
        asked_of = [_learned(asked), bare(asked.task), best_written(asked)]

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            for contender in filter(None, asked_of):
                labels = asked.task.labels
                shares = dict(zip(labels, label_probabilities(lm, contender, text, labels), strict=True)) if labels else None
                words = ""
                for so_far in answer(lm, contender, text, most):
                    words = so_far
                    yield None
                yield Finding({"name": contender.name, "kind": contender.kind, "answer": words, "labels": shares})

        return {"text": text, "answers": await self._results(request, job)}

    async def download(self, request: gr.Request, run: str) -> AsyncIterator[File]:
        """A trained prompt as a zip: a PEFT adapter (`PeftModel.from_pretrained` loads its folder) with recipe.json beside it.

        Parameters:
            run: the handle of a run

        Returns:
            the file
        """
        asked = self.handles.done(run).run

        def job(lm: LanguageModel, ticket: Ticket) -> Iterator[Event | None]:
            yield Finding(pack(adapter_files(lm, asked)))

        data = await self._result(request, job)
        try:
            path = await asyncio.to_thread(offer, data, "soft-prompt.zip", request.cookies)
        except OSError as error:
            raise LabError("The server's disk is full, so no file can be written: please tell its administrator.") from error
        yield gr.FileData(path=str(path), orig_name="soft-prompt.zip").model_dump()

    # --- jobs -------------------------------------------------------------------------------------------------------

    async def _follow(self, ticket: Ticket) -> AsyncIterator[bool]:
        """Whenever there is news of a job, and at least every two seconds, whether it is over. LabError where it failed.

        A client that stops listening ends the job.
        """
        with following(ticket, on_leave=self.lab.engine.cancel, gap=GAP) as news:
            async for item in news:
                if item.status == "failed":
                    raise LabError(ticket.message)
                yield item.over

    async def _results(self, request: gr.Request, job: Any) -> list[Any]:
        ticket = self.lab.engine.submit(_caller(request), job)
        async for _ in self._follow(ticket):
            pass
        return [event.value for event in ticket.events if isinstance(event, Finding)]

    async def _result(self, request: gr.Request, job: Any) -> Any:
        return (await self._results(request, job))[0]


def _caller(request: gr.Request) -> str:
    """Whose turns a call takes: a program's, by Gradio's hash of its connection, which can't be reversed."""
    return "api " + hashlib.sha256(str(request.session_hash).encode()).hexdigest()


def _learned(run: SessionRun) -> Contender:
    return replace(learned_contender(run), name="learned")


def _about(task: Task) -> dict[str, Any]:
    return {
        "task": task.slug,
        "name": task.name,
        "teaches": task.teaches,
        "labels": list(task.labels) if task.labels else None,
        "rows": [[row.input, row.output] for row in task.train[:5]],
        "train": len(task.train),
        "validation": len(task.validation),
        "held_out": len(task.held_out),
    }


def _columns(asked: dict[str, Any], given: dict[str, Any], rows: Any) -> Columns | None:
    """How the table of a call of `train` is to be read, None where the call leaves it open. A template of {column} places goes to it."""
    names, kind, words = asked["columns"] or [], asked["kind"] or "", asked["words"] or {}
    if not isinstance(names, list) or len(names) == 1 or not all(isinstance(name, str) for name in names):
        raise LabError(f"columns is {shown(names)}: give a list of two names or more, the last one of the column that comes out.")
    if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
        raise LabError(f'words is {shown(words)}: give an object with a word for each label, as {{"0": "negative"}}.')
    template = given.get("template", "")
    template = given.pop("template") if isinstance(template, str) and names_columns(template) and rows else ""
    columns = Columns(tuple(names[:-1]), names[-1] if names else "", kind, template=template, words=words)
    if columns == Columns():
        return None
    if not rows:
        raise LabError("columns, kind and words say how rows are read: give rows, too, or leave these out.")
    return columns


def _task(name: Any, rows: Any, columns: Columns | None = None) -> Task:
    if not isinstance(name, str) or not isinstance(rows, str):
        raise LabError("task and rows are texts: name a task, or give rows.")
    if rows.strip():
        if len(rows) > MOST_ROWS_TEXT:
            raise LabError(f"rows has {len(rows):,} characters, more than {MOST_ROWS_TEXT:,}: give fewer rows.")
        return read_task(rows.encode("utf-8", "replace"), "your rows", columns)
    if name not in slugs():
        raise LabError(f"There is no task {shown(name)}: choose one of {', '.join(slugs())}, or give rows of your own.")
    return load_task(name)


def _recipe(task: Task, given: dict[str, Any], start: SessionRun | None) -> Recipe:
    """The recipe of a call of `train`: what is given, then what the run brings that it starts from, then the task's own."""
    for name, value in given.items():
        if isinstance(value, str) and len(value) > MOST_TEXT:
            raise LabError(f"{name} has {len(value):,} characters, more than {MOST_TEXT:,}: shorten it.")
    known = {name: value for name, value in task.recipe.items() if name in ON_PAGE}
    brought = {**as_start(start, {"method": default_of("method"), **known}, task), "init_from": start.name} if start else {}
    return Recipe.from_settings({**known, **brought, **given, "task": task.slug})


def _prompts(prompts: Any) -> list[Handcrafted]:
    if not isinstance(prompts, list) or len(prompts) > MOST_PROMPTS:
        raise LabError(f"prompts is no list of up to {MOST_PROMPTS} texts: give each with {{input}} once.")
    for prompt in prompts:
        if not isinstance(prompt, str) or len(prompt) > MOST_TEXT:
            raise LabError(f"prompts holds {shown(prompt)}: give texts of up to {MOST_TEXT:,} characters.")
        check_template(prompt)
    return [Handcrafted(f"mine {number}", prompt) for number, prompt in enumerate(prompts, start=1)]


def _whole(value: Any, name: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or value != int(value):
        raise LabError(f"{name} is {shown(value)}: choose a whole number from {low} to {high}.")
    return int(value)


def _rounded(values: Any) -> Any:
    return [[round(x, 4) for x in row] if isinstance(row, list) else round(row, 4) for row in values.tolist()]


ROW = ("name", "kind", "accuracy", "interval", "loss", "n", "token_loss", "first_choice", "exact", "agreement", "positions", "parameters")


def _row(score: Score) -> dict[str, Any]:
    facts = score.to_dict()
    return {name: facts[name] for name in ROW}


def _progress(handle: str, run: SessionRun) -> dict[str, Any]:
    record = run.record
    validated = list(record.validation.items())[-1:]
    return {
        "run": handle,
        "status": run.status,
        "step": record.step,
        "steps": run.recipe.steps,
        "loss": record.losses[-1] if record.losses else None,
        "validation": next(({"step": step, "accuracy": score.accuracy, "n": score.n} for step, score in validated), None),
        "scores": [_row(score) for score in record.scores if score.final],
        "imitation": record.imitation.to_dict() if record.imitation else {},
        "difference": asdict(record.difference) if record.difference else {},
        "seconds": round(record.seconds, 3),
        "stopped": record.stopped,
        "kept": record.kept,
        "notes": list(run.task.notes),
        "evidence": evidence.as_dict(len(run.task.held_out)),
    }
