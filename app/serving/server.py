"""How Gradio's server is started. Its requests pass `app.serving.requests` first; docs/server.md gives the reasons."""

import contextlib
import socket
from typing import Any

import gradio as gr

from app.serving.connections import lengthen_queue
from app.serving.requests import LARGEST_UPLOAD

LOST = 30_000  # milliseconds in which nothing that was sent is acknowledged: then that visitor's network is gone

LAUNCH: dict[str, Any] = {
    "ssr_mode": False,  # one process, no second server in Node
    "footer_links": [],
    "run_history": False,
    "show_error": False,
    "enable_monitoring": False,
    "max_file_size": LARGEST_UPLOAD,
    "state_session_capacity": 200,
    "max_threads": 400,  # places for open streams: each visitor who watches a run holds one
    "pwa": False,
}
MOST_QUEUED = 400  # events that wait for one of those places
KEEP_FILES = (3600, 3600)  # seconds: how often files of visitors are looked through, and how old one must be to go


def notice_lost(page: gr.Blocks) -> None:
    """A visitor whose network went away says nothing; on Linux the connection ends once nothing is acknowledged for `LOST`. The kernel
    may keep more new connections waiting than are taken in one turn.

    Called once the page is served: connections take this from the socket that they come in by.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    for listening in getattr(page.server, "servers", []):
        for line in listening.sockets:
            lengthen_queue(line)
            if option:
                with contextlib.suppress(OSError):
                    line.setsockopt(socket.IPPROTO_TCP, option, LOST)
