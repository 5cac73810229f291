"""Every check and test, or the parts that are named: `python tests/run_all.py [ruff format mypy javascript tests browser]`.

A part that fails does not stop those after it. The end names every failure and counts them all; the exit code is 1 where one failed.
"""

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Processes with one thread each take less time than one process with two threads; a third works while others wait for a server.
UNIT_TO_STRESS = ("-n", "3", "--dist", "worksteal", "tests/integration", "tests/server", "core", "tools", "tests/unit", "tests/stress")
# A browser on a busy machine can fail a test for reasons outside this project; the end names every test that needed a second try.
BROWSER = ("-n", "2", "--dist", "worksteal", "--reruns", "1", "tests/browser")


class Command(NamedTuple):
    """One call of `python -m`, or of a program that lies next to it; a call of pytest counts its tests, any other counts as one test."""

    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = {}
    program: bool = False  # not a module of Python


class Outcome(NamedTuple):
    passed: int
    skipped: int
    failures: list[str]
    tried_again: list[str]  # tests that passed on their second try


PARTS: dict[str, list[Command]] = {
    "ruff": [Command("ruff", ("check", "."))],
    "format": [Command("ruff", ("format", "--check", "."))],
    "mypy": [Command("mypy", arguments) for arguments in (("core",), ("-p", "app"), ("app.py",))],
    "javascript": [Command("oxlint", ("--deny-warnings", "assets"), program=True)],
    "tests": [Command("pytest", UNIT_TO_STRESS, {"OMP_NUM_THREADS": "1"})],
    "browser": [Command("pytest", BROWSER, {"OMP_NUM_THREADS": "1"})],
}


def run(command: Command) -> Outcome:
    """Run one command, whose output is shown as it comes."""
    start = [str(Path(sys.executable).with_name(command.module))] if command.program else [sys.executable, "-m", command.module]
    words = " ".join([*([] if command.program else ["python", "-m"]), command.module, *command.arguments])
    print(f"\n== {words}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        counted = ["-o", "junit_family=xunit1", f"--junitxml={report}"] if command.module == "pytest" else []
        call = [*start, *command.arguments, *counted]
        try:
            code = subprocess.run(call, cwd=ROOT, env=os.environ | command.environment).returncode
        except FileNotFoundError:  # a program of requirements-dev.txt that is not installed
            code = 127  # as a shell says it
        outcome = read_report(report) if report.is_file() else Outcome(int(code == 0), 0, [], [])
    if code and not outcome.failures:  # a check that found something, or a pytest that broke off
        outcome.failures.append(f"{words} (exit code {code})")
    return outcome


def read_report(path: Path) -> Outcome:
    """The outcome that pytest's JUnit file tells. A test that passes and then fails in its teardown is a failure."""
    passed, skipped, failures = [], 0, []
    for case in ElementTree.parse(path).iter("testcase"):
        name = f"{case.get('file') or case.get('classname')}::{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(name)
        elif case.find("skipped") is not None:
            skipped += 1
        else:
            passed.append(name)
    counts = Counter(name for name in passed if name not in failures)  # a test that is run again is written down for each try
    tried_again = [name for name, count in counts.items() if count > 1]
    return Outcome(len(counts), skipped, list(dict.fromkeys(failures)), tried_again)


def run_all(commands: Sequence[Command]) -> int:
    """Run all commands, print what failed and the counts, and return the exit code."""
    begin = time.monotonic()
    outcomes = [run(command) for command in commands]
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    print(f"\n== {len(commands)} parts in {(time.monotonic() - begin) / 60:.1f} minutes")
    for again in (name for outcome in outcomes for name in outcome.tried_again):
        print(f"PASSED ON THE SECOND TRY {again}")
    for failure in failures:
        print(f"FAILED {failure}")
    passed, skipped = (sum(getattr(outcome, field) for outcome in outcomes) for field in ("passed", "skipped"))
    print(f"{passed} passed, {len(failures)} failed, {skipped} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    unknown = set(sys.argv[1:]) - set(PARTS)
    if unknown:
        sys.exit(f"There is no part {', '.join(sorted(unknown))}: choose among {', '.join(PARTS)}.")
    sys.exit(run_all([command for name in sys.argv[1:] or PARTS for command in PARTS[name]]))
