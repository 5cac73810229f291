"""The Copy link button, and what happens when a link is opened."""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

import gradio as gr

from app.components.controls import recipe_from
from app.components.widgets import QUIET, Changes, copied, html
from app.pages.train import TrainPage
from app.sessions.session import Session
from app.view import links
from app.view.html import alert
from core import LabError, Recipe, load_task
from core.tasks.built_in import slugs

TOLD_FILE = "This task is too large for a link: send its file, too, which the page Your task gives and takes."


class LinkBar:
    """Layout first (`__init__`, inside a row of the header), then events (`wire`)."""

    def __init__(self) -> None:
        self.home = links.home(os.environ.get("SPACE_ID", ""))
        self.copied = copied(min_width=100)
        self.button = gr.Button("Copy link", elem_id="copy-link", size="sm", scale=0, min_width=110)
        self.tab = gr.Textbox(visible=False)

    def place_message(self) -> None:
        """Where a link's sentence goes: apart from the header, which a link may hide."""
        self.message = html(elem_id="link-message")

    def wire(self, session: gr.State, train: TrainPage, tabs: gr.Tabs) -> None:
        self.train, self.pages = train, [str(tab.id) for tab in tabs.children]
        self.tabs = tabs
        self.outputs = [tabs, self.message]
        inputs = [session, self.tab, *train.controls.values()]
        self.button.click(self._copy, inputs, [self.copied], js="(...values) => lab.readTab(...values)", **QUIET)

    def _copy(self, session: Session, tab: Any, *values: Any) -> str:
        try:
            recipe = recipe_from(dict(zip(self.train.controls, values, strict=True)), session.task)
            page = tab if tab in self.pages else ""
            link = links.write(session.task, recipe.to_dict(), page, session.chosen, session.step)
        except LabError as error:
            return json.dumps({"said": str(error), "at": time.monotonic()})
        told = "" if "#" in link or session.task.slug in slugs() else TOLD_FILE
        return json.dumps({"link": link, "home": self.home, "said": told, "at": time.monotonic()})  # at: two of one value are two

    def open(self, session: Session, text: str) -> Changes:
        """Set the page up as a link says: changes of `outputs`, and of the Train page's `set_up_outputs`."""
        link = links.read(text, self.pages)
        problems = list(link.problems)
        if link.task == links.OWN or link.own:
            try:
                if not link.own:
                    raise LabError("its task is not built in and too large for a link: load the task's file on the page Your task.")
                session.train.own_task = session.task = links.unpack(link.own)
            except LabError as error:
                problems.append(str(error).removesuffix("."))
        elif link.task:
            session.task = load_task(link.task)
        values = links.settings(session.task, link.given)
        try:
            Recipe.from_settings(values)
        except LabError as error:  # each setting by itself is sound, and they stay, to be put right by hand
            problems.append(str(error).removesuffix("."))
        session.chosen, session.step = link.token, link.step
        untouched = not (link.task or link.own or link.given)
        changes = self.train.restore(session) if untouched else self.train.set_up(session, values)
        if link.page:
            changes[self.tabs] = gr.Tabs(selected=link.page)
        return {**changes, self.message: alert(links.sentence(problems))}


def says_something(text: Any) -> bool:
    """Whether a link's end sets anything up (hiding parts of the page alone doesn't)."""
    return isinstance(text, str) and bool(_set_up(links.read(text, ())))


def _set_up(link: links.Link) -> Sequence[Any]:
    return [*link.given, *filter(None, (link.task, link.page, link.lesson, link.own)), *link.problems]
