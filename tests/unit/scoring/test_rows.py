"""From text to tokens: one string tokenised whole, split where the answer begins, and the shared start found."""

import pytest
import torch
from tiny_models import EXAMPLES, sentence_tokenizer, tokenizer

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.scoring.rows import Row, check_window, collate, encode, join, share_start
from core.tasks.task import Example


@pytest.mark.parametrize(
    "template, prompt, gap",
    [
        ("{input}", "sea", " "),
        ("{input} ->", "sea ->", " "),
        ("{input} -> ", "sea ->", " "),  # the space belongs to the answer's first token
        ("{input}:\n", "sea:\n", ""),
        ("{input}\nLabel:  ", "sea\nLabel:", " "),
        ("{input}\t", "sea\t", ""),
        ('"{input}" becomes "', '"sea" becomes "', ""),  # nor after an opening quote or bracket
        ("“{input}” becomes “", "“sea” becomes “", ""),
        ("{input} (", "sea (", ""),
        ('He said "{input}"', 'He said "sea"', " "),  # this one closes
        ("({input})", "(sea)", " "),
    ],
)
def test_one_space_precedes_the_answer_unless_something_was_opened(template, prompt, gap):
    assert join(template, "sea") == (prompt, gap)


@pytest.mark.parametrize("input", ['a 5" pipe', '"', "(", "[1", "to (", "“", "a\nb"])
@pytest.mark.parametrize("template, gap", [("{input}", " "), ('"{input}" becomes "', ""), ('The "{input}"', " ")])
def test_what_precedes_the_answer_is_the_same_for_every_input(template, gap, input):
    assert join(template, input)[1] == gap


@pytest.mark.parametrize("template", ["{input}", "Word: {input} gives", "the qu{input}", "{input}\n", "é {input} ->  "])
@pytest.mark.parametrize("bos", [False, True])
def test_a_row_is_its_whole_text_tokenised_at_once(tiny, bos, template):
    lm = tiny("llama", bos)
    for example, row in zip(EXAMPLES, encode(lm, template, EXAMPLES, None), strict=True):
        prompt, gap = join(template, example.input)
        whole = lm.tokenizer(prompt + gap + example.output).input_ids
        assert [*row.prompt, *row.answer] == whole
        assert lm.tokenizer.decode(row.answer) == gap + example.output
        assert bos == (row.prompt[0] == lm.tokenizer.bos_token_id)


def test_a_token_that_reaches_into_the_answer_is_parted_where_generation_begins(tiny):
    lm = tiny("llama")
    (row,) = encode(lm, "{input}(", [Example("sea", ")")], None)
    assert lm.decode(lm.tokenise("sea()")[-1:]) == "()"  # one token for the last of the prompt and the answer
    assert lm.decode(row.prompt) == "sea(" and lm.decode(row.answer) == ")"


@pytest.mark.parametrize("template", ['"{input}" becomes "', "{input} ->", "{input}\n"])
def test_scoring_and_generation_begin_at_the_same_place_with_spaces_marked_in_tokens(tiny, template):
    lm = LanguageModel(tiny("llama").model, sentence_tokenizer(), "sentences")
    for example, row in zip(EXAMPLES, encode(lm, template, EXAMPLES, None), strict=True):
        prompt, gap = join(template, example.input)
        assert list(row.prompt) == lm.tokenise(prompt)
        assert lm.decode([*row.prompt, *row.answer]) == prompt + gap + example.output
        assert "".join(map(lm.token_text, row.answer)) == gap + example.output  # as the preview shows it


def test_labels_are_parted_from_the_prompt_at_the_same_place(tiny):
    lm = LanguageModel(tiny("llama").model, sentence_tokenizer(), "sentences")
    assert any('"j' in lm.token_text(token) for token in lm.tokenise('becomes "jumped'))  # a quote and a letter in one token
    (row,) = encode(lm, '"{input}" becomes "', [Example("jump", "jumped")], ("jumped", "seas"))
    assert [lm.decode([*row.prompt, *ids]) for ids in row.candidates] == ['"jump" becomes "jumped', '"jump" becomes "seas']


def test_every_label_of_every_row_is_tokenised_in_its_place(tiny):
    lm = tiny("llama")
    labels = ("good", "very bad")
    rows = encode(lm, "{input}\nLabel:", [Example("sea", "very bad"), Example("shore", "good")], labels)
    assert [row.label for row in rows] == [1, 0]
    for row in rows:
        assert row.answer == row.candidates[row.label]
        assert [lm.tokenizer.decode(ids) for ids in row.candidates] == [" good", " very bad"]


def test_rows_without_tokens_are_refused_by_name(tiny):
    for input in (" ", ""):
        with pytest.raises(LabError, match=r"The input of row 2 .* gives the model no tokens"):
            encode(tiny("llama"), "{input}", [Example("sea", "x"), Example(input, "x")], None)
    with pytest.raises(LabError, match=r"The answer of row 1 \(''\) gives the model no tokens"):
        encode(tiny("llama"), "{input}\n", [Example("sea", "")], None)


def test_a_token_that_the_model_has_no_embedding_for_is_told(tiny):
    lm = LanguageModel(tiny("llama").model, tokenizer(), "mixed-up")
    lm.model.get_input_embeddings().num_embeddings = 50
    try:
        with pytest.raises(LabError, match=r"tokenizer of 'mixed-up' makes the token \d+, the model has 50 embeddings"):
            encode(lm, "{input}", EXAMPLES, None)
    finally:
        lm.model.get_input_embeddings().num_embeddings = 352


def rows_of(*prompts):
    return [Row(Example("", ""), prompt, (9,)) for prompt in prompts]


@pytest.mark.parametrize(
    "prompts, shared",
    [
        ([(1, 2, 3), (1, 2, 4)], (1, 2)),
        ([(1, 2, 3), (1, 2)], (1,)),  # each row keeps a token to predict from
        ([(1, 2), (1, 2)], (1,)),
        ([(1,), (1, 2)], ()),
        ([(1, 2), (2, 2)], ()),
        ([(5, 6, 7)], (5, 6)),
        ([(1, 2, 9), (1, 2, 3), (1, 3, 3)], (1,)),
        ([], ()),
    ],
)
def test_the_shared_start_is_what_all_rows_begin_with(prompts, shared):
    rows = rows_of(*prompts)
    found, rest = share_start(rows)
    assert found == shared
    assert [(*shared, *row.prompt) for row in rest] == [row.prompt for row in rows]
    assert all(row.prompt for row in rest)


def test_a_row_fits_the_window_to_the_last_position(tiny):
    lm = tiny("llama")  # 160 positions
    row = Row(Example("sea", "x"), (5,) * 100, (6,) * 10)
    check_window(lm, [row], 50)
    with pytest.raises(LabError, match=r"Row 2 \('sea'\) needs 161 positions, the model has 160"):
        check_window(lm, [rows_of((1,))[0], row], 51)
    with pytest.raises(LabError, match="needs 170"):
        check_window(lm, [Row(row.example, row.prompt, (6,), ((6,), (7,) * 20), 0)], 50)  # the longest label counts


def test_logits_are_read_where_each_answer_token_is_predicted():
    batch = collate([((1, 2, 3), (4,)), ((5,), (6, 7, 8))], torch.device("cpu"))
    assert batch.ids.tolist() == [[1, 2, 3], [5, 6, 7]]
    assert batch.rows.tolist() == [0, 1, 1, 1] and batch.columns.tolist() == [2, 0, 1, 2]
    assert batch.targets.tolist() == [4, 6, 7, 8]
    padded = collate([((1,), (2,)), ((3, 4, 5), (6,))], torch.device("cpu"))
    assert padded.ids[1].tolist() == [3, 4, 5] and padded.ids[0, 0] == 1


def test_a_prompt_never_tells_which_label_is_right(tiny):
    lm = tiny("llama")
    labels = ("()", "no", "yes")  # "call()" is a token of its own in the tiny tokenizer's sentences, so a cut may move
    for template in ("call{input} (", 'run "{input}" is "', "go {input}"):
        rows = [encode(lm, template, [Example("stop", label)], labels)[0] for label in labels]
        assert len({row.prompt for row in rows}) == 1
        assert len({row.candidates for row in rows}) == 1
        assert all(row.answer == row.candidates[row.label] for row in rows)
