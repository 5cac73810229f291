"""What a link says of the page: a query (and, for a small task of the user's own, a fragment) to and from plain values.

Names, types and defaults are the recipe's own (`core.recipe`): a link holds only what differs from what the task and the
method bring. A task of the user's own is behind the `#`, which no browser sends as part of an address.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode

from core import LabError
from core.errors import shown
from core.methods import METHODS
from core.recipe import BEFORE, SETTINGS
from core.tasks.built_in import slugs
from core.tasks.load import task_from_json
from core.tasks.task import Task
from core.tasks.task_file import task_to_json

ON_PAGE = {name: setting for name, setting in SETTINGS.items() if setting.place in ("panel", "more")}  # what a link may set, too
OWN = "own"  # in place of a task's name, and of its content behind the #
LONGEST_FRAGMENT = 12_000  # characters: programs that pass links on cut longer ones
LARGEST_UNPACKED = 2**20  # bytes
LONGEST = 40_000  # characters of a whole link
MOST_PARAMETERS = 100
PLACES = {"token": 199, "step": 10_000}  # numbers from 0, and the largest
NOT_OURS = re.compile(r"__.*|utm_.*|fbclid|gclid|logs|view|footer|dark|light")  # of the hosts and sites that a link passes through
LESSON = re.compile(r"[a-z0-9][a-z0-9-]{0,60}")

# What `hide=` can name besides the recipe's fields: parts of the page, with their CSS selectors.
PARTS = {
    "header": ".top",
    "footer": "footer",
    "more": "#more",
    "link": "#copy-link",
    "task": "#task, #examples, #own-task",
    "own": "#own-task, [role=tab][data-tab-id=task]",
    "code": "#code",
    **{page: f"[role=tab][data-tab-id={page}]" for page in ("compare", "inspect", "experiments", "learn")},
}
HIDEABLE = {**{name: f"#set-{name}" for name in ON_PAGE}, **PARTS}


@dataclass(frozen=True)
class Link:
    """What a link says. task: a built-in task's name, `OWN`, or "" for none. given: recipe fields, each one valid.

    token, step: what is chosen on the page, or None. own: the packed task behind the #. problems: what could not be read, in words.
    """

    task: str = ""
    given: dict[str, Any] = field(default_factory=dict)
    page: str = ""
    lesson: str = ""
    token: int | None = None
    step: int | None = None
    hide: tuple[str, ...] = ()
    embed: bool = False
    own: str = ""
    problems: tuple[str, ...] = ()


def usual(task: Task, method: str = "") -> dict[str, Any]:
    """The values of the controls on `task` before any change: the recipe's defaults, and what the task brings.

    method: "" for the task's own. Another one brings its own defaults.
    """
    own = {name: value for name, value in task.recipe.items() if name in ON_PAGE}
    usual_method = own.get("method", ON_PAGE["method"].default)
    method = method or usual_method
    if method != usual_method:
        own = {name: value for name, value in own.items() if name not in METHODS[method].defaults}
    return {name: field.default_for(method) for name, field in ON_PAGE.items()} | own | {"method": method}


def settings(task: Task, given: Mapping[str, Any]) -> dict[str, Any]:
    """What all controls hold where a link gives `given`."""
    return usual(task, given.get("method", "")) | {name: value for name, value in given.items() if name in ON_PAGE}


def write(task: Task, values: Mapping[str, Any], page: str = "", token: int | None = None, step: int | None = None) -> str:
    """The link's end, from the ? on. values: what the controls hold, by field. LabError for a value that no recipe takes.

    A small task of the user's own (`small`) is put behind the #; a larger one is only mentioned.
    """
    built_in = task.slug in slugs()
    known = usual(task, values["method"])
    query: list[tuple[str, str]] = [("task", task.slug if built_in else OWN)]
    if values["method"] != usual(task)["method"]:
        query.append(("method", values["method"]))
    for name in ON_PAGE:
        if name != "method" and values[name] != BEFORE.get(name, known[name]):
            ON_PAGE[name].check(values[name])
            query.append((name, str(values[name])))
    query += [("page", page)] if page not in ("", "train") else []
    query += [(name, str(place)) for name, place in (("token", token), ("step", step)) if place is not None]
    end = "?" + urlencode(query, errors="replace")
    return end + (f"#{OWN}={pack(task)}" if not built_in and small(task) else "")


def read(text: str, pages: Sequence[str]) -> Link:
    """What a link says, from its ? on. pages: the names of the page's tabs. The parts that can't be read are in `problems`."""
    if len(text) > LONGEST:
        return Link(problems=(f"it has {len(text):,} characters, more than {LONGEST:,}",))
    query, _, fragment = text.partition("#")
    try:
        pairs = parse_qsl(query.removeprefix("?"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS, errors="replace")
    except ValueError:
        return Link(problems=(f"it has more than {MOST_PARAMETERS} parts",))
    found: dict[str, Any] = {"given": {}}
    problems: list[str] = []
    for name, value in pairs:
        try:
            if name in ON_PAGE:
                given = ON_PAGE[name].read(value)
                ON_PAGE[name].check(given)
                found["given"][name] = given
            elif not NOT_OURS.fullmatch(name):
                found |= _other(name, value, pages)
        except LabError as error:
            problems.append(str(error).removesuffix("."))
    name, _, packed = fragment.partition("=")
    if name == OWN:
        found["own"] = packed
    if "task" in found:
        found["given"] = BEFORE | found["given"]  # what `write` leaves out is as it was before there was a choice
    if "hide" in found:
        problems += [f"there is no part {shown(part)} to hide" for part in found["hide"] if part not in HIDEABLE]
        found["hide"] = tuple(part for part in found["hide"] if part in HIDEABLE)
    if found.get("lesson") and "page" not in found:
        found["page"] = "learn"
    return Link(**found, problems=tuple(problems))


def sentence(problems: Sequence[str]) -> str:
    """One sentence that lists the problems of a link, or "" if there are none."""
    return f"Not all of this link could be used: {'; '.join(problems)}." if problems else ""


def _other(name: str, text: str, pages: Sequence[str]) -> dict[str, Any]:
    """What a parameter that is no setting says, as fields of `Link`."""
    if name == "hide":
        return {"hide": tuple(part.strip() for part in text.split(",") if part.strip())}
    if name == "embed":
        return {"embed": text == "true"}
    if name in PLACES:
        if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > PLACES[name]:
            raise LabError(f"{name} is {shown(text)}, not a whole number from 0 to {PLACES[name]:,}")
        return {name: int(text)}
    known = {"task": text == OWN or text in slugs(), "lesson": "learn" in pages and LESSON.fullmatch(text), "page": text in pages}
    if name not in known:
        raise LabError(f"there is no setting {shown(name)}")
    if not known[name]:
        raise LabError(f"there is no {name} {shown(text)} here")
    return {name: text}


# --- a task of the user's own ----------------------------------------------------------------------------------------------


def pack(task: Task) -> str:
    """A task file (see `task_to_json`), compressed, in the letters that an address may hold."""
    data = zlib.compress(task_to_json(task).encode("utf-8", "replace"), 9)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def small(task: Task) -> bool:
    """Whether a task can travel in a link."""
    return sum(len(row.input) + len(row.output) for row in (*task.train, *task.validation, *task.held_out)) < 2**18 and (
        len(pack(task)) <= LONGEST_FRAGMENT
    )


def unpack(packed: str) -> Task:
    """The task that `pack` packed, checked as any task file is. LabError for anything else, however large it would become."""
    broken = LabError("the task in it is damaged: copy the whole link, or bring the task's file.")
    if len(packed) > LONGEST_FRAGMENT:
        raise broken
    try:
        data = base64.b64decode(packed + "=" * (-len(packed) % 4), altchars=b"-_", validate=True)
        reader = zlib.decompressobj()
        text = reader.decompress(data, LARGEST_UNPACKED)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise broken from error
    if not reader.eof:  # cut off, or larger than any task that travels like this
        raise broken
    return task_from_json(text, "the task in this link")


def home(space: str) -> str:
    """The address before the ?, where it is not the page's own: on a Space, the Space's, since the page is in a frame there.

    >>> home("ada/soft-prompt-lab"), home("")
    ('https://huggingface.co/spaces/ada/soft-prompt-lab', '')
    """
    return f"https://huggingface.co/spaces/{space}" if re.fullmatch(r"[\w.-]+/[\w.-]+", space) else ""
