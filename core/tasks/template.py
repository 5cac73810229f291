"""Templates with {column} places: compiled into the text around {input}, and the text of several cells that goes there."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import LabError, shown
from core.recipe import check_template

PLACE = re.compile(r"\{([^{}\n]+)\}")
LONGEST_TEXT = 4000  # of a template, a description


@dataclass(frozen=True)
class Compiled:
    """around: a template with {input} once. block: what goes there, with {column} places."""

    around: str
    block: str

    def render(self, cells: Mapping[str, str]) -> str:
        """The input made of a row's cells by the names of their columns. Lines whose places are all empty are left out."""
        lines = []
        for line in self.block.split("\n"):
            places = [name for name in PLACE.findall(line) if name in cells]
            if not places or any(cells[name] for name in places):
                lines.append(PLACE.sub(lambda found: cells.get(found[1], found[0]), line))
        return "\n".join(lines).strip()


def usual_template(inputs: Sequence[str], labelled: bool) -> str:
    """The template of a task that is given none.

    >>> usual_template(["question", "sentence"], True)
    'question: {question}\\nsentence: {sentence}\\nLabel:'
    """
    if len(inputs) == 1:
        return "{input}\nLabel:" if labelled else "{input}"
    return f"{_block(inputs)}\n{'Label' if labelled else 'Answer'}:"


def _block(inputs: Sequence[str]) -> str:
    """A line for each column; a column without a name of its own says nothing by it."""
    return "\n".join(f"{{{name}}}" if re.fullmatch(r"column \d+", name) else f"{name}: {{{name}}}" for name in inputs)


def names_columns(template: str) -> bool:
    """Whether a template has places besides {input}."""
    return any(place != "input" for place in PLACE.findall(template))


def places(template: str, columns: Sequence[str]) -> list[str]:
    """The columns that a template names, in its order. {input} alone stands for all that goes in."""
    names = {name.casefold(): name for name in columns}
    found = [names[name.casefold()] for name in PLACE.findall(template) if name.casefold() in names]
    found = list(dict.fromkeys(found))
    return [] if [name.casefold() for name in found] == ["input"] else found


def compiled(template: str, inputs: Sequence[str], columns: Sequence[str]) -> Compiled:
    """A template of a table as text around {input}.

    inputs: the columns that {input} stands for. columns: all that the table has. What stands before the first place and after
    the last is the same for every row, so it stays outside of the input; other braces are text.
    Raises LabError for a template without a place, or with a place that is nearly the name of a column.
    """
    if len(template) > LONGEST_TEXT:
        raise LabError(f"The template has {len(template):,} characters, more than {LONGEST_TEXT:,}: shorten it.")
    named = places(template, columns)
    _check_unknown(template, [*columns, "input"])
    if not named:
        check_template(template)
        return Compiled(template, _block(inputs) if len(inputs) > 1 else f"{{{inputs[0]}}}")
    names = {name.casefold(): name for name in columns}
    if "{input}" in template and "input" not in names:
        template = template.replace("{input}", _block(inputs) if len(inputs) > 1 else f"{{{inputs[0]}}}")
    spots = [found for found in PLACE.finditer(template) if found[1].casefold() in names]
    start, end = spots[0].start(), spots[-1].end()
    if "\n" in template[start:end]:
        start = template.rfind("\n", 0, start) + 1
    block = PLACE.sub(lambda found: f"{{{names[found[1].casefold()]}}}" if found[1].casefold() in names else found[0], template[start:end])
    around = f"{template[:start]}{{input}}{template[end:]}"
    check_template(around)
    return Compiled(around, block)


def _check_unknown(template: str, known: Sequence[str]) -> None:
    names = {name.casefold(): name for name in known}
    places = [name for name in PLACE.findall(template) if name.casefold() not in names]
    used = len(PLACE.findall(template)) > len(places)
    for name in places:
        near = difflib.get_close_matches(name.casefold(), names, 1, 0.7)
        if near or not used:
            columns = ", ".join(f"{{{one}}}" for one in known)
            raise LabError(
                f"The template has {shown(f'{{{name}}}')}, and no column is named so: its places can be {shown(columns, 160)[1:-1]}."
            )
