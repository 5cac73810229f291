"""What /healthz answers to a supervisor."""

import os
import secrets
from pathlib import Path
from typing import Any

from core.engine import Engine

PROCESS = secrets.token_hex(8)  # another one after a restart
# Seconds in one piece of work after which a supervisor should start the server again, and the page says that it hangs.
STUCK = 120.0


def health(engine: Engine) -> dict[str, Any]:
    """What `Engine.status` says, with ok: the worker lives and no piece of work is stuck. stuck_limit: seconds.

    process: a random name of this one. memory: bytes in use.
    """
    status = engine.status()
    return {
        "ok": status["alive"] and status["stuck_seconds"] <= STUCK,
        **status,
        "stuck_limit": STUCK,
        "process": PROCESS,
        "memory": memory_used(engine),
    }


def memory_used(engine: Engine) -> int | None:
    """Bytes in use: of the GPU where the model is on one, else of this process. None where the system doesn't say."""
    lm = engine.lm
    if lm is not None and lm.device.type == "cuda":
        import torch

        return int(torch.cuda.memory_allocated(lm.device))
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
