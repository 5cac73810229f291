"""The known truths: instructions that prompts are made to imitate, each with texts that are near it and wrong."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from core.errors import LabError, shown
from core.files import ASSETS
from core.recipe import check_template
from core.sweeps.result import from_json
from core.tasks.task import Example, Task

FILE = ASSETS / "truths.json"
FEWEST_INPUTS = 2  # to train on


@dataclass(frozen=True)
class Truth:
    """An instruction that is known. kind: what sort it is (task, style, persona, language). near: texts that are like it and wrong."""

    name: str
    kind: str
    text: str
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Truths:
    """All truths, the inputs that prompts are trained on, and those (held_out) that behaviour is compared on.

    template: around an input, after a truth's text.
    """

    template: str
    inputs: tuple[str, ...]
    held_out: tuple[str, ...]
    truths: tuple[Truth, ...]

    def candidates(self, truth: Truth) -> list[str]:
        """The texts among which `truth` must be found: its own first, then those near it, then all other truths'."""
        return [truth.text, *truth.near, *(other.text for other in self.truths if other is not truth)]

    def named(self, name: str) -> Truth:
        """LabError for an unknown name."""
        found = next((one for one in self.truths if one.name == name), None)
        if found is None:
            raise LabError(f"There is no truth {shown(name)}: choose from {', '.join(one.name for one in self.truths)}.")
        return found

    def task(self, truth: Truth) -> Task:
        """The inputs as rows for a run that imitates `truth`; their outputs are never used."""
        rows, held_out = (tuple(Example(text, "-") for text in texts) for texts in (self.inputs, self.held_out))
        return Task(f"truth-{truth.name}", truth.name, self.template, rows, (), held_out)

    def teacher(self, text: str) -> str:
        """The prompt that a candidate's text makes."""
        return text + self.template


def load_truths(path: Path = FILE) -> Truths:
    """The truths in a file. LabError, naming what is wrong, for one that can't be used."""
    if not path.is_file():
        raise LabError(f"{shown(path)} is no file: name a file of truths such as assets/truths.json.")
    found = from_json(Truths, path.read_bytes(), f"a file of truths in {shown(path.name)}")
    check_template(found.template)
    names = [one.name for one in found.truths]
    if len(names) < 2 or len(set(names)) < len(names):
        raise LabError(f"{shown(path.name)} needs two truths or more, each with a name of its own: add some, or rename them.")
    texts = [text.strip() for one in found.truths for text in (one.text, *one.near)]
    if not all(texts) or "{input}" in "".join(texts):
        raise LabError(f"In {shown(path.name)} a text is empty or holds {{input}}: the input's place is in the template.")
    if any(len(set(found.candidates(one))) < len(found.candidates(one)) for one in found.truths):
        raise LabError(f"In {shown(path.name)} a truth has the same text as another candidate: neither can be told from the other.")
    if len(set(found.inputs)) < FEWEST_INPUTS or not found.held_out or set(found.inputs) & set(found.held_out):
        raise LabError(f"{shown(path.name)} needs inputs to train on, and others as `held_out`: none may be in both.")
    return found


@cache
def built_in_truths() -> Truths:
    """The truths that come with the program."""
    return load_truths()
