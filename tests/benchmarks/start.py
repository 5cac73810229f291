"""How soon the program answers when no model is needed, as multiples of `python -c "import numpy"`.

    python tests/benchmarks/start.py --rounds 7

Both are run in turn, so that a busy machine slows both; printed are medians of all rounds, as JSON.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    *("--help", "tasks", "train --help", "evaluate --help", "train --task capitals --steps 0", "evaluate --task nope"),
    *("train --task LICENSE", "nearest nowhere", "push nowhere me/prompt", "record nothing", "--auth nobody"),
)


def seconds(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    result = {}
    for command in COMMANDS:
        seconds("-m", "app", *command.split())  # so that its files are cached
        pairs = [(seconds("-m", "app", *command.split()), seconds("-c", "import numpy")) for _ in range(rounds)]
        ours, numpy = (statistics.median(column) for column in zip(*pairs, strict=True))
        result[command] = {"seconds": round(ours, 3), "times_numpy": round(ours / numpy, 2)}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
