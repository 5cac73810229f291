"""The glossary's terms with their meanings, for hover texts. Their only source is docs/glossary.md."""

import html
import re
from functools import cache

from core.files import ROOT

GLOSSARY = ROOT / "docs" / "glossary.md"


@cache
def terms() -> dict[str, str]:
    """Term -> meaning, in plain text; empty if the file is not installed."""
    text = GLOSSARY.read_text("utf-8") if GLOSSARY.is_file() else ""
    return dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+?) \|", text.replace("`", ""), re.MULTILINE))


def explained(term: str) -> str:
    """A term of the glossary as HTML, with its meaning on hover."""
    return f'<abbr title="{html.escape(terms().get(term, ""))}">{html.escape(term)}</abbr>'
