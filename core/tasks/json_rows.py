"""Rows from JSON: lists of objects, JSON Lines, columns as pandas writes them, SQuAD's form, chats."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from core.errors import LabError, shown
from core.tasks.delimited import table_of
from core.tasks.names import ANSWER_NAMES, INPUT_NAMES, LABEL_NAMES, is_known
from core.tasks.table import MOST_COLUMNS, Format, Table, counted, listed, make_table

HOLDERS = ("data", "rows", "examples", "items", "records", "instances", "results", "dataset")  # keys under which rows are kept
PARTS = frozenset(("train", "training", "validation", "valid", "val", "dev", "test", "held_out", "eval"))
ROLES = {"human": "user", "gpt": "assistant", "bot": "assistant", "model": "assistant", "chatgpt": "assistant", "prompter": "user"}
CHATS = ("messages", "conversations", "conversation", "dialog", "dialogue", "chat")
LAST = "last answer"
SEVERAL = "lists (several labels or values in one row)"
Numbered = list[tuple[int, Any]]


def read_json(text: str, name: str) -> Table:
    """The rows of a text that is JSON or JSON Lines. LabError, saying what it is, where it holds no rows."""
    items, bad = _items(text, name)
    if items and all(isinstance(item, list) for _, item in items):
        return _from_lists(items, name)
    rows = [(number, _opened(_flat(item))) for number, item in items if isinstance(item, dict) and item]
    bad += [number for number, item in items if not isinstance(item, dict)]
    if not rows and not bad:
        raise LabError(f"{shown(name)} is empty: give rows with the keys input and output, or text and label.")
    if len(bad) > len(rows):
        what = "holds values that are no objects" if items else "is not well-formed JSON"
        raise LabError(f'{shown(name)} {what}: write each row like {{"input": "France", "output": "Paris"}}.')
    columns = list(dict.fromkeys(column for _, row in rows for column in row))
    if len(columns) > MOST_COLUMNS:
        raise LabError(f"{shown(name)} has {len(columns):,} keys, more than {MOST_COLUMNS}: use the same few keys in every row.")
    nested = _nested(columns, rows)
    if len(nested) == len(columns):
        what = ", ".join(f"{shown(column, 30)} ({held})" for column, held in nested.items())
        raise LabError(f"{shown(name)} has no column of plain text, but {shown(what, 200)[1:-1]}: give one text or number for each key.")
    if LAST in columns and not any(row.get(LAST) for _, row in rows):
        if 2 * sum(LAST in row for _, row in rows) > len(rows):
            raise LabError(
                f"No chat of {shown(name)} has an answer (a turn of the assistant after another turn): give chats of two turns or more."
            )
        columns.remove(LAST)
    records = [(number, [_cell(row.get(column)) for column in columns]) for number, row in rows]
    table = make_table(name, columns, records)
    # Keys that differ only in spaces were renamed; the nested ones keep their place.
    nested = {table.columns[columns.index(column)]: what for column, what in nested.items()}
    notes = (f"{counted(len(bad))} left out: no JSON object ({listed(bad)}).",) if bad else ()
    return Table(name, table.columns, table.rows, table.numbers, (*notes, *table.notes), Format(header="yes"), (), nested)


# --- which values are rows --------------------------------------------------------------------------------------------


def _items(text: str, name: str) -> tuple[Numbered, list[int]]:
    """Numbered values, each of which should be a row, and the numbers of lines that are no JSON."""
    try:
        return _rows_in(_parsed(text), name), []
    except RecursionError as error:
        raise LabError(f"{shown(name)} is too deeply nested: put one flat object on each line.") from error
    except ValueError as error:
        if text.lstrip().startswith("[") and "Extra data" not in str(error):
            reason = getattr(error, "msg", "a number is too long")
            raise LabError(f"{shown(name)} is not a well-formed JSON list ({reason}): check its brackets and commas.") from error
    items, bad = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                items.append((number, _parsed(line.strip().removesuffix(","))))
            except (ValueError, RecursionError):
                bad.append(number)
    return (items, bad) if len(items) >= len(bad) else _one_after_another(text, items, bad)


def _one_after_another(text: str, items: Numbered, bad: list[int]) -> tuple[Numbered, list[int]]:
    """Objects that are each written over several lines."""
    decoder, at = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str), 0
    found: Numbered = []
    try:
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            found.append((len(found) + 1, value))
            while at < len(text) and text[at] in " \t\r\n,":
                at += 1
    except (ValueError, RecursionError):
        return items, bad
    return found, []


def _parsed(text: str) -> Any:
    """JSON with numbers as the text that was written."""
    return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)


def _rows_in(found: Any, name: str) -> Numbered:
    if isinstance(found, dict):
        found = _in_object(found, name)
    if not isinstance(found, list):
        raise LabError(f"{shown(name)} holds one value, not rows: give a list of objects, or one object on each line.")
    return list(enumerate(found, start=1))


def _in_object(found: dict[str, Any], name: str) -> list[Any]:
    """The rows that one object holds."""
    if isinstance(found.get("data"), list) and any(isinstance(item, dict) and "paragraphs" in item for item in found["data"]):
        return _squad(found["data"])
    if isinstance(found.get("columns"), list) and isinstance(found.get("data"), list):
        return [found["columns"], *found["data"]]
    if isinstance(found.get("rows"), list) and all(isinstance(item, dict) and isinstance(item.get("row"), dict) for item in found["rows"]):
        return [item["row"] for item in found["rows"]]
    held = [(_part(key), value) for key, value in found.items() if _part(key) and isinstance(value, list)]
    parts = [(part, item) for part, value in held for item in value]
    if parts and all(isinstance(item, dict) for _, item in parts):
        return [{**item, "split": part} for part, item in parts]
    if parts and all(isinstance(item, list) for _, item in parts):
        return [{**{f"column {at}": cell for at, cell in enumerate(item, start=1)}, "split": part} for part, item in parts]
    values = list(found.values())
    rows = next((found[key] for key in HOLDERS if _are_objects(found.get(key))), None)
    lists = [value for value in values if _are_objects(value)]
    if rows is None and len(lists) > 1:  # entities, patterns and others beside the rows
        lists = [value for value in lists if _named_both(value[0])]
    if rows is None and len(lists) == 1:
        rows = lists[0]
    if rows is not None:
        return rows
    if len(found) == 1 and isinstance(values[0], dict):
        return _in_object(values[0], name)
    if len(found) > 1 and all(isinstance(value, list) for value in values) and len(set(map(len, values))) == 1 and values[0]:
        return [dict(zip(found, cells, strict=True)) for cells in zip(*values, strict=True)]  # columns as lists
    if len(found) > 1 and all(isinstance(value, dict) for value in values):
        keys = [tuple(value) for value in values]
        if any(is_known(key) for key in keys[0]) or not all(key.lstrip("-").isdigit() for key in keys[0]):
            return values  # rows by their index
        index = dict.fromkeys(key for value in values for key in value)
        return [{column: found[column].get(key) for column in found} for key in index]  # columns by index, as pandas writes them
    if len(found) > 3 and all(isinstance(value, str) for value in values) and not any(map(is_known, found)):
        return [{"input": key, "output": value} for key, value in found.items()]
    if any(isinstance(value, list | dict) for value in values) and not any(is_known(key) for key in found):
        raise LabError(f"{shown(name)} holds one nested object, not rows: give a list of objects, or one object on each line.")
    return [found]


def _part(key: str) -> str:
    """The part of a data set that a key names, as "train" in "small_train"; empty: none."""
    return next((name for name in (key.casefold(), key.casefold().rpartition("_")[2]) if name in PARTS), "")


def _are_objects(value: Any) -> bool:
    return isinstance(value, list) and len(value) > 0 and all(isinstance(item, dict) for item in value)


def _named_both(row: Mapping[str, Any]) -> bool:
    """Whether an object has keys both for what goes in and for what comes out."""
    names = {str(key).strip().casefold() for key in row}
    return bool(names & set(INPUT_NAMES)) and bool(names & {*LABEL_NAMES, *ANSWER_NAMES})


def _squad(articles: Sequence[Any]) -> list[dict[str, Any]]:
    rows = []
    for article in articles:
        for paragraph in _list(article, "paragraphs"):
            for asked in _list(paragraph, "qas"):
                if isinstance(asked, dict):
                    rows.append({"context": paragraph.get("context"), **{key: asked.get(key) for key in ("question", "answers")}})
    return rows


def _list(value: Any, key: str) -> list[Any]:
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, list) else []


def _from_lists(items: Numbered, name: str) -> Table:
    """A list of lists: rows of cells, of which the first may be a header."""
    cells = [(number, [_cell(value) for value in item]) for number, item in items]
    if max(len(row) for _, row in cells) > MOST_COLUMNS or not any(any(row) for _, row in cells):
        raise LabError(f"{shown(name)} holds lists that are no rows: give a list of objects, or one object on each line.")
    return table_of(cells, name, Format())


# --- what a row holds -------------------------------------------------------------------------------------------------


def _flat(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with the texts of an object in it as keys of their own: the languages of a translation, or the first of its instances."""
    for key, value in row.items():
        inner = value[0] if key.casefold() in HOLDERS and _are_objects(value) and _named_both(value[0]) else value
        whole = isinstance(inner, dict) and len(inner) > 1 and all(isinstance(text, str) for text in inner.values())
        if whole and not set(inner) & set(row) and (inner is not value or len(row) == 1 or key.casefold() == "translation"):
            return {name: text for name, text in row.items() if name != key} | inner
    return row


def _opened(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its chat, if it has one, as what stands before the last answer and that answer."""
    made: dict[str, Any] = {}
    for key, value in row.items():
        key = key.strip()
        turns = _turns(value)
        if turns is None or any(column == LAST for column in made):
            made[key] = _unwrapped(key, value)
        elif key.casefold() in CHATS or "completion" not in row:
            at = max((i for i, (role, _) in enumerate(turns) if role == "assistant"), default=0)
            made[key] = _written(turns[:at])
            made[LAST] = turns[at][1] if at else ""
        else:  # prompt and completion as lists of turns
            made[key] = turns[0][1] if len(turns) == 1 else _written(turns)
    return made


def _turns(value: Any) -> list[tuple[str, str]] | None:
    """(role, text) of each turn of a chat; None for any other value."""
    if not _are_objects(value) or not all(("role" in turn and "content" in turn) or ("from" in turn and "value" in turn) for turn in value):
        return None
    turns = []
    for turn in value:
        role = str(turn.get("role", turn.get("from"))).strip().casefold()
        content = turn.get("content", turn.get("value"))
        if isinstance(content, list):
            content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        turns.append((ROLES.get(role, role), "" if content is None else str(content).strip()))
    return turns


def _written(turns: Sequence[tuple[str, str]]) -> str:
    """What stands before an answer: one turn as it is, several with their roles."""
    said = [(role, text) for role, text in turns if text]
    return said[0][1] if len(said) == 1 else "\n".join(f"{role}: {text}" for role, text in said)


def _unwrapped(key: str, value: Any) -> Any:
    """A list of one value as that value; of several right answers, as SQuAD and others have them, the first."""
    if isinstance(value, dict) and "text" in value and set(value) <= {"text", "answer_start", "answer_end", "input_text"}:
        value = value["text"]
        value = value[:1] if isinstance(value, list) else value
    if isinstance(value, list) and value and all(isinstance(item, dict) and "text" in item for item in value):
        value = [value[0]["text"]]
    if isinstance(value, list) and key.casefold() in ANSWER_NAMES and all(isinstance(item, str) for item in value):
        value = value[:1]
    if isinstance(value, list) and len(value) < 2:
        return value[0] if value else ""
    return value


def _nested(columns: Sequence[str], rows: Sequence[tuple[int, Mapping[str, Any]]]) -> dict[str, str]:
    """Columns with lists or objects in more than a tenth of their rows, and what these are; fewer become missing cells."""
    found = {}
    for column in columns:
        values = [row.get(column) for _, row in rows]
        for kind, what in ((list, SEVERAL), (dict, "nested objects")):
            if 10 * sum(isinstance(value, kind) for value in values) > len(values):
                found[column] = what
    return found


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None or isinstance(value, list | dict) else str(value)
