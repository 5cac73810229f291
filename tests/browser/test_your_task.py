"""The Your task page in Chromium over a tiny random model: files and pasted rows, good and bad."""

import pytest
from people_files import said, workbook

pytestmark = pytest.mark.browser

ROWS = "text,label\n" + "".join(f"the text number {'abcdefgh'[at]},{'xy'[at % 2]}\n" for at in range(8))


def test_a_file_that_is_refused_gets_a_sentence_and_clears_what_was_there(visit, tiny_app, tmp_path):
    visitor = visit(tiny_app)
    visitor.ready()
    visitor.tab("Your task")
    for name, data, told in [
        ("empty.csv", b"", "is empty"),
        ("one.csv", b"text,label\n" + b"".join(b"t%d,same\n" % i for i in range(8)), "the same output"),
        ("gzip.csv", b"\x1f\x8b\x08\x00rest", "compressed"),
        ("excel.xlsx", b"PK\x03\x04rest", "damaged"),
        ("nul.csv", b"input,output\na\0,b\n", "binary"),
        ("column.csv", b"text\na\nb\n", "no two cells"),
        ("large.csv", b"input,output\n" + b"a,b\n" * 9_000_000, "larger than 32 MB"),
    ]:
        visitor.page.fill("#paste textarea", ROWS)
        visitor.page.wait_for_selector("#use-task:not([disabled])")
        visitor.bring(name, data, tmp_path)
        visitor.settle("#task-message", told)
        visitor.page.wait_for_selector("#use-task[disabled]")
        assert visitor.page.is_disabled("#use-and-train")
        visitor.page.wait_for_function("document.querySelector('#paste textarea').value === ''")
        assert visitor.text("#task-preview") == "" and "--" not in visitor.text("#task-message")
    visitor.tab("Train")
    assert "promise" in visitor.text("#examples")


def test_pasted_rows_become_a_task_with_its_tokens_in_sight(visitor, tmp_path):
    page = visitor.page
    visitor.tab("Your task")
    words = "red blue sea fox dog sun moon tree book =1+1 😀🎈 مرحبا"  # the last three are text like any other
    page.fill("#paste textarea", "\n".join(f"{word} -> {word}s" for word in words.split()))
    visitor.settle("#task-preview", "the model gets")
    assert "Read as free answers" in visitor.text("#task-sentence") and "held out" in visitor.text("#task-preview")
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
    page.wait_for_selector("#read-as", state="hidden")


def test_what_was_decided_can_be_changed(visitor, tmp_path):
    page = visitor.page
    visitor.bring(
        "pairs.csv", ("question,answer,topic\n" + "".join(f"{said()},{said()},{'xy'[i % 2]}\n" for i in range(16))).encode(), tmp_path
    )
    visitor.settle("#task-sentence", "free answers from the column answer; question goes in; topic is not used")
    visitor.choose("output-column", "topic")
    visitor.settle("#task-sentence", "2 labels from the column topic; question goes in; answer is not used")
    visitor.settle("#task-preview", "and chooses among")
    page.fill("#task-template textarea", "{question} - {answer}:")
    visitor.settle("#task-sentence", "question and answer go in")
    page.click("#file-format button")
    visitor.choose("header", "is data")
    visitor.settle("#task-sentence", "column 1")
    page.wait_for_selector("#use-task:not([disabled])")
    sheets = {name: [["text", "mark"], *([said(), f"{name} {at % 2}"] for at in range(12))] for name in ("spring", "autumn")}
    visitor.bring("two.xlsx", workbook(sheets), tmp_path)
    visitor.settle("#task-rows", "spring 0")
    visitor.choose("sheet", "autumn")
    visitor.settle("#task-rows", "autumn 0")


def test_labels_can_be_given_other_words_and_merged(visitor, tmp_path):
    page = visitor.page
    rows = "".join(f"text number {'abcdefghijklmnop'[i]},{i % 2}\n" for i in range(16))
    visitor.bring("digits.csv", f"text,label\n{rows}".encode(), tmp_path)
    visitor.settle("#task-preview", "and chooses among")
    visitor.value("#label-words textarea", "0 = 0\n1 = 1")
    page.fill("#label-words textarea", "0 = good\n1 = bad")
    visitor.settle("#task-preview", "good")
    page.fill("#label-words textarea", "0 = same\n1 = same")
    page.wait_for_selector("#task-message .message")
    page.fill("#label-words textarea", "0 good")
    visitor.settle("#task-message", "Line 1")
    assert page.is_disabled("#use-task")
    rows = "".join(f"text number {'abcdefghijklmnop'[i]},{('Bug', 'bug', 'idea')[i % 3]}\n" for i in range(16))
    visitor.bring("case.csv", f"text,label\n{rows}".encode(), tmp_path)
    visitor.settle("#task-sentence", "3 labels")
    page.click("#merge-labels")
    visitor.settle("#task-sentence", "2 labels")
    page.wait_for_selector("#merge-labels", state="hidden")


def test_an_example_is_used_and_trained_in_two_presses(visitor):
    visitor.tab("Your task")
    visitor.page.click("#example-tickets")
    visitor.settle("#task-sentence", "3 labels from the column category; subject and description go in")
    visitor.page.click("#use-and-train:not([disabled])")
    visitor.page.wait_for_selector("#train:visible")
    visitor.run_ends()
    visitor.settle("#examples", "billing")
    visitor.tab("Compare")
    visitor.settle("#contenders", "examples, order 2")  # all baselines are scored already


def test_a_file_can_be_dropped_on_the_box(visitor):
    visitor.tab("Your task")
    visitor.page.evaluate(
        """rows => {
          const data = new DataTransfer();
          data.items.add(new File([rows], 'dropped.csv', {type: 'text/csv'}));
          const box = document.querySelector('#paste textarea');
          box.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));
        }""",
        ROWS,
    )
    visitor.settle("#task-sentence", "2 labels from the column label")
    visitor.settle("#task-preview", "dropped")


def test_a_file_that_is_too_large_gets_a_sentence_and_a_smaller_one_is_read(visitor, tmp_path):
    visitor.tab("Your task")
    large, small = tmp_path / "large.csv", tmp_path / "small.csv"
    large.write_bytes(b"input,output\n" + b"jump,jumped\n" * (70 * 2**20 // 12))
    small.write_text("input,output\n" + "".join(f"word {number},words {number}\n" for number in range(30)))
    visitor.page.set_input_files("#upload-task input[type=file]", str(large))
    visitor.settle(".too-large", "large.csv has 70 MB, and this server takes up to 64 MB: choose a smaller file.")
    visitor.page.set_input_files("#upload-task input[type=file]", str(small))
    visitor.page.wait_for_selector(".too-large", state="detached")
    visitor.settle("#task-preview", "17 rows to train on")


def test_rows_that_are_read_from_the_right_stand_so(visitor, tmp_path):
    rows = "النص,التصنيف\n" + "".join(f"فيلم رقم {i} abc,{('جيد', 'سيئ')[i % 2]}\n" for i in range(20))
    visitor.bring("arabic.csv", rows.encode(), tmp_path)
    visitor.settle("#task-preview", "10 rows to train on")
    visitor.use()
    visitor.settle("#examples", "فيلم رقم")
    left, right = visitor.page.evaluate(
        """() => {
            const cells = [...document.querySelectorAll('#examples td')]
            const cell = cells.find((one) => one.textContent.includes('فيلم') && one.textContent.includes('abc'))
            const place = (word) => {
                const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT)
                while (walk.nextNode()) {
                    const at = walk.currentNode.textContent.indexOf(word)
                    if (at < 0) continue
                    const range = document.createRange()
                    range.setStart(walk.currentNode, at)
                    range.setEnd(walk.currentNode, at + word.length)
                    return range.getBoundingClientRect().left
                }
            }
            return [place('abc'), place('فيلم')]
        }"""
    )
    assert left < right, "the Latin word at the end of an Arabic row is on its left"
