"""Soft Prompt Lab: arguments and environment -> model -> page -> launch."""

import argparse
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core import LanguageModel

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request leaves the machine
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def own_host() -> str:
    """The address to listen on where nobody says: this machine's own; on a Space all of them, since its proxy is elsewhere."""
    return os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1")


def zero_gpu() -> bool:
    """Whether this is a Space that is lent a GPU for seconds at a time (docs/spaces.md)."""
    asked = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as the package itself reads it
    return asked and importlib.util.find_spec("spaces") is not None


def parser() -> argparse.ArgumentParser:
    """The options, with defaults from the environment where hosts set it."""
    options = argparse.ArgumentParser(description="Soft Prompt Lab: train soft prompts live, compare them, look inside.")
    options.add_argument("--model", default=os.environ.get("SOFT_PROMPT_LAB_MODEL", ""), help="a Hub id or a local folder")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    options.add_argument(
        "--dtype", default="fast", help="fast, auto, float32, bfloat16 or float16 (default fast; scores are always float32)"
    )
    options.add_argument("--host", default=own_host(), help="address to listen on (default 127.0.0.1; on a Space 0.0.0.0)")
    options.add_argument("--port", type=int, default=os.environ.get("GRADIO_SERVER_PORT", "7860"), help="port (default 7860)")
    options.add_argument("--allow-hub", action="store_true", help="let visitors name datasets of the Hub, which this server fetches")
    options.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools (needs gradio[mcp])")
    options.add_argument("--share", action="store_true", help="also open a public link through Gradio's service")
    options.add_argument(
        "--auth",
        action="append",
        metavar="USER:PASSWORD",
        help="let only those in who know it; may be given often (or SOFT_PROMPT_LAB_AUTH, with commas between)",
    )
    options.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="of the log on standard error (default info)"
    )
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the page; the model loads behind it."""
    chosen = parser().parse_args(arguments)
    lent = zero_gpu()
    if lent:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads don't survive a fork
        from app.serving import zerogpu  # takes CUDA's place, so before torch is loaded

        chosen.device = "cpu"
        chosen.dtype = "float32" if chosen.dtype in ("fast", "auto") else chosen.dtype  # as those choose for its GPUs

    from starlette.middleware import Middleware

    from app.components import widgets as components
    from app.components.theme import STYLE, THEME
    from app.pages.page import build
    from app.serving import server
    from app.sessions.lab import Lab
    from app.view import links
    from core import LabError
    from core.models.weights import DEFAULT_MODEL

    if chosen.mcp and importlib.util.find_spec("mcp") is None:
        print("error: --mcp needs the package mcp: pip install 'gradio[mcp]', or leave it out.", file=sys.stderr)
        sys.exit(2)
    given = os.environ.get("SOFT_PROMPT_LAB_AUTH", "")
    try:
        auth = server.read_auth(chosen.auth or (given.split(",") if given else []))
    except LabError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    server.start_logs(chosen.log_level)

    serving = threading.Event()

    def load() -> "LanguageModel":
        serving.wait()  # the page first: both at once would take turns
        try:
            import transformers

            from core import load_model

            transformers.logging.set_verbosity_error()
            transformers.logging.disable_progress_bar()
            lm = load_model(chosen.model, chosen.device, chosen.dtype)
        finally:
            gc.freeze()
            gc.enable()
        if lent:
            zerogpu.lend(lm)
        server.log.info("model loaded", extra={"facts": {"device": lm.device_name, "dtype": lm.dtype_name}})
        return lm

    lab = Lab(load, chosen.model or DEFAULT_MODEL, chosen.dtype)
    server.log_jobs(lab.engine)
    page = build(lab, chosen.allow_hub)
    edge = Middleware(server.Edge, health=lambda: server.health(lab.engine), queue=lambda: page._queue)
    try:
        page.launch(
            server_name=chosen.host,
            server_port=chosen.port,
            share=chosen.share,
            auth=auth,
            theme=THEME,
            css_paths=[STYLE],
            head=components.head(links.HIDEABLE),
            app_kwargs={"middleware": [edge]},
            mcp_server=chosen.mcp,
            prevent_thread_lock=True,
            **server.LAUNCH,
        )
        serving.set()
        server.notice_lost(page)
        page.block_thread()
    except (OSError, OverflowError) as error:  # Gradio's way to say that the port is taken
        sys.exit(f"error: the page can't be opened on {chosen.host}:{chosen.port} ({error}): choose another --port.")


if __name__ == "__main__":
    # A million objects that stay come with the libraries. To look through them again and again took 2 of the 9 seconds to the
    # page, and half a second each time later; so this waits until the model is loaded, and then leaves them out.
    gc.disable()
    main()
