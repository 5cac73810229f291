"""Which columns go in and which comes out, where their names mislead."""

from core.tasks.columns import Columns, decide, flags
from core.tasks.from_table import task_from_table
from core.tasks.reader import read_table


def test_answers_of_a_questionnaire_come_out_though_their_column_is_named_as_a_question():
    rows = "".join(f"P{at},they were kind and quick {at},{('Agree', 'Disagree', 'Neutral')[at % 3]}\n" for at in range(30))
    table = read_table(f"participant,q1_text,q1\n{rows}".encode(), "survey.csv")
    found = decide(table)
    assert (found.inputs, found.output, found.kind) == (("q1_text",), "q1", "labels")


def test_a_row_that_may_have_several_labels_is_told():
    rows = "".join(f"a remark of several words {at},{at % 2},{at % 3 % 2},{at % 5 % 2}\n" for at in range(40))
    table = read_table(f"comment,toxic,rude,threat\n{rows}".encode(), "remarks.csv")
    assert flags(table) == ["toxic", "rude", "threat"]
    task = task_from_table(table, Columns())
    assert any("toxic, rude, threat: each holds 0 or 1" in note for note in task.notes)
    one_of_them = "".join(f"a remark of several words {at},{at % 3 == 0:d},{at % 3 == 1:d},{at % 3 == 2:d}\n" for at in range(40))
    assert flags(read_table(f"comment,a,b,c\n{one_of_them}".encode(), "one.csv")) == [], "each row has just one"


def test_a_header_of_two_rows_is_the_second_one():
    rows = "".join(f"{at},Person {at},it was a remark of several words {at},{('billing', 'delivery')[at % 2]}\n" for at in range(30))
    table = read_table(f"Survey 2024,,,\nRespondent,,Answers,\nID,Name,Comment,Category\n{rows}".encode(), "survey.csv")
    assert table.columns == ("ID", "Name", "Comment", "Category") and len(table.rows) == 30


def test_how_long_an_answer_took_is_not_part_of_it():
    rows = "".join(f"{3 + i % 9} mins {i} secs,The leaf makes sugar number {i},{('good', 'poor')[i % 2]}\n" for i in range(30))
    table = read_table(f"Time taken,Response 1,mark\n{rows}".encode(), "quiz.csv")
    assert decide(table).inputs == ("Response 1",)
