"""Ray: slices of training and scoring are done by actors, one for each device of a cluster, each with its own model.

Ray places the actors, watches them and starts them again where one dies; a lost slice is done again elsewhere from the state that
it was given (core/training/slices.py). This process keeps a model too: for its tokenizer, and for the readings of Inspect.
"""

import importlib
import importlib.util
import logging
import os
import pickle
import queue
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from core.errors import LabError, reason, shown
from core.files import ROOT
from core.models.language_model import LanguageModel, load_model

MISSING = "--engine ray needs the package ray: pip install -r requirements-ray.txt, or leave the option out."
MOST_TRIES = 4  # of one slice, each on another actor where there is one
MOST_SHIPPED = 16  # tasks that are kept in the cluster's store
LONGEST_START = 600  # seconds until all actors have loaded their model
LARGEST_MODEL = 8 << 30  # bytes of a folder that is sent to machines that lack it
TASK = "task"  # the field of a slice that is the same in all slices of a run

log = logging.getLogger("soft_prompt_lab")


@dataclass(frozen=True)
class ModelSource:
    """What an actor loads: as for `load_model`."""

    name: str
    dtype: str = "auto"


class Worker:
    """In an actor: a model on one device, which does slices."""

    def __init__(self, source: ModelSource, files: dict[str, bytes] | None = None):
        """files: of the model's folder, for a machine that lacks it."""
        name = source.name
        if files is not None:
            folder = Path(tempfile.mkdtemp(prefix="soft-prompt-lab-model-"))
            for path, data in files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
            name = str(folder)
        self.lm = load_model(name, "auto", source.dtype)

    def do(self, work: Any, shared: Any) -> bytes:
        """What `work.do` returns, or the LabError that it raises, pickled: arrays straight from Ray's store can't be written to.

        shared: the slice's task, which the store holds once.
        """
        if shared is not None:
            object.__setattr__(work, TASK, shared)  # slices are frozen, and this one was made for this call
        try:
            found = work.do(self.lm)
        except LabError as error:  # raised, Ray would wrap it
            found = error
        return pickle.dumps(found)

    def device(self) -> str:
        return self.lm.device.type

    def process(self) -> int:
        """The actor's process id."""
        return os.getpid()


def _ray() -> Any:
    return importlib.import_module("ray")  # optional, and so are its types


def connect(address: str = "") -> None:
    """Connect to a cluster, or start one on this machine where no address is given. LabError where it can't be reached."""
    if importlib.util.find_spec("ray") is None:
        raise LabError(MISSING)
    ray = _ray()
    if ray.is_initialized():
        return
    environment = {"py_modules": [str(ROOT / "core")]} if address else {"env_vars": {"PYTHONPATH": str(ROOT)}}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no request leaves the cluster
    try:
        ray.init(
            address=address or None,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if address else {"_node_ip_address": "127.0.0.1", "include_dashboard": False}),
        )
    except Exception as error:
        raise LabError(
            f"The Ray cluster {shown(address or 'on this machine')} can't be reached ({reason(error)}): start it, or check the address."
        ) from error


def devices(workers: int = 0) -> int:
    """How many actors the connected cluster gets: `workers`, else one for each GPU, or for each machine where there is none."""
    return workers or int(_ray().cluster_resources().get("GPU", 0)) or len(_machines()) or 1


def _machines() -> list[dict[str, Any]]:
    return [node for node in _ray().nodes() if node["Alive"] and node["Resources"].get("CPU")]


class Cluster:
    """Does slices on a cluster's devices. Calls from several threads are done at the same time, each by a free actor."""

    def __init__(
        self,
        source: ModelSource,
        workers: int = 0,
        elsewhere: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        """workers: how many actors; 0: see `devices`. elsewhere: held while a thread waits for the cluster.

        Call `connect` first. LabError where the cluster has no place for an actor, or an actor can't load the model.
        """
        ray = _ray()
        self._ray, self._source, self.elsewhere = ray, source, elsewhere
        self.workers = devices(workers)
        cores = int(sum(machine["Resources"]["CPU"] for machine in _machines()))
        # Ray gives an actor as many threads as it asks for CPUs.
        gpu = bool(ray.cluster_resources().get("GPU"))
        self._needs = {"num_gpus": 1, "num_cpus": 1} if gpu else {"num_cpus": max(1, cores // self.workers)}
        self._free: queue.Queue[Any] = queue.Queue()
        self._shipped: OrderedDict[int, tuple[Any, Any]] = OrderedDict()  # by id: the object, and where the store has it
        self._lock = threading.Lock()
        self._files: Any = None  # the model's folder in the cluster's store, once a machine needed it
        actors = [self._start() for _ in range(self.workers)]
        try:
            kinds = sorted(set(ray.get([one.device.remote() for one in actors], timeout=LONGEST_START)))
            self.device = f"Ray: {self.workers} × {', '.join(kinds)}"
        except ray.exceptions.GetTimeoutError as error:
            raise LabError(
                f"The cluster did not start {self.workers} workers in {LONGEST_START // 60} minutes: end what uses its devices, or ask "
                "for fewer."
            ) from error
        except ray.exceptions.RayError as error:
            raise LabError(f"A worker of the cluster can't load the model ({reason(error)}): check it on its machine.") from error
        for one in actors:
            self._free.put(one)

    def _start(self) -> Any:
        folder = Path(self._source.name)
        files = None
        if self._source.name and folder.is_dir() and len(_machines()) > 1:
            self._files = self._files or self._ray.put(_read_folder(folder))
            files = self._files
        made = self._ray.remote(Worker)
        return made.options(**self._needs, max_restarts=-1).remote(self._source, files)

    def __call__(self, work: Any) -> Any:
        """What `work.do` returns on an actor's model. LabError where it raises one, and where the cluster has gone away."""
        with self.elsewhere():
            found = self._do(work)
        if isinstance(found, LabError):
            raise found
        return found

    def _do(self, work: Any) -> Any:
        shared = self._ship(getattr(work, TASK)) if TASK in {field.name for field in fields(work)} else None
        sent = _without_task(work) if shared is not None else work
        problem: Exception | None = None
        for _ in range(MOST_TRIES):
            actor = self._free.get()
            try:
                found = pickle.loads(self._ray.get(actor.do.remote(sent, shared)))
            except self._ray.exceptions.RayActorError as error:  # its process died: Ray starts it again, and this slice is done anew
                problem = error
                log.warning("a worker of the cluster died", extra={"facts": {"error": type(error).__name__}})
                actor = self._again(actor)
                continue
            except (self._ray.exceptions.RayError, ConnectionError, RuntimeError) as error:
                problem = error
                break
            finally:
                self._free.put(actor)
            return found
        why = reason(problem) if problem else "it is gone"
        raise LabError(f"The cluster did not answer ({why}): what was found so far stays; check it, then continue.")

    def _again(self, actor: Any) -> Any:
        """The actor where Ray has started it again, else a new one."""
        try:
            self._ray.get(actor.device.remote(), timeout=120)
            return actor
        except self._ray.exceptions.RayError:
            return self._start()

    def _ship(self, task: Any) -> Any:
        """The task's place in the cluster's store: it is sent once for all slices of a run."""
        with self._lock:
            known = self._shipped.get(id(task))
            if known is None or known[0] is not task:
                known = self._shipped[id(task)] = (task, self._ray.put(task))
            self._shipped.move_to_end(id(task))
            while len(self._shipped) > MOST_SHIPPED:
                self._shipped.popitem(last=False)
            return known[1]


def join(lm: LanguageModel, cluster: Cluster) -> LanguageModel:
    """From now on slices of `lm` are done by the cluster."""
    lm.device_process = cluster
    return lm


def _without_task(work: Any) -> Any:
    sent = object.__new__(type(work))
    for field in fields(work):
        object.__setattr__(sent, field.name, None if field.name == TASK else getattr(work, field.name))
    return sent


def _read_folder(folder: Path) -> dict[str, bytes]:
    """A model's files. LabError for a folder that is too large to be sent."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST_MODEL:
        raise LabError(f"The model's folder has {size / 2**30:.0f} GB, too much to send: put it on every machine at the same path.")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
