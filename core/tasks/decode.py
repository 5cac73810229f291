"""Bytes as text: which encoding a file has, and what a file that holds no text is."""

import codecs
import re
import unicodedata

from core.errors import LabError, shown

ENCODINGS = ("utf-8", "utf-16", "cp1252", "cp1250", "cp1251", "gb18030", "big5", "cp932", "cp949")  # those that a person can choose
MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
NO_TEXT = {  # how files begin that hold no table as text, and what to say of them
    b"\x1f\x8b": "is compressed (gzip): unpack it first",
    b"BZh": "is compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "is compressed (xz): unpack it first",
    b"7z\xbc\xaf": "is a 7z archive: unpack it first",
    b"Rar!": "is a RAR archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed (zstd): unpack it first",
    b"%PDF": "is a PDF: give the table as CSV or .xlsx",
    b"PAR1": "is a Parquet file: export it as CSV or JSON Lines",
    b"ARROW1": "is an Arrow file: export it as CSV or JSON Lines",
    b"SQLite format 3": "is a database: export the table as CSV",
    b"version https://git-lfs": "only points to the file, which Git LFS keeps: fetch the file itself with `git lfs pull`",
    b"{\\rtf": "is a formatted document (RTF): save the table as CSV",
}
FEW = 0.02  # a file in UTF-8 whose share of damaged characters is smaller is still read as UTF-8


def decoded(data: bytes, name: str, encoding: str = "") -> tuple[str, str, tuple[str, ...]]:
    """The text of a file, its encoding, and a note where that is not UTF-8.

    encoding: a person's choice; empty: found by byte order mark, then UTF-8, then the bytes themselves.
    Raises LabError for a file that is empty or holds no text, or that has not the encoding chosen.
    """
    for start, what in NO_TEXT.items():
        if data.startswith(start):
            raise LabError(f"{shown(name)} {what}.")
    notes: tuple[str, ...] = ()
    if encoding:
        text = _chosen(data, name, encoding)
    else:
        text, encoding, notes = _found(data, name)
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise LabError(f"{shown(name)} is empty: give a header row (input,output or text,label) and rows below it.")
    if re.match(r"\s*<(!doctype|html|\?xml|svg)\b", text[:200], re.IGNORECASE):
        raise LabError(f"{shown(name)} is a web page or XML, not a table: save the table as CSV or .xlsx.")
    return text, encoding, notes


def _chosen(data: bytes, name: str, encoding: str) -> str:
    try:
        return data.decode("utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding)
    except (LookupError, ValueError, TypeError, AssertionError) as error:
        raise LabError(f"{shown(name)} can't be read as {shown(encoding)}: choose another encoding.") from error


def _found(data: bytes, name: str) -> tuple[str, str, tuple[str, ...]]:
    encoding = next((found for mark, found in MARKS if data.startswith(mark)), "") or _wide(data)
    if encoding and encoding != "utf-8-sig":
        return _chosen(data, name, encoding), encoding.partition("-sig")[0], (f"Read as {encoding.upper()}.",)
    if b"\0" in data:
        raise LabError(f"{shown(name)} is a binary file (it has NUL bytes): give a table as CSV, JSON or .xlsx.")
    try:
        return data.decode("utf-8-sig"), "utf-8", ()
    except UnicodeDecodeError:
        text = data.decode("utf-8-sig", "replace")
    damaged, others = text.count("\ufffd"), sum(sign > "\x7f" and sign != "\ufffd" for sign in text)
    if damaged <= FEW * others:
        return text, "utf-8", (f"{damaged} characters are damaged (not UTF-8) and are shown as \ufffd.",)
    encoding = _without_mark(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = data.decode(encoding, "replace")
    odd = sum(unicodedata.category(sign) == "Cc" and sign not in "\t\n\r\x0b\x0c\x1a" for sign in text)
    if odd > FEW * len(text):
        raise LabError(f"{shown(name)} is a binary file, not text: give a table as CSV, JSON or .xlsx.")
    return text, encoding, (f"Read as {encoding}, not UTF-8: check that the letters look right.",)


def _wide(data: bytes) -> str:
    """UTF-16 without a mark: in text of most languages every other byte of its line breaks and commas is NUL."""
    start = data[:4000]
    even, odd = start[::2].count(0), start[1::2].count(0)
    if len(start) >= 8 and max(even, odd) > len(start) / 10 and min(even, odd) == 0:
        return "utf-16-be" if even else "utf-16-le"
    return ""


def _without_mark(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8."""
    high = re.findall(rb"[\x80-\xff]+", data)
    if sum(len(run) == 1 for run in high) >= 0.7 * len(high):  # single letters with accents between plain ones
        western = data.decode("cp1252", "replace")
        inside = re.search(r"[^\W\d_][¹³¿¼½¾¥£¢ª\ufffd][^\W\d_]", western)  # no Western word holds these
        return "cp1250" if inside else "cp1252"
    if _decodes(data, "cp932") and len(re.findall("[\u3040-\u30ff]", data.decode("cp932"))) >= 0.2 * sum(map(len, high)) / 2:
        return "cp932"
    if _decodes(data, "gb2312"):
        leads = [byte for run in high for byte in run[::2]]
        return "cp949" if all(0xA1 <= lead <= 0xC8 for lead in leads) else "gb18030"
    import charset_normalizer

    pool = ["gb18030", "big5", "cp949", "cp932", "cp1251", "cp1253", "cp1255", "cp1256", "koi8_r", "cp1252"]
    best = charset_normalizer.from_bytes(data[:200_000], cp_isolation=pool).best()
    return best.encoding if best else next((name for name in pool if _decodes(data, name)), "cp1252")


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
