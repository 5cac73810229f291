"""The glossary's terms with their meanings, for hover texts. Their only source is docs/glossary.md."""

import re
from functools import cache

from app.view.html import Html, tag
from core.files import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"


@cache
def terms() -> dict[str, str]:
    """Term -> meaning, in plain text; empty if the file is not installed."""
    text = GLOSSARY.read_text("utf-8") if GLOSSARY.is_file() else ""
    return dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|", text.replace("`", ""), re.MULTILINE))


def explained(term: str) -> Html:
    """A term of the glossary as HTML, with its meaning on hover."""
    return tag("abbr", term, title=terms().get(term, ""))
