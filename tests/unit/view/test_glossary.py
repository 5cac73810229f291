"""The glossary: linked from the documents and shown on the page, and each of its terms is one that the page uses."""

import json

import pytest

from app.view.glossary import GLOSSARY, explained, terms
from core.files import ASSETS, ROOT

WORDS_OF_THE_PAGE = " ".join(
    [path.read_text("utf-8") for folder in ("app", "core") for path in (ROOT / folder).rglob("*.py")]
    + [json.dumps(json.loads(path.read_text("utf-8")), ensure_ascii=False) for path in (ASSETS / "lessons").glob("*.json")]
).lower()


def test_the_glossary_is_linked_and_shown():
    assert "docs/glossary.md" in (ROOT / "README.md").read_text("utf-8")
    assert "docs/glossary.md" in (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert "GLOSSARY.read_text" in (ROOT / "app" / "pages" / "learn.py").read_text("utf-8")


def test_every_row_of_its_tables_is_read():
    rows = [line for line in GLOSSARY.read_text("utf-8").splitlines() if line.startswith("| **")]
    assert len(rows) == len(terms()) > 30
    assert all(row.count("|") == 4 for row in rows), "term, meaning, and where it is on the page"


@pytest.mark.parametrize("term", terms())
def test_a_term_is_one_sentence_that_the_page_can_use(term):
    assert term.lower() in WORDS_OF_THE_PAGE
    assert terms()[term].endswith(".") and len(terms()[term]) < 200


def test_a_hover_text_is_escaped():
    assert (
        explained("contender").startswith('<abbr title="A prompt with its template')
        and explained("<b>") == '<abbr title="">&lt;b&gt;</abbr>'
    )
