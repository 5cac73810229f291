"""Write a folder that is ready to be a Hugging Face Space: `make space`, or `python tools/space.py out/space you/soft-prompt-lab`.

The front matter stands on top of README.md, and requirements come from requirements.txt, so each has one source.
"""

import re
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONTENT = ("app", "core", "assets", "docs", "app.py", "LICENSE")
LOCK = ROOT / "assets" / "space" / "requirements.lock"
JUNK = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")

# Versions that ZeroGPU supports, as documented in August 2026. Others fail at the first CUDA call.
ZERO_GPU_TORCH = ("2.8.0", "2.9.1", "2.10.0", "2.11.0")
ZERO_GPU_PYTHON = "3.12"
TORCH = "2.11.0"
LEFT_OUT = ("gguf",)  # only for the weights package, which a Space can't install without its dependencies
LENDER = "spaces>=0.51  # lends the GPU on ZeroGPU; a Space installs the version that its machine needs"


def requirements(text: str) -> str:
    """The Space's requirements.txt, made of the project's.

    >>> requirements("# Why.\\ngradio==6.0\\ntorch>=2.11,<2.14  # big\\ngguf==0.19\\n").splitlines()[:2]
    ['# Made by `make space`.', 'gradio==6.0']
    """
    lines = ["# Made by `make space`."]
    for line in text.splitlines():
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0].lower()
        if not name or name in LEFT_OUT:
            continue
        lines.append(f"torch=={TORCH}  # one of {', '.join(ZERO_GPU_TORCH)}: ZeroGPU supports no other" if name == "torch" else line)
    return "\n".join([*lines, LENDER, ""])


def front_matter(readme: str) -> tuple[str, str]:
    """A README's front matter, with its fences, and what follows it."""
    found = re.match(r"---\n.*?\n---\n", readme, re.DOTALL)
    return (found[0], readme[found.end() :].lstrip("\n")) if found else ("", readme)


def readme(text: str, space: str) -> str:
    """The Space's README: the front matter's thumbnail has an address of `space`."""
    matter, rest = front_matter(text)
    if space:
        matter = re.sub(r"^thumbnail: (?!http)", f"thumbnail: https://huggingface.co/spaces/{space}/resolve/main/", matter, flags=re.M)
    return f"{matter}\n{rest}"


def build(folder: Path, space: str = "", locked: bool = False) -> None:
    """Write the Space into `folder`, which is emptied first. space: its name, owner/name. locked: its requirements are all packages,
    with the hashes of their files."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in CONTENT:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=JUNK)
        else:
            shutil.copy2(ROOT / name, folder / name)
    words = readme((ROOT / "README.md").read_text("utf-8"), space)
    (folder / "README.md").write_text(words, "utf-8")
    short = requirements((ROOT / "requirements.txt").read_text("utf-8"))
    (folder / "requirements.txt").write_text(LOCK.read_text("utf-8") if locked else short, "utf-8")


def main(arguments: list[str]) -> None:
    locked, arguments = "--locked" in arguments, [given for given in arguments if given != "--locked"]
    folder, space = Path(arguments[0] if arguments else "out/space"), (arguments[1] if len(arguments) > 1 else "")
    if space and not re.fullmatch(r"[\w.-]+/[\w.-]+", space):
        sys.exit(f"error: {space!r} is no name of a Space: write owner/name.")
    build(folder, space, locked)
    hint = "" if space else " (say SPACE=owner/name to give its thumbnail an address)"
    print(f"{folder} is ready to push{hint}; docs/spaces.md says how.")


if __name__ == "__main__":
    main(sys.argv[1:])
