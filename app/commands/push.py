"""python -m app push: put a saved prompt on the Hugging Face Hub, with your own login."""

import argparse

from app.commands.options import Outcome, tell
from core.runs.prompt_names import check_upload

HELP = "put a saved prompt on the Hugging Face Hub, with your own login"
EXAMPLES = """  hf auth login
  python -m app push my-prompt my-name/my-prompt --private
  python -m app push my-prompt my-name/my-prompt --run

Uploaded are the adapter, recipe.json and the model card. run.json holds rows of your data (what the model said to them):
it stays here unless you ask for it with --run."""


def add(made: argparse.ArgumentParser) -> None:
    made.add_argument("dir", metavar="DIR", help="a folder that was saved here or by PEFT")
    made.add_argument("repo", metavar="REPO", help="its name on the Hub, owner/name; made if it isn't there")
    made.add_argument("--private", action="store_true", help="for your eyes only, where it is made anew")
    made.add_argument("--run", action="store_true", help="also upload run.json, which holds rows of your data")


def run(options: argparse.Namespace) -> Outcome:
    check_upload(options.dir, options.repo)
    from core.runs.hub_prompts import push

    tell("uploading …")
    pushed = push(options.dir, options.repo, options.private, options.run)
    return Outcome({"url": pushed.url, "files": list(pushed.files)}, f"{pushed.url}\n{', '.join(pushed.files)}")
