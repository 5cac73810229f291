"""Files such as people have, generated: how each looks, and how it must be read. No real rows are in them."""

import json

from people_rows import AIRLINE, DRAW, TICKET, Case, Q, lines_of, rows_of, said, squad, ticket, turns, workbook


def cases() -> list[Case]:
    """The files. Each name says what it is like."""
    both = ["positive", "negative"]
    stray = ["" if at % 7 != 3 else Q for at in range(100)], ["" if at % 7 != 5 else Q for at in range(100)]
    spam = [
        f'{"spam" if at % 5 == 0 else "ham"},"{said()}, £{at} it’s – ok",{Q + " ok" + Q if at % 60 == 7 else ""},,' for at in range(200)
    ]
    hotel = ("很好的酒店，下次还会来", "房间太小了，服务也不好")
    text: list[tuple[str, str, str, tuple[str, ...], str, int]] = [
        (
            "banking77.csv",
            rows_of([["text", "category"], *([said(), f"intent_{at % 77}"] for at in range(800))]),
            "utf-8",
            ("text",),
            "category",
            77,
        ),
        (
            *(
                "raft tweets.csv",
                rows_of([["Tweet", "ID", "Label"], *([said(), at, ("complaint", "no complaint")[at % 2]] for at in range(50))]),
            ),
            *("utf-8", ("Tweet",), "Label", 2),
        ),
        (
            *("mrpc.tsv", "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"),
            *("utf-8-sig", ("#1 String", "#2 String"), "Quality", 2),
        ),
        (
            "ag news without header.csv",
            rows_of([at % 4 + 1, said(6), said(20)] for at in range(200)),
            "utf-8",
            ("column 2", "column 3"),
            "column 1",
            4,
        ),
        ("sms.tsv", "".join(f"{'spam' if at % 5 == 0 else 'ham'}\t{said()}\n" for at in range(200)), "utf-8", ("column 2",), "column 1", 2),
        ("kaggle spam.csv", "v1,v2,,,\n" + "\n".join(spam), "cp1252", ("v2",), "v1", 2),
        (
            *("hotel reviews.csv", "label,review\n" + "".join(f"{at % 2},{hotel[at % 2]}第{at}次入住\n" for at in range(100))),
            *("gb18030", ("review",), "label", 2),
        ),
        (
            "trec in hindi.csv",
            rows_of(
                [
                    ["label-coarse", "label-fine", "text"],
                    *([at % 6, at % 6 * 8 + at % 7, f"भारत का {at} सबसे बड़ा शहर कौन सा है ?"] for at in range(200)),
                ]
            ),
            *("utf-8", ("text",), "label-coarse", 6),
        ),
        (
            "emotion.jsonl",
            lines_of({"text": said(), "label": at % 3, "label_text": ("joy", "anger", "fear")[at % 3]} for at in range(200)),
            *("utf-8", ("text",), "label_text", 3),
        ),
        ("chat logs.jsonl", lines_of({"messages": turns(at)} for at in range(50)), "utf-8", ("messages",), "last answer", 0),
        (
            "sharegpt.json",
            json.dumps(
                [
                    {"id": str(at), "conversations": [{"from": "human", "value": said()}, {"from": "gpt", "value": said()}]}
                    for at in range(50)
                ]
            ),
            *("utf-8", ("conversations",), "last answer", 0),
        ),
        (
            "alpaca.json",
            json.dumps([{"instruction": said(), "input": "" if at % 3 else said(), "output": said()} for at in range(60)]),
            *("utf-8", ("instruction", "input"), "output", 0),
        ),
        ("squad.json", json.dumps(squad()), "utf-8", ("context", "question"), "answers", 0),
        (
            "squad of the hub.jsonl",
            lines_of(
                {"id": f"56be{at:04x}", "context": said(40), "question": said(), "answers": {"text": [said(2)], "answer_start": [3]}}
                for at in range(40)
            ),
            *("utf-8", ("context", "question"), "answers", 0),
        ),
        (
            "dolly.jsonl",
            lines_of(
                {
                    "instruction": said(),
                    "context": said(20) if at % 3 == 0 else "",
                    "response": said(),
                    "category": ("qa", "list", "chat")[at % 3],
                }
                for at in range(90)
            ),
            *("utf-8", ("instruction", "context"), "response", 0),
        ),
        ("sst-2.tsv", "sentence\tlabel\n" + "".join(f"{said()}\t{at % 2}\n" for at in range(100)), "utf-8", ("sentence",), "label", 2),
        (
            "cola without header.tsv",
            "".join(f"{('gj04', 'ks08', 'b_82')[at * 3 // 100]}\t{at % 2}\t{'*' if at % 2 == 0 else ''}\t{said()}\n" for at in range(100)),
            *("utf-8", ("column 4",), "column 2", 2),
        ),
        (
            "imdb.csv",
            rows_of([["review", "sentiment"], *([f'{said(40)}<br /><br />"good", he said,\n{said()}', both[at % 2]] for at in range(100))]),
            *("utf-8", ("review",), "sentiment", 2),
        ),
        (
            "amazon polarity without header.csv",
            "".join(f'"{at % 2 + 1}","{said(5)}","{said(30)} ""quoted"" , yes"\n' for at in range(100)),
            *("utf-8", ("column 2", "column 3"), "column 1", 2),
        ),
        ("tickets.csv", rows_of([TICKET, *(ticket(at) for at in range(120))]), "utf-8", ("subject", "description"), "category", 3),
        (
            "german.csv",
            "Bewertung;Kommentar;Betrag\n"
            + "".join(f"{('gut', 'schlecht')[at % 2]};Das war für mich schön, {said()};{at},{at % 10}0\n" for at in range(80)),
            *("cp1252", ("Kommentar",), "Bewertung", 2),
        ),
        (
            "pandas.json",
            json.dumps({"text": {str(at): said() for at in range(50)}, "label": {str(at): at % 3 for at in range(50)}}),
            *("utf-8", ("text",), "label", 3),
        ),
        (
            "stars.csv",
            rows_of([["review_id", "stars", "text", "useful"], *([f"xQ{at}zz", at % 5 + 1, said(20), at % 4] for at in range(100))]),
            *("utf-8", ("text",), "stars", 5),
        ),
        ("pairs.tsv", "English\tFrench\n" + "".join(f"{said(4)}\tle {said(4)}\n" for _ in range(50)), "utf-8", ("English",), "French", 0),
        (
            "tatoeba.tsv",
            "".join(
                f"{said(3)}\tle {said(3)}\tCC-BY 2.0 (France) Attribution: tatoeba.org #{at} & #{at + 3} (someone)\n" for at in range(50)
            ),
            *("utf-8", ("column 1",), "column 2", 0),
        ),
        (
            "glossary.md",
            "# Words\n\nSome text.\n\n| Term | Meaning |\n|:-----|---|\n"
            + "".join(f"| t{chr(97 + at)}rm | {said(5)} |\n" for at in range(20))
            + "\nend\n",
            *("utf-8", ("Term",), "Meaning", 0),
        ),
        (
            "arrows.txt",
            "".join(f"{one} -> {one}s\n" for one in ["cat", "dog", "sun", "moon", "tree", "book", "fox", "sea", "ape", "bee"]),
            "utf-8",
            ("input",),
            "output",
            0,
        ),
        (
            "airline tweets.csv",
            rows_of(
                [
                    AIRLINE,
                    *(
                        [
                            *(5703061336 + at, (*both, "neutral")[at % 3], round(DRAW.random(), 4), ("", "", "Bad Flight")[at % 3]),
                            *(
                                DRAW.choice(["United", "Delta"]),
                                f"user{at % 60}",
                                0,
                                f"@air {said()}",
                                "",
                                f"2015-02-24 11:35:{at % 60:02d} -0800",
                            ),
                            "Eastern Time (US & Canada)",
                        ]
                        for at in range(150)
                    ),
                ]
            ),
            *("utf-8", ("text",), "airline_sentiment", 3),
        ),
        (
            "sentiment140 without header.csv",
            "".join(
                f'"{(0, 4)[at % 2]}","{1467810000 + at}","Mon Apr 06 22:19:{at % 60:02d} PDT 2009","NO_QUERY","user_{at}","@x {said()} é"\n'
                for at in range(200)
            ),
            *("cp1252", ("column 6",), "column 1", 2),
        ),
        (
            "snli.jsonl",
            lines_of(
                {
                    **{"annotator_labels": ["neutral", "entailment"], "gold_label": ("neutral", "entailment", "contradiction")[at % 3]},
                    **{"pairID": f"34{at}.jpg#4r1n", "sentence1": said(), "sentence1_parse": f"(ROOT (S {said()}))"},
                    **{"sentence2": said(), "sentence2_parse": f"(ROOT {said()})"},
                }
                for at in range(90)
            ),
            *("utf-8", ("sentence1", "sentence2"), "gold_label", 3),
        ),
        (
            "amazon five stars.jsonl",
            lines_of(
                {
                    **{
                        "reviewerID": f"A2{at}X",
                        "asin": "B000",
                        "reviewerName": f"Bob {at % 7}",
                        "helpful": [0, at % 3],
                        "reviewText": said(40),
                    },
                    **{"overall": float(at % 5 + 1), "summary": said(4), "unixReviewTime": 1393545600 + at, "reviewTime": "02 28, 2014"},
                }
                for at in range(90)
            ),
            *("utf-8", ("reviewText",), "overall", 5),
        ),
        (
            "gsm8k.jsonl",
            lines_of({"question": said(20), "answer": f"{said(20)}\n#### {at}"} for at in range(60)),
            "utf-8",
            ("question",),
            "answer",
            0,
        ),
        (
            "boolq.jsonl",
            lines_of({"question": said(), "title": said(2), "answer": at % 2 == 0, "passage": said(40)} for at in range(60)),
            *("utf-8", ("question", "title", "passage"), "answer", 2),
        ),
        (
            "plurals.csv",
            "word,plural\n" + "".join(f"{a}{b},{a}{b}s\n" for a in ("cat", "dog") for b in "abcdefgh"),
            "utf-8",
            ("word",),
            "plural",
            0,
        ),
        (
            "survey with a title.csv",
            "Customer survey 2024,,\nexported on 3 May 2024,,\n\nWhat did you think of the course?,Age,Recommend\n"
            + "".join(f'"{said()}, really",{20 + at % 30},{("Yes", "No")[at % 2]}\n' for at in range(60)),
            *("utf-8", ("What did you think of the course?",), "Recommend", 2),
        ),
        (
            "commas without quotes.csv",
            "label,text\n" + "".join(f"{('pos', 'neg')[at % 2]},well, {said()}{', and more' if at % 3 else ''}\n" for at in range(40)),
            *("utf-8", ("text",), "label", 2),
        ),
        ("utf-16.csv", rows_of([["text", "label"], *([said(), "xy"[at % 2]] for at in range(30))], "\t"), "utf-16", ("text",), "label", 2),
        ("humour.csv", rows_of([["", "text", "humor"], *([at, said(), bool(at % 2)] for at in range(60))]), "utf-8", ("text",), "humor", 2),
        (
            "iris.csv",
            rows_of(
                [
                    ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"],
                    *(
                        [*(round(DRAW.random() * 5, 1) for _ in range(4)), ("setosa", "virginica", "versicolor")[at % 3]]
                        for at in range(90)
                    ),
                ]
            ),
            *("utf-8", ("sepal_length", "sepal_width", "petal_length", "petal_width"), "species", 3),
        ),
        (
            "hate speech.csv",
            rows_of(
                [
                    ["", "count", "hate_speech", "neither", "class", "tweet"],
                    *([at, 3, at % 4, 0, at % 3, f"!!! RT @x: {said()}"] for at in range(90)),
                ]
            ),
            *("utf-8", ("tweet",), "class", 3),
        ),
        (
            "form.csv",
            rows_of(
                [
                    ["Timestamp", "How was the workshop?", "Would you come again?"],
                    *([f"3/{at % 28 + 1}/2024 10:02:33", said(), ("Yes", "No", "Maybe")[at % 3]] for at in range(45)),
                ]
            ),
            *("utf-8", ("How was the workshop?",), "Would you come again?", 3),
        ),
        (
            "excel in europe.csv",
            "sep=;\r\ntext;label\r\n" + "".join(f"{said()};{('yes', 'no')[at % 2]}\r\n" for at in range(20)),
            *("utf-8-sig", ("text",), "label", 2),
        ),
        (
            "expressions.csv",
            "id,expression,result\n" + "".join(f"{at},{at}+{at * 7 % 40},{at + at * 7 % 40}\n" for at in range(40)),
            "utf-8",
            ("expression",),
            "result",
            0,
        ),
        (
            "prompts.jsonl",
            lines_of({"prompt": f"{said()}\n\n###\n\n", "completion": f" {said(3)}"} for _ in range(30)),
            *("utf-8", ("prompt",), "completion", 0),
        ),
        (
            "rows of the viewer.json",
            json.dumps(
                {
                    "features": [],
                    "rows": [{"row_idx": at, "row": {"text": said(), "label": at % 2}, "truncated_cells": []} for at in range(30)],
                }
            ),
            *("utf-8", ("text",), "label", 2),
        ),
        (
            "parts.json",
            json.dumps({part: [{"text": said(), "intent": f"i{at % 3}"} for at in range(12)] for part in ("train", "test")}),
            *("utf-8", ("text",), "intent", 3),
        ),
        (
            "pipes.txt",
            "text|label\n" + "".join(f"{said()}|{('yes', 'no')[at % 2]}\n" for at in range(20)),
            *("utf-8", ("text",), "label", 2),
        ),
    ]
    mrpc = "".join(f"{at % 2}\t{70000 + at}\t{80000 + at}\t{stray[0][at]}{said()}\t{said()}{stray[1][at]}\n" for at in range(100))
    made: list[Case] = []
    for name, content, encoding, inputs, output, labels in text:
        made.append((name, (content + mrpc if name == "mrpc.tsv" else content).encode(encoding), inputs, output, labels))
    survey = [
        ["Course survey, spring"],
        [],
        ["Nr", "Comment", "Mark"],
        *([at, said(12), ("good", "bad", "okay")[at % 3]] for at in range(40)),
    ]
    made.append(("survey.xlsx", workbook({"Answers": survey, "Notes": [["nothing here"]]}), ("Comment",), "Mark", 3))
    return made
