"""Made-up rows for files such as people have."""

import csv
import io
import json
import random
from collections.abc import Iterable, Sequence
from typing import Any

import openpyxl

DRAW = random.Random(1)
WORDS = [
    words.split()
    for words in ("the a my your our this", "old new red big slow late", "card bank film dog order phone", "broke came works failed helps")
]
Q = '"'
Case = tuple[str, bytes, tuple[str, ...], str, int]  # name, bytes, columns that go in, the one that comes out, labels (0: answers)


def said(words: int = 8) -> str:
    """A sentence that no other row has."""
    return " ".join(DRAW.choice(WORDS[at % 4]) for at in range(words)) + f" {DRAW.randrange(10**6)}" + DRAW.choice([".", "!", "?", ""])


def rows_of(rows: Iterable[Sequence[object]], separator: str = ",") -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\n").writerows(rows)
    return text.getvalue()


def lines_of(rows: Iterable[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def workbook(sheets: dict[str, Sequence[Sequence[object]]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    data = io.BytesIO()
    book.save(data)
    return data.getvalue()


def ticket(at: int) -> list[object]:
    day = f"2024-03-{at % 28 + 1:02d} 10:11:{at % 60:02d}"
    return [
        *(f"T-{10000 + at}", day, day, f"user{at}@mail.example", DRAW.choice(["Ann Lee", "Bob Ray"]), DRAW.choice(["Kim P", "Lou Q"])),
        *(DRAW.choice(["mail", "phone"]), DRAW.choice(["high", "low", "mid"]), DRAW.choice(["open", "closed"]), said(4), said(30)),
        *(
            DRAW.choice(["billing", "login", "shipping"]),
            DRAW.choice(["A1", "B2"]),
            f"https://help.example/t/{at}",
            DRAW.choice(["en", "de"]),
        ),
        *(
            DRAW.randint(1, 5),
            round(DRAW.random() * 40, 1),
            DRAW.choice(["x", "y,z"]),
            DRAW.choice(["g1", "g2"]),
            DRAW.choice(["DE", "US"]),
        ),
    ]


TICKET = [
    "ticket_id",
    "created_at",
    "updated_at",
    "customer_email",
    "customer_name",
    "agent",
    "channel",
    "priority",
    "status",
    "subject",
    "description",
    "category",
    "product",
    "url",
    "language",
    "satisfaction",
    "resolution_time_h",
    "tags",
    "assigned_group",
    "country",
]
AIRLINE = [
    "tweet_id",
    "airline_sentiment",
    "airline_sentiment_confidence",
    "negativereason",
    "airline",
    "name",
    "retweet_count",
    "text",
    "tweet_coord",
    "tweet_created",
    "user_timezone",
]


def turns(at: int) -> list[dict[str, str]]:
    made = [("system", "You help."), ("user", said()), ("assistant", said(3))]
    made += [("user", said()), ("assistant", said(4))] if at % 3 == 0 else []
    return [{"role": role, "content": text} for role, text in made]


def squad() -> dict[str, Any]:
    def paragraph(at: int) -> dict[str, Any]:
        asked = [{"id": f"q{at}{n}", "question": said(), "answers": [{"text": said(3), "answer_start": 3}]} for n in range(3)]
        return {"context": said(40), "qas": asked}

    return {"version": "1.1", "data": [{"title": "T", "paragraphs": [paragraph(at) for at in range(10)]}]}
