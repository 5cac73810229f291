"""Small parts of the Train page: lessons next to its controls, the choice of tasks, and a task as a file."""

from app.sessions.session_run import SessionRun
from app.view import code, tables
from app.view.html import Html, tag
from core import load_task
from core.tasks.built_in import slugs
from core.tasks.task import Task
from core.tasks.task_file import task_to_json

LESSONS = {  # below which control, which lesson says more about it
    "method": ("prefix", "prompt or prefix?"),
    "virtual_tokens": ("sizes", "how many parameters is that?"),
    "init": ("starts", "where to start, and what goes wrong"),
}


def go_on_words(run: SessionRun | None) -> str:
    """What the button below a run says: a run that was interrupted is gone on with, from any other a new one starts."""
    return f"Go on from step {run.record.state.step}" if run and run.record.resumable and run.record.state else "Train on from this prompt"


def given_task(task: Task) -> Html:
    """A link that downloads the task file."""
    name = code.file_name(task)
    return tag("p", tables.download(name, task_to_json(task), name, "application/json"))


def task_choices(own: Task | None = None) -> list[tuple[str, str]]:
    """(name, slug) of the built-in tasks, and of the session's own where there is one."""
    return [*((load_task(slug).name, slug) for slug in slugs()), *([(f"yours: {own.name}", own.slug)] if own else [])]
