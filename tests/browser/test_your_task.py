"""The Your task page in Chromium over a tiny random model: files and pasted rows, good and bad."""

import pytest

pytestmark = pytest.mark.browser


def test_bad_files_get_a_sentence_and_change_nothing(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    long_cell = b"input,output\n" + b"x" * 2_500_000 + b",y\n"
    for name, data, told in [
        ("empty.csv", b"", "is empty"),
        ("no-answer.csv", b"input,output\na,1\nb,\n", "Row 3"),
        ("columns.csv", b"left,right\na,b\n", "it needs input and output"),
        ("one.csv", b"text,label\n" + b"".join(b"t%d,same\n" % i for i in range(8)), "one label only"),
        ("500.csv", b"text,label\n" + b"".join(b"t%d,l%d\n" % (i, i % 500) for i in range(1500)), "500 different labels"),
        ("empty-label.csv", b"text,label\na,x\nb,\n", "Row 3"),
        ("begins.csv", b"text,label\n" + b"".join(b"t%d,%s\n" % (i, b"no" if i % 2 else b"no way") for i in range(12)), "begin those of"),
        ("gzip.csv", b"\x1f\x8b\x08\x00rest", "compressed"),
        ("excel.csv", b"PK\x03\x04rest", "compressed or office file"),
        ("nul.csv", b"input,output\na\0,b\n", "binary"),
        ("utf16.csv", "input,output\na,b\n".encode("utf-16"), "UTF-16"),
        ("quote.csv", b'input,output\n"a,b\n', "well-formed"),
        ("twice.csv", b"input,output,output\na,b,c\n", "two columns of the same name"),
        ("million.csv", b"input,output\n" + b"a,b\n" * 1_000_000, "larger than 2 MB"),
        ("cell.csv", long_cell, "larger than 2 MB"),
    ]:
        visitor.bring(name, data, tmp_path)
        visitor.settle("#task-message", told)
        assert visitor.page.is_disabled("#use-task")
    visitor.tab("Train")
    assert "promise" in visitor.text("#examples")


def test_pasted_rows_become_a_task_with_its_tokens_in_sight(visitor, tmp_path):
    page = visitor.page
    visitor.tab("Your task")
    words = "red blue sea fox dog sun moon tree book =1+1 😀🎈 مرحبا"  # the last three are text like any other
    page.fill("#paste textarea", "\n".join(f"{word} -> {word}s" for word in words.split()))
    page.click("#read-rows")
    visitor.settle("#task-preview", "the model gets")
    assert "held out" in visitor.text("#task-preview")
    page.fill("#task-template textarea", "Plural of {input}:")
    visitor.settle("#task-preview", "␣")
    page.fill("#task-template textarea", "no place")
    visitor.settle("#task-message", "{input} 0 times")
    page.fill("#task-template textarea", "Word {input} gives")
    page.wait_for_selector("#use-task:not([disabled])")
    visitor.use()
    visitor.settle("#examples", "reds")
    visitor.train(3)
    visitor.tab("Your task")
    path = visitor.download("#task-download a", tmp_path / "mine.task.json")
    visitor.bring("again.json", path.read_bytes(), tmp_path)
    visitor.settle("#task-preview", "the model gets")


def test_labels_can_be_given_other_words(visitor, tmp_path):
    rows = "".join(f"text number {'abcdefghijklmnop'[i]},{i % 2}\n" for i in range(16))
    visitor.bring("digits.csv", f"text,label\n{rows}".encode(), tmp_path)
    visitor.settle("#task-preview", "and chooses among")
    assert visitor.page.input_value("#label-words textarea") == "0 = 0\n1 = 1"
    visitor.page.fill("#label-words textarea", "0 = good\n1 = bad")
    visitor.settle("#task-preview", "good")
    visitor.page.fill("#label-words textarea", "0 = same\n1 = same")
    visitor.page.wait_for_selector("#task-message .message")
    visitor.page.fill("#label-words textarea", "0 good")
    visitor.settle("#task-message", "Line 1")
    assert visitor.page.is_disabled("#use-task")
