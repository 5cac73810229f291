"""What breaks under a server: no model, a full disk, an exception amid a run, no memory, kill -9 while saving.

Each must end in a state that can be read, the slot free within a second, and the next job well.
"""

import asyncio
import os
import random
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from stress.client import PATIENCE, Client, serve, tiny_model, visitors
from stress.leaving import succeeds
from stress.soak import inside

Answer = dict[str, Any]
LITTLE = 48 * 2**20  # bytes beside what the server has: less than a long run with a large prefix wants


async def _train(address: str, **changes: Any) -> tuple[bool, list[str], list[str]]:
    async with visitors(address) as (http, page):
        client = Client(http, page)
        await client.open()
        well = await client.press("train", **changes)
        await client.vanish()
        return well, client.said, client.failed


async def _next_job(address: str) -> bool:
    async with visitors(address) as (http, page):
        return await succeeds(http, page)


def no_model(folder: Path) -> Answer:
    """The page opens, says why there is no model, and refuses jobs with the same sentence."""
    tiny_model(folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with serve("--model", str(folder)) as server:
        health = server.health()
        page = httpx.get(server.address, timeout=60)
        _, said, failed = asyncio.run(_train(server.address))
    return {
        "said": said[:1],
        "held": not health["ok"] and page.status_code == 200 and said[:1] == [health["problem"]] and not failed,
    }


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of 1 MB at `folder`, where this user may mount one."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(folder: Path) -> Answer:
    """Saving onto a full disk is refused in a sentence, leaves what was there, and nothing half-written."""
    import tiny_models

    from core.errors import LabError
    from core.runs import adapter_files
    from core.runs import saved_adapter as storage

    lm = tiny_models.make()
    with small_disk(folder) as real:
        adapter_files.save(folder / "kept", _files(lm, "prompt"))
        with open(folder / "ballast", "wb", buffering=0) as ballast, suppress(OSError):
            while real:
                ballast.write(b"\0" * 4096)
        said = ""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            if not real:  # then a limit on the size of any file stands for a full disk
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            for target in ("kept", "new"):
                try:
                    adapter_files.save(folder / target, _files(lm, "prefix"))
                except LabError as error:
                    said = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            signal.signal(signal.SIGXFSZ, before)
        left = sorted(path.name for path in folder.iterdir() if path.name != "ballast")
        held = left == ["kept"] and storage.load(folder / "kept", lm).prefix.kind == "prompt" and "can't be saved" in said
        (folder / "ballast").unlink()
        adapter_files.save(folder / "kept", _files(lm, "prefix"))
        held = held and storage.load(folder / "kept", lm).prefix.kind == "prefix"
    return {"a disk of its own": real, "said": said.replace(str(folder), "…"), "held": held}


def _files(lm: Any, kind: str) -> dict[str, bytes]:
    import tiny_models

    from core.recipe import Recipe
    from core.runs.saved_adapter import record_of, to_files

    recipe = Recipe(method="prompt" if kind == "prompt" else "prefix", virtual_tokens=50)
    return to_files(lm, tiny_models.random_prefix(lm, kind, 50), record_of(lm, tiny_models.answer_task(), recipe, "{input}"))


def broken_step(folder: Path) -> Answer:
    """An exception in step 3 of one visitor's run: a sentence for this one, and the other's run goes on."""
    from core.ticket import UNEXPECTED
    from core.training.training import Training

    step = Training._step

    def breaks(self: Training, optimiser: Any, state: Any) -> Any:
        if self.recipe.seed == 666 and state.step == 2:
            raise ZeroDivisionError("secret of a visitor")
        return step(self, optimiser, state)

    with mock.patch.object(Training, "_step", breaks), inside(folder) as (address, lab):

        async def both() -> Any:
            return await asyncio.gather(
                _train(address, set__steps=6, set__seed=666, set__virtual_tokens=4), _train(address, set__steps=6, set__virtual_tokens=4)
            )

        (_, said, failed), (well, others, _) = asyncio.run(both())
        began = time.monotonic()
        while lab.engine.status()["running"] and time.monotonic() - began < PATIENCE:
            time.sleep(0.01)
        free = time.monotonic() - began
        again = asyncio.run(_next_job(address))
    return {
        "said": sorted(set(said)), "free after s": round(free, 2),
        "held": set(said) == {UNEXPECTED} and not failed and well and not others and free < PATIENCE and again,
    }  # fmt: skip


def little_memory(folder: Path) -> Answer:
    """The address space of the server is cut down to what it has: a large run is refused or ends in a sentence, a small one passes."""
    with serve(*tiny_model(folder)) as server:
        well = asyncio.run(_next_job(server.address))
        pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_AS)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (pages * 4096 + LITTLE, hard))
        _, said, failed = asyncio.run(
            _train(server.address, set__steps=1000, set__virtual_tokens=200, set__batch_size=64, set__method="prefix")
        )
        free = asyncio.run(server.idle())
        small = asyncio.run(_next_job(server.address))
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (soft, hard))
        large = asyncio.run(_next_job(server.address))
        alive = server.process.poll() is None
    return {
        "said": sorted(set(said)), "free after s": round(free, 2),
        "held": well and any("memory" in text for text in said) and not failed and small and large and alive,
    }  # fmt: skip


def killed_while_saving(folder: Path, times: int = 300) -> Answer:
    """kill -9 at a random moment of saving, again and again: the folder is never half of one prompt and half of another."""
    import tiny_models

    from core.runs import adapter_files
    from core.runs import saved_adapter as storage

    lm, draw = tiny_models.make(), random.Random(0)
    versions = {kind: _files(lm, kind) for kind in ("prompt", "prefix")}
    target, torn, seen = folder / "prompt", 0, []
    for _ in range(times):
        saver = os.fork()
        if saver == 0:
            try:
                while True:
                    for files in versions.values():
                        adapter_files.save(target, files)
            finally:
                os._exit(1)
        time.sleep(draw.uniform(0.001, 0.02))
        os.kill(saver, signal.SIGKILL)
        os.waitpid(saver, 0)
        if target.exists():
            found = {path.name: path.read_bytes() for path in target.iterdir()}
            seen += [kind for kind, files in versions.items() if found == files]
            torn += found not in versions.values()
    midway = len(list(folder.glob(".saving-*")))
    adapter_files.save(target, versions["prompt"])
    well = storage.load(target, lm).prefix.kind == "prompt"
    return {
        "kills": times, "amid a saving": midway, "whole": len(seen), "torn": torn,
        "held": torn == 0 and well and set(seen) == set(versions) and midway > 0,
    }  # fmt: skip


FAULTS: dict[str, Callable[[Path], Answer]] = {
    "no model": no_model,
    "a full disk": full_disk,
    "an exception in step 3": broken_step,
    "little memory": little_memory,
    "kill -9 while saving": killed_while_saving,
}


def run(names: tuple[str, ...] = tuple(FAULTS)) -> dict[str, Any]:
    figures, held = {}, {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            figures[name] = FAULTS[name](Path(folder))
            held[name] = bool(figures[name].pop("held"))
    return {"figures": figures, "held": held}
