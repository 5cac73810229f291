"""All of it, or the parts that are named, as `python tests/stress load flood` (all are in PARTS). Prints one JSON summary."""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent)]  # tiny_models and this package; core and app

PARTS = ("load", "leaving", "soak", "faults", "flood", "tables", "isolation", "day")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", help=", ".join(PARTS))
    chosen = parser.parse_args().part or PARTS
    if set(chosen) - set(PARTS):
        parser.error(f"the parts are {', '.join(PARTS)}")
    summary = {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {platform.system()} {platform.release()}, Python {platform.python_version()}",
        "commit": subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True).stdout.strip(),
        "command": " ".join(["python tests/stress", *sys.argv[1:]]),
    }
    for part in chosen:
        print(f"{part} …", file=sys.stderr, flush=True)
        began = time.monotonic()
        summary[part] = importlib.import_module(f"stress.{part}").run()
        summary[part]["seconds"] = round(time.monotonic() - began)
    summary["all held"] = all(held for part in chosen for held in summary[part]["held"].values())
    print(json.dumps(summary, indent=2, ensure_ascii=False))
    sys.exit(not summary["all held"])


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


if __name__ == "__main__":
    main()
