"""What visitors made, on disk, so that a restart of the server loses at most the last steps.

A session's folder has the name of a hash of its secret token, never the token. In it are `session.json` (task, model, typed prompts, and
the order of the runs) and for each run a JSON file with its record, a safetensors file with its vectors, and while it trains the state
from which training goes on. Each file is written under another name and renamed, and only its owner may read it. The browser keeps the place in the lessons and the predictions itself.
"""

import contextlib
import copy
import hashlib
import json
import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Container, Iterable
from dataclasses import asdict, replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load, save

from app.sessions.session import CompareState, Contest, Session
from app.sessions.session_run import SessionRun
from core import Recipe, Task, load_task
from core.errors import LabError
from core.runs.record import RunRecord
from core.runs.record_json import record_from_json, record_to_json
from core.tasks.built_in import slugs
from core.tasks.load import task_from_json
from core.tasks.task import Handcrafted
from core.tasks.task_file import task_to_json
from core.training.training import State

log = logging.getLogger("soft_prompt_lab")

EVERY = 1.0  # seconds between two looks at what has changed
SHARE = 0.05  # of the time, at most, is spent on writing one run
SWEEP_EVERY = 600.0  # seconds between two looks for what is too old or too large
OLDEST = 24 * 3600.0  # seconds after which a folder that nothing was written to is removed
MOST_BYTES = 2 * 2**30  # of all sessions; the oldest folders go first
LARGEST_SESSION = 256 * 2**20  # bytes; beyond it nothing more of this session is written
INTERRUPTED = "the server restarted after step {step}"


def keeper_for(given: str | None) -> "Keeper | None":
    """Keeps in the folder that was given, or in the user's state folder, where that can be written; None on a Space, whose disk goes
    with a restart. LabError for a given folder that can't be written."""
    if given:
        return Keeper(Path(given).expanduser())
    if os.environ.get("SPACE_ID"):
        return None
    try:
        return Keeper(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "soft-prompt-lab" / "sessions")
    except (LabError, RuntimeError) as error:  # a user without a home
        log.warning("sessions are not kept", extra={"facts": {"error": type(error).__name__}})
        return None


class Keeper:
    """Writes sessions as they grow, in a thread of its own, and reads them back."""

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time):
        """folder: made where it is missing, for its owner alone. LabError where it can't be written."""
        self.folder, self._wall = folder, wall
        self._written: dict[str, Any] = {}  # path -> what was written to it last
        self._next: dict[str, float] = {}  # path -> when it may be written again
        self._keys: dict[int, tuple[SessionRun, str]] = {}  # by identity: a run's name on disk
        self._lock = threading.Lock()
        self._sessions: Callable[[], Iterable[Session]] = tuple
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.chmod(0o700)
            _write(folder / ".writable", b"")
        except OSError as error:
            raise LabError(f"The folder {str(folder)!r} can't be written ({type(error).__name__}): give --keep another one.") from error
        self.sweep()
        self._swept = self._wall()

    def place(self, token: str) -> Path:
        """The folder of the session with this token."""
        return self.folder / hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()[:40]

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, sessions: Iterable[Session], all_now: bool = False) -> None:
        """Write what has changed. all_now: without regard to how long that takes."""
        with self._lock:
            here = list(sessions)
            self._tidy(here)
            for session in here:
                try:
                    self._write_session(session, all_now)
                except OSError as error:  # a full disk: training goes on
                    log.error("a session could not be kept", extra={"facts": {"error": type(error).__name__}})
            if self._wall() - self._swept >= SWEEP_EVERY:
                self.sweep({self.place(session.token) for session in here})
                self._swept = self._wall()

    def _tidy(self, sessions: list[Session]) -> None:
        """Forget what was noted of sessions and runs that are no longer in memory."""
        folders = {str(self.place(session.token)) for session in sessions}
        runs = {id(run) for session in sessions for run in session.runs}
        self._keys = {known: noted for known, noted in self._keys.items() if known in runs}
        self._written = {path: noted for path, noted in self._written.items() if os.path.dirname(path) in folders}
        self._next = {path: noted for path, noted in self._next.items() if os.path.dirname(path) in folders}

    def _write_session(self, session: Session, all_now: bool) -> None:
        runs = [run for run in session.runs if run.learned is None and run.record.readings]
        prompts = [
            (model, key, contest.prompts)
            for model, state in list(session.compares.items())
            for key, contest in list(state.contests.items())
        ]
        prompts = [(model, key, typed) for model, key, typed in prompts if typed]
        if not runs and not prompts and session.train.own_task is None:
            return
        folder = self.place(session.token)
        folder.mkdir(exist_ok=True, mode=0o700)
        if sum(path.stat().st_size for path in folder.iterdir()) > LARGEST_SESSION:
            return
        names = []
        for run in runs:
            _, name = self._keys.setdefault(id(run), (run, secrets.token_hex(6)))
            names.append(name)
            self._write_run(folder / name, run, all_now)
        path = folder / "session.json"
        version = (session.model, session.task, session.train.own_task, session.train.started, tuple(names), _frozen(prompts))
        if self._written.get(str(path)) == version:  # before the work of writing a task as JSON
            return
        data = {
            "model": session.model,
            "task": _task_data(session.task),
            "own_task": _task_data(session.train.own_task) if session.train.own_task else None,
            "started": session.train.started,
            "runs": names,
            "prompts": [
                [model, slug, [asdict(one) for one in given], [asdict(one) for one in typed]] for model, (slug, given), typed in prompts
            ],
        }
        _write(path, json.dumps(data, ensure_ascii=False).encode())
        self._written[str(path)] = version
        for other in folder.glob("*.json"):  # of runs that the session has dropped
            if other.stem not in (*names, "session"):
                for file in folder.glob(f"{other.stem}.*"):
                    file.unlink(missing_ok=True)

    def _write_run(self, path: Path, run: SessionRun, all_now: bool) -> None:
        version = (run.record.step, len(run.record.scores), run.record.finished, run.status if run.ticket else "")
        began = time.monotonic()
        if self._written.get(str(path)) == version or (began < self._next.get(str(path), 0.0) and not all_now):
            return
        state = run.record.state
        record = _still(run.record, state.step if state else run.record.step)
        vectors = record.final_vectors()
        if vectors is not None:
            ends = {"-1": vectors} | ({"0": record.vectors[0]} if 0 in record.vectors else {})
            _write(path.with_suffix(".safetensors"), save(ends))
        data = {
            "name": run.name,
            "model": run.model,
            "task": _task_data(run.task),
            "recipe": run.recipe.to_dict(),
            "over": run.ticket is None or run.ticket.over,
            "record": record_to_json(record),
            "state": state.step if state else None,
        }
        kept = path.with_suffix(f".{state.step}.state") if state else None
        if kept and state:
            _write(kept, state.to_bytes())  # before the record that names it
        _write(path.with_suffix(".json"), json.dumps(data, ensure_ascii=False).encode())
        for old in path.parent.glob(f"{path.name}.*.state"):
            if old != kept:
                old.unlink(missing_ok=True)
        self._written[str(path)] = version
        self._next[str(path)] = time.monotonic() + (time.monotonic() - began) / SHARE

    def flush(self) -> None:
        """Write all that has changed, before the process ends."""
        self.write(self._sessions(), all_now=True)

    def watch(self, sessions: Callable[[], Iterable[Session]]) -> None:
        """From now on, write what has changed every second, until the process ends."""
        self._sessions = sessions

        def work() -> None:
            while True:
                time.sleep(EVERY)
                try:
                    self.write(sessions())
                except Exception:
                    log.exception("sessions could not be kept")

        threading.Thread(target=work, name="keeper", daemon=True).start()

    # --- reading ----------------------------------------------------------------------------------------------------

    def read(self, token: str, models: Iterable[str]) -> Session | None:
        """The session that was kept under this token, or None. models: those that this server offers; runs of others are left out."""
        folder = self.place(token)
        try:
            data = json.loads((folder / "session.json").read_text("utf-8"))
            session = Session(token=token, model=data["model"] if data["model"] in set(models) else "", task=self._task(data["task"]))
            session.train.own_task = self._task(data["own_task"]) if data["own_task"] else None
            session.train.started = int(data["started"])
            for model, slug, given, typed in data["prompts"]:
                key = (slug, tuple(Handcrafted(**one) for one in given))
                contests = session.compares.setdefault(model, CompareState()).contests
                contests[key] = Contest(prompts=[Handcrafted(**one) for one in typed])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, LabError) as error:
            log.error("a kept session can't be read", extra={"facts": {"error": type(error).__name__}})
            return None
        for name in data["runs"]:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, IndexError, LabError, SafetensorError):
                run = self._run(folder / name)
                if run.model in set(models):
                    session.runs.append(run)
                    self._keys[id(run)] = (run, name)
        session.show(next(reversed(session.runs_here), None))
        return session

    def _run(self, path: Path) -> SessionRun:
        data = json.loads(path.with_suffix(".json").read_text("utf-8"))
        record = record_from_json(data["record"])
        if path.with_suffix(".safetensors").is_file():
            record.vectors = {int(step): values for step, values in load(path.with_suffix(".safetensors").read_bytes()).items()}
        if data.get("state") is not None and not record.finished:
            with contextlib.suppress(OSError, ValueError, TypeError, RuntimeError, UnpicklingError):  # without it, it can't be gone on with
                record.state = State.from_bytes(path.with_suffix(f".{data['state']}.state").read_bytes())
        if not record.finished and not record.stopped:
            record.stopped = INTERRUPTED.format(step=record.step)
        return SessionRun(data["name"], record, self._task(data["task"]), Recipe.from_dict(data["recipe"]), model=data["model"])

    def _task(self, data: dict[str, str]) -> Task:
        if "json" not in data:
            return load_task(data["slug"])
        return replace(task_from_json(data["json"].encode(), "kept.json"), slug=data["slug"])  # the reader would make another slug of it

    # --- limits -----------------------------------------------------------------------------------------------------

    def sweep(self, here: Container[Path] = ()) -> None:
        """Remove the folders that are too old, and the oldest ones where all together are too large. here: of sessions in memory, which stay."""
        found = []
        for folder in [path for path in self.folder.iterdir() if path.is_dir()]:
            with contextlib.suppress(OSError):
                files = [path.stat() for path in folder.iterdir()]
                found.append((max([one.st_mtime for one in files], default=0.0), sum(one.st_size for one in files), folder))
        total = 0
        for newest, size, folder in sorted(found, key=lambda one: -one[0]):
            total += size
            if folder not in here and (self._wall() - newest > OLDEST or total > MOST_BYTES):
                shutil.rmtree(folder, ignore_errors=True)


def _frozen(prompts: list[Any]) -> tuple[Any, ...]:
    """The typed prompts as they are now: the lists may grow."""
    return tuple((model, key, tuple(typed)) for model, key, typed in prompts)


def _still(record: RunRecord, steps: int) -> RunRecord:
    """A record as it is after `steps`; the worker may go on writing the one that it was made from."""
    still = copy.copy(record)
    still.losses, still.readings = record.losses[:steps], record.readings[: steps + 1]
    still.texts, still.validation = dict(record.texts), dict(record.validation)
    still.vectors = {step: values for step, values in dict(record.vectors).items() if step <= steps}
    still.skipped = dict(record.skipped)
    return still


def _task_data(task: Task) -> dict[str, str]:
    built_in = task.slug in slugs() and load_task(task.slug) == task
    return {"slug": task.slug} if built_in else {"slug": task.slug, "json": task_to_json(task)}


def _write(path: Path, data: bytes) -> None:
    """All of `data` or what was there before, for its owner alone."""
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        os.replace(half, path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
