"""Files on the server's disk that belong to visitors: a temp folder of this process, and downloads for one browser alone.

Gradio serves every file of its temp folder to every client that knows the path. Here it serves only what `offer` put there. The name
of a download's folder holds 128 random bits, and a hash of the secret cookie of the browser that asked for it; no other browser gets it.
A browser that sends no cookie (in a frame of another site, some never do) and a program have the random name alone.
"""

import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

COOKIE = "soft-prompt-lab"  # names a browser, for nothing but its downloads
SHARED = "any"  # in place of the hash where no cookie was sent
PREFIX = "soft-prompt-lab-files-"


def make_temp_folder() -> Path | None:
    """From now on Gradio keeps uploads and downloads in a new folder, for its owner alone; what servers that were killed left is removed.

    None where GRADIO_TEMP_DIR names a folder: that one is used. Call it before gradio is imported, and remove the folder at the end.
    """
    if os.environ.get("GRADIO_TEMP_DIR"):
        return None
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = old.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not _runs(int(pid)):
            shutil.rmtree(old, ignore_errors=True)  # of another user: it stays
    made = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-")).resolve()  # 0700
    os.environ["GRADIO_TEMP_DIR"] = str(made)
    return made


def offer(data: bytes, name: str, cookies: Mapping[str, str]) -> Path:
    """A new file to download, for the browser with these cookies. OSError where the disk is full. Gradio deletes it after an hour."""
    folder = _folder() / f"{secrets.token_hex(16)}.{_owner(cookies)}"
    folder.mkdir(parents=True, mode=0o700)
    path = folder / name
    path.write_bytes(data)
    return path


def may_read(asked: str, cookies: Mapping[str, str]) -> bool:
    """Whether the path of a `file=` request may go to a browser with these cookies; Gradio then checks paths outside its folder."""
    try:
        folder, path = _folder().resolve(), Path(os.path.abspath(asked)).resolve()
    except (OSError, ValueError):
        return False
    if re.match(r"[a-z]+:/", asked, re.IGNORECASE):  # Gradio would fetch it
        return False
    if not path.is_relative_to(folder):
        return True
    owner = path.parent.name.partition(".")[2]  # "" of a file that was uploaded, or lies elsewhere in the folder
    return path.parent.parent == folder and owner in (SHARED, _owner(cookies))


def new_cookie(secure: bool) -> str:
    """A Set-Cookie header's value. secure: the page came by https, perhaps into a frame of another site."""
    where = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"
    return f"{COOKIE}={secrets.token_urlsafe(24)}; Path=/; HttpOnly; {where}"


def _folder() -> Path:
    from gradio.utils import get_upload_folder  # late: `make_temp_folder` comes before gradio

    return Path(get_upload_folder())


def _owner(cookies: Mapping[str, str]) -> str:
    cookie = cookies.get(COOKIE)
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).hexdigest()[:32] if cookie else SHARED


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user
        return True
    return True
