"""Several jobs at the same time, a thread for each, where a cluster does their work."""

import queue
import threading
from collections.abc import Generator, Sequence
from typing import TypeVar

from core.device_lock import DeviceLock

Name = TypeVar("Name")
Item = TypeVar("Item")


def together(
    jobs: Sequence[tuple[Name, Generator[Item, None, None]]], workers: int, device: DeviceLock
) -> Generator[tuple[Name, Item | Exception], None, None]:
    """What the jobs yield, each item with its job's name; a job that fails ends with its exception.

    workers: how many are done at a time; with one, in order and in this thread. device: held for each piece, so that only one thread
    computes here; a piece whose work is done elsewhere lets it go. Closing this ends all jobs.
    """
    if workers == 1:
        yield from _in_turn(jobs)
        return
    waiting: queue.SimpleQueue[tuple[Name, Generator[Item, None, None]]] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    news: queue.Queue[tuple[Name, Item | Exception] | None] = queue.Queue(maxsize=workers)
    ended = threading.Event()

    def tell(item: tuple[Name, Item | Exception] | None) -> None:
        while not ended.is_set():
            try:
                news.put(item, timeout=0.2)
            except queue.Full:
                continue
            return

    def work() -> None:
        while not ended.is_set():
            try:
                name, pieces = waiting.get_nowait()
            except queue.Empty:
                break
            try:
                while not ended.is_set():
                    with device.turn():
                        item = next(pieces)
                    tell((name, item))
            except StopIteration:
                pass
            except Exception as error:
                tell((name, error))
            finally:
                pieces.close()
        tell(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    working = workers
    try:
        while working:
            found = news.get()
            if found is None:
                working -= 1
            else:
                yield found
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _in_turn(jobs: Sequence[tuple[Name, Generator[Item, None, None]]]) -> Generator[tuple[Name, Item | Exception], None, None]:
    for name, pieces in jobs:
        try:
            for item in pieces:
                yield name, item
        except Exception as error:
            failed: Exception | None = error
        else:
            failed = None
        finally:
            pieces.close()
        if failed:
            yield name, failed
