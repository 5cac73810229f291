"""Stands in for the service that lends GPUs to Spaces: answers what the `spaces` package asks, and remembers it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

# `spaces` as on ZeroGPU, all but what needs a build of PyTorch with CUDA and a driver.
ON = """
import runpy, sys, torch
here, torch.version.cuda = torch.version.cuda, torch.version.cuda or "12.8"
if not torch.backends.cuda.is_built():
    torch._C._cuda_init, torch.cuda._is_in_bad_fork = None, bool
import spaces.zero.torch as cuda
torch.version.cuda = here
cuda.init = lambda uuid: None
cuda.move = lambda callback=None: None
"""
# The same, and then a Python file with its arguments.
START = f"""{ON}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Lender:
    """calls: (path, parameters) of all that was asked. A visitor whose token is `spent` has no time left."""

    def __init__(self, spent: str):
        self.calls: list[tuple[str, dict[str, str]]] = []
        lender = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                address = urlsplit(self.path)
                asked = {name: values[0] for name, values in parse_qs(address.query).items()}
                known = any(path == "/release" and call.get("fail") == "false" for path, call in lender.calls)
                lender.calls.append((address.path, asked))
                if address.path != "/schedule":
                    self._say(200, {})
                elif asked.get("token") == spent:
                    self._say(429, {"left": 1, "wait": 3600})
                else:
                    self._say(200, {"idle": known, "nvidiaIndex": 0, "nvidiaUUID": "GPU-none", "allowToken": "allowed"})

            def _say(self, status: int, facts: dict[str, Any]) -> None:
                body = json.dumps(facts).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def asked(self, path: str) -> list[dict[str, str]]:
        """The parameters of every call of `path`."""
        return [asked for called, asked in self.calls if called == path]
