"""python -m app record: train the recipes of the recorded runs, and write what the page shows of them."""

import argparse
from pathlib import Path

from app.commands.options import Outcome, add_model, load, tell
from core.errors import LabError, shown
from core.runs.recordings import FOLDER, listed

HELP = "make the recorded runs that the page shows, from assets/recordings/recipes.json"
EXAMPLES = "  python -m app record --dtype float32\n  python -m app record past-tense --out my-recordings"


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("slug", nargs="*", help="the recordings to make (default: all)")
    made.add_argument("--out", metavar="DIR", help="where to write them (default: assets/recordings)")
    add_model(made)


def run(options: argparse.Namespace) -> Outcome:
    recipes = {one.slug: one.recipe for one in listed()}
    unknown = [slug for slug in options.slug if slug not in recipes]
    if unknown:
        raise LabError(f"There is no recording {shown(unknown[0])}: choose from {', '.join(recipes)}.")
    lm = load(options)
    from core.runs.make_recording import make
    from core.runs.record_json import record_to_json

    folder = Path(options.out) if options.out else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    sizes = {}
    for slug in options.slug or recipes:
        text = record_to_json(make(lm, recipes[slug]))
        (folder / f"{slug}.json").write_text(text, "utf-8")
        sizes[slug] = len(text.encode())
        tell(f"{slug}: {sizes[slug] / 1000:.0f} kB")
    return Outcome({"out": str(folder), "bytes": sizes}, f"{len(sizes)} recordings in {folder}")
