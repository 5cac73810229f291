"""Whose turn it is on this machine's device, where several threads work at once."""

import contextlib
import threading
from collections.abc import Iterator


class DeviceLock:
    """Held by a thread while it computes here; let go while its work is done elsewhere, so that another thread can use the device.

    A thread that does not hold it (a program without an engine) may call `elsewhere` as well: nothing happens then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held = threading.local()

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the device, and keep it for the block."""
        with self._lock:
            self._held.here = True
            try:
                yield
            finally:
                self._held.here = False

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Let the device go for the block: this thread only waits for another process."""
        if not getattr(self._held, "here", False):
            yield
            return
        self._held.here = False
        self._lock.release()
        try:
            yield
        finally:
            self._lock.acquire()
            self._held.here = True
