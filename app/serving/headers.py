"""Headers that every answer gets, and which hosts this server answers to. docs/security.md gives the reasons."""

import ipaddress
import os
from collections.abc import Sequence

Header = tuple[bytes, bytes]

HUB = "https://huggingface.co https://*.huggingface.co https://*.hf.space"  # a Space's page asks the Hub about itself
# Gradio makes functions from text (eval) for each custom component, and puts the page's configuration into inline scripts.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'{scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'{hub}; "
    "object-src 'none'; base-uri 'self'; form-action 'self'"
)


def headers_for(frames: str = "") -> tuple[Header, ...]:
    """The headers. frames: the sources that may show the page in a frame, as CSP's frame-ancestors says them; "*": all of them.

    No X-Frame-Options: it can't name the pages of the Hub that show a Space in a frame.
    """
    space = bool(os.environ.get("SPACE_ID"))
    policy = POLICY.format(scripts=" https://cdnjs.cloudflare.com" if space else "", hub=f" {HUB}" if space else "")
    frames = frames or ("*" if space else "'self'")
    if frames != "*":
        policy += f"; frame-ancestors {frames}"
    return (
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"content-security-policy", policy.encode("ascii")),
    )


def trusted_hosts(host: str, share: bool, given: Sequence[str]) -> list[str]:
    """The names in a Host header that are answered, as Starlette's TrustedHostMiddleware takes them; ["*"] is any.

    A server that listens on its own machine alone is otherwise open to every web page that its user visits: the page's own name can be
    made to point to 127.0.0.1 (DNS rebinding). host: where the server listens. given: more names, of a proxy.

    >>> trusted_hosts("127.0.0.1", False, ["lab.example.org"])
    ['localhost', '127.0.0.1', '[::1]', 'lab.example.org']
    >>> trusted_hosts("0.0.0.0", False, [])
    ['*']
    """
    if not given and (share or not is_loopback(host)):
        return ["*"]
    shared = ["*.gradio.live"] if share else []
    own = ["localhost", "127.0.0.1", "[::1]", f"[{host}]" if ":" in host else host]  # the server also asks itself, by these
    return list(dict.fromkeys([*own, *shared, *given]))


def is_loopback(host: str) -> bool:
    """Whether a server at this address can be reached from its own machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
