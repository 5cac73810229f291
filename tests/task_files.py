"""Tables and task files in bytes, and what each refusal must look like."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from hypothesis import strategies as st

from core.errors import LabError
from core.tasks.task import Example, Task

ANSWERS = b"input,output\none,eins\ntwo,zwei\nthree,drei\nfour,vier\nfive,funf\nsix,sechs\n"
LABELS = b"text,label\ngood film,yes\nbad film,no\nfine book,yes\npoor book,no\ngreat day,yes\nsad day,no\n"
PARTS = ("train", "validation", "held_out")
FILL = [(f"filler {word}", word) for word in ("alpha", "beta", "gamma", "delta")]


def as_csv(rows: Iterable[Sequence[object]], header: Sequence[str] = ("input", "output")) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerows([header, *rows])
    return buffer.getvalue().encode()


def everything(task: Task) -> tuple[Example, ...]:
    """The rows of all parts."""
    return (*task.train, *task.validation, *task.held_out)


def assert_one_sentence(error: LabError) -> None:
    """The message fits on one line of a page."""
    message = str(error)
    assert message.endswith(".") and "\n" not in message and len(message) < 400, message
    message.encode()  # a page is UTF-8


@contextmanager
def refused(sentence: str = "") -> Iterator[None]:
    """A block that raises LabError, whose message is one sentence that matches."""
    with pytest.raises(LabError, match=sentence or None) as caught:
        yield
    assert_one_sentence(caught.value)


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).map(str.strip).filter(bool)
SENTENCE = "My {} bought this {} kettle in {} and it leaks from its base every morning before breakfast"
NEAR = [SENTENCE.format(*filled) for filled in (("son", "blue", "May"), ("son", "blue", "June"), ("son", "blue", "July"))]
SHORT = ["What is the capital of France?", "What is the capital of Norway?", "one", "two", "Who wrote the novel Emma?", "ten green bottles"]


@st.composite
def messy_rows(draw: st.DrawFn) -> list[tuple[str, str]]:
    """Rows with repeats, variants and near-repeats among them, each input with one output, so that labels don't clash."""
    texts = draw(st.lists(st.sampled_from([*NEAR, *SHORT]) | WORDS, min_size=4, max_size=30))
    rows = []
    for text in texts:
        dress = draw(st.sampled_from([str, str.upper, lambda t: f" {t}  ", lambda t: f'"{t}."', lambda t: t.replace(" ", "  ")]))
        rows.append((dress(text), "yes" if text in NEAR or len(Example(text, "").key.strip("01234567")) % 2 else "no"))
    return rows


def marked_rows(*sides):
    return as_csv([(text, output, side) for text, output, side in sides], ("input", "output", "split"))
