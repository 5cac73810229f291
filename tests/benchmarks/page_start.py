"""How soon the page answers after its command, and what the server takes while no page is open. Real model.

    python tests/benchmarks/page_start.py --rounds 3 --against ../an-older-checkout

Rounds go through both checkouts in turn, so that a busy machine slows both; printed are medians, as JSON. Seconds count from the
command. Processor time is of all threads of the server, and says more than seconds where others use the machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from serving import free_port, wait_for  # noqa: E402  beside this folder

IDLE = 10.0  # seconds


def processor_seconds(process: int) -> float:
    """Of a running process, all its threads, by Linux."""
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(folder: Path) -> dict[str, float]:
    """One start of the page of a checkout: to its first answer, to its model, and idle."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    began = time.perf_counter()
    server = subprocess.Popen([sys.executable, "-m", "app", "--port", str(port)], cwd=folder, **quiet)
    try:
        wait_for(address, server)
        found = {"page_s": time.perf_counter() - began, "page_processor_s": processor_seconds(server.pid)}
        while not json.load(urllib.request.urlopen(f"{address}/healthz", timeout=60))["model"]:
            time.sleep(0.2)
        found |= {"model_s": time.perf_counter() - began, "model_processor_s": processor_seconds(server.pid)}
        time.sleep(3)  # what follows loading
        before = processor_seconds(server.pid)
        time.sleep(IDLE)
        return found | {"idle_share_of_a_core": (processor_seconds(server.pid) - before) / IDLE}
    finally:
        server.terminate()
        server.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, measured in turn with this one")
    options = parser.parse_args()
    folders = {"here": ROOT} | ({"against": options.against} if options.against else {})
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in folders}
    for number in range(options.rounds + 1):  # the first round fills the caches of files
        for name, folder in folders.items():
            found = measure(folder)
            if number:
                rounds[name].append(found)
    medians = {name: {key: round(statistics.median(one[key] for one in all_), 3) for key in all_[0]} for name, all_ in rounds.items()}
    print(json.dumps(medians, indent=2))


if __name__ == "__main__":
    main()
