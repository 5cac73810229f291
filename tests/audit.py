"""Known vulnerabilities of the packages that a Space gets: `make audit`. Needs pip-audit. Without a network: skipped, by name."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "assets" / "space" / "requirements.lock"
AUDIT = (sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "30")
UNREACHABLE = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "Max retries exceeded", "Could not connect", "ProxyError", "SSLError")


def audit(command: Sequence[str] = AUDIT) -> tuple[int, str]:
    """The exit code, and what to print."""
    done = subprocess.run([*command, "-r", str(LOCK)], capture_output=True, text=True)
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        return 0, "SKIPPED audit: the database of vulnerabilities can't be reached from here."
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    code, told = audit()
    print(told)
    sys.exit(code)
