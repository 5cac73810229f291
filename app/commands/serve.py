"""python -m app, without a command: the page. Options and environment -> model -> page -> launch."""

import argparse
import gc
import importlib.util
import os
import re
import shutil
import threading
import tomllib
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from app.commands.options import add_engine, check_engine, load_quietly
from core.errors import LabError, as_path, reason, shown
from core.models.weights import DEFAULT_MODEL

if TYPE_CHECKING:
    from core.models.language_model import LanguageModel


def own_host() -> str:
    """The default address to listen on: this machine's own; on a Space all of them, since its proxy is elsewhere."""
    return os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1")


def zero_gpu() -> bool:
    """Whether this is a Space that is lent a GPU for seconds at a time (docs/spaces.md)."""
    asked = os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")  # as the package itself reads it
    return asked and importlib.util.find_spec("spaces") is not None


def add(options: Any) -> None:
    """The options, with defaults from the environment variables that hosts set."""
    options.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a Hub id, a local folder, or a .toml file with a list `models` of these; may be repeated: visitors choose",
    )
    options.add_argument("--keep-models", type=int, default=1, metavar="N", help="how many models are in memory at most (default 1)")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default auto)")
    options.add_argument(
        "--dtype", default="fast", help="fast, auto, float32, bfloat16 or float16 (default fast; scores are always float32)"
    )
    add_engine(options)
    options.add_argument("--host", default=own_host(), help="address to listen on (default 127.0.0.1; on a Space 0.0.0.0)")
    options.add_argument("--port", type=int, default=os.environ.get("GRADIO_SERVER_PORT", "7860"), help="port (default 7860)")
    options.add_argument("--allow-hub", action="store_true", help="let visitors name datasets of the Hub, which this server fetches")
    options.add_argument(
        "--keep",
        metavar="DIR",
        help="keep visitors' runs, tasks and typed prompts in this folder for a day, so that a restart loses none of them (default: "
        "soft-prompt-lab in the user's state folder; off on a Space)",
    )
    options.add_argument("--no-keep", action="store_true", help="keep them in memory alone")
    options.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools (needs gradio[mcp])")
    options.add_argument("--share", action="store_true", help="also open a public link through Gradio's service")
    options.add_argument(
        "--auth",
        action="append",
        metavar="USER:PASSWORD",
        help="a login that visitors need; may be repeated (or SOFT_PROMPT_LAB_AUTH, separated by commas)",
    )
    options.add_argument(
        "--trusted-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which a proxy on this machine serves the page; may be repeated (without --host only localhost is answered)",
    )
    options.add_argument(
        "--frame-ancestors",
        default="",
        metavar="SOURCES",
        help='pages that may show this one in a frame, as "https://school.example"; * for all (default: this server\'s own; on a Space all)',
    )
    options.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="of the log on standard error (default info)"
    )


def read_auth(given: list[str]) -> list[tuple[str, str]] | None:
    """`user:password` texts as pairs, or None for none. LabError for other text.

    >>> read_auth(["ada:engine", "bob:a:b"])
    [('ada', 'engine'), ('bob', 'a:b')]
    """
    pairs: list[tuple[str, str]] = []
    for number, text in enumerate(given, start=1):
        user, _, password = text.partition(":")
        if not user.strip() or not password:
            raise LabError(f"Login {number} is not like user:password: give a name, a colon and a password.")
        if user.strip() in dict(pairs):
            raise LabError(f"The user {shown(user)} is named twice: give each one password.")
        pairs.append((user.strip(), password))
    return pairs or None


def read_models(given: Sequence[str] | None) -> list[str]:
    """The names of the models to offer, without repeats. given: names, and .toml files with a list `models`; where there are none, the
    environment's model, or "" for the default one. LabError for others."""
    names: list[str] = []
    for name in given or [os.environ.get("SOFT_PROMPT_LAB_MODEL", "")]:
        if not name.endswith(".toml"):
            names.append(name)
            continue
        try:
            listed = tomllib.loads(as_path(name).read_text("utf-8")).get("models")
        except (OSError, ValueError) as error:
            raise LabError(f"The list of models {shown(name)} can't be read ({reason(error)}): check it.") from error
        if not isinstance(listed, list) or not listed or not all(isinstance(item, str) and item for item in listed):
            raise LabError(f'{shown(name)} has no list of models: write models = ["a Hub id", "a folder"] into it.')
        names += listed
    return list(dict.fromkeys(names))


def check_sources(hosts: Sequence[str], frames: str) -> None:
    """LabError for a trusted host or frame ancestors that no header could say."""
    for host in hosts:
        if not re.fullmatch(r"\*|(\*\.)?[\w.-]+|\[[0-9a-fA-F:]+\]", host, re.ASCII):
            raise LabError(f"--trusted-host is {shown(host)}: give a name without port or path, as lab.example.org or *.example.org.")
    if not re.fullmatch(r"[\w.:/*' -]*", frames, re.ASCII):
        raise LabError(f'--frame-ancestors is {shown(frames)}: give addresses, as "https://school.example https://*.example.org".')


def run(options: argparse.Namespace) -> None:
    """Open the page, serve it until Ctrl-C or SIGTERM, and end the process (see `app.serving.lifetime`). LabError for an option that can't be used."""
    if options.mcp and importlib.util.find_spec("mcp") is None:
        raise LabError("--mcp needs the package mcp: pip install 'gradio[mcp]', or leave it out.")
    if options.keep_models < 1:
        raise LabError(f"--keep-models is {options.keep_models}: at least 1 model must be in memory.")
    models = read_models(options.model)
    check_engine(options, len(models))
    check_sources(options.trusted_host, options.frame_ancestors)
    given = os.environ.get("SOFT_PROMPT_LAB_AUTH", "")
    auth = read_auth(options.auth or (given.split(",") if given else []))

    # The libraries make a million objects that stay. Searching them for garbage again and again took 2 of the 9 seconds to the page,
    # and half a second each time later: so collection is off until the model is loaded, and then leaves these objects out.
    gc.disable()
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # no request leaves the machine
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from app.serving.private_files import make_temp_folder

    temp = make_temp_folder()
    lent = zero_gpu()
    if lent:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # its threads don't survive a fork
        from app.serving import zerogpu  # takes CUDA's place, so before torch is loaded

        options.device = "cpu"
        options.dtype = "float32" if options.dtype in ("fast", "auto") else options.dtype  # as those choose for its GPUs

    from app.serving.quick_import import import_gradio

    import_gradio()
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from app.components import widgets
    from app.components.theme import STYLE, THEME
    from app.pages.page import build
    from app.serving.connections import Connections, budget, guarded
    from app.serving.headers import is_loopback, trusted_hosts
    from app.serving.health import health
    from app.serving.keep import keeper_for
    from app.serving.lifetime import leave, stay
    from app.serving.logs import log, log_jobs, start_logs
    from app.serving.requests import RequestFilter
    from app.serving.server import LAUNCH, notice_lost
    from app.sessions.lab import Lab
    from app.view import links

    start_logs(options.log_level)
    serving = threading.Event()
    devices = 1
    if options.engine == "ray":
        from core.training import cluster

        cluster.connect(options.address)
        devices = cluster.devices(options.workers)

    def load(name: str) -> "LanguageModel":
        serving.wait()  # the page first: both at once would take turns
        if gc.isenabled():  # not the first model: the memory of the one that it replaces is found among the objects left out
            gc.unfreeze()
            gc.collect()
        try:
            lm = load_quietly(name, options.device, options.dtype)
        finally:
            gc.freeze()
            gc.enable()
        if lent:
            zerogpu.lend(lm)
        elif options.engine == "ray":
            source = cluster.ModelSource(name, options.dtype)
            cluster.join(lm, cluster.Cluster(source, devices, lab.engine.device.elsewhere))
        log.info("model loaded", extra={"facts": {"device": lm.device_name, "dtype": lm.dtype_name, "notes": "; ".join(lm.notes)}})
        return lm

    loads = {name: partial(load, name) for name in models}
    lab = Lab(loads.pop(models[0]), models[0] or DEFAULT_MODEL, options.dtype, loads, options.keep_models, devices)
    log_jobs(lab.engine)
    keeper = None if options.no_keep else keeper_for(options.keep)
    page = build(lab, options.allow_hub, keeper)
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=trusted_hosts(options.host, options.share, options.trusted_host))
    edge = Middleware(
        RequestFilter,
        health=lambda: {**health(lab.engine), "keeps": keeper is not None},
        queue=lambda: page._queue,
        frames=options.frame_ancestors,
        local=is_loopback(options.host) and not options.share and not options.trusted_host,
    )
    try:
        with guarded(Connections(*budget())):
            page.launch(
                server_name=options.host,
                server_port=options.port,
                share=options.share,
                auth=auth,
                theme=THEME,
                css_paths=[STYLE],
                head=widgets.head(links.HIDEABLE),
                app_kwargs={"middleware": [hosts, edge]},
                mcp_server=options.mcp,
                prevent_thread_lock=True,
                **LAUNCH,
            )
        serving.set()
        notice_lost(page)
    except (OSError, OverflowError) as error:  # Gradio's way to say that the port is taken
        raise LabError(f"The page can't be opened on {options.host}:{options.port} ({error}): choose another --port.") from error
    code = stay(page.server, lab.engine, keeper.flush if keeper else lambda: None)
    if temp:
        shutil.rmtree(temp, ignore_errors=True)
    leave(code)
