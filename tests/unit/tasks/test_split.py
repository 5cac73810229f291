"""Sides of a split: derived from content, with what repeats or nearly repeats on one of them."""

import re
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.tasks import similar_texts
from core.tasks.split import HELD_OUT_SIZE, keep_together, near_repeats, spare, split_off, split_table, unseen
from core.tasks.task import Example, key, short_hash

# One word or mark is another: the same sentence, for all that a model can learn from it.
NEAR = [
    ("I bought this kettle in May and it already leaks from the base every morning.",
     "I bought this kettle in June and it already leaks from the base every morning."),
    ("The hotel was clean, the staff were helpful, and we enjoyed our stay very much.",
     "The hotel was clean, the staff were friendly, and we enjoyed our stay very much."),
    ("Port operators increased container fees by a quarter, and importers say customers will pay the difference.",
     "Port operators increased container fees by a third, and importers say customers will pay the difference."),
    ("A truth commission began hearing testimony on Tuesday from families whose relatives vanished under military rule.",
     "A truth commission began hearing testimony on Monday from families whose relatives vanished under military rule."),
    ("My toddler has dropped this tablet on concrete at least six times, and the screen still looks new.",
     "My toddler has dropped this tablet on concrete at least six times; the screen still looks new!!"),
    ("Please cancel my order, I do not need the blue jacket any more and want my money back.",
     "Please cancel my order, I do not need the green jacket any more and want my money back."),
    ("can you set an alarm for early tomorrow morning because I have to catch a train to work",
     "can you set an alarm for early tomorrow morning because I have to catch a bus to work"),
]  # fmt: skip
# The same frame around another content.
FAR = [
    ("What is the capital of France?", "What is the capital of Norway?"),
    ("What is the capital of Germany?", "What is the capital of Romania?"),
    ("Who wrote the novel Moby Dick?", "Who wrote the novel Jane Eyre?"),
    ("The past tense of the verb go", "The past tense of the verb sing"),
    ("Translate to French: good morning", "Translate to French: good night"),
    ("How many people live in the city of Paris?", "How many people live in the city of Tokyo?"),
    ("The food was great and the service was good.", "The food was good and the service was slow."),
    ("book a table for two at an italian place tonight", "book a table for six at a mexican place tonight"),
    ("Delivered a day early, wrapped like a gift, and every cup in one piece.",
     "Delivered a week late, wrapped like rubbish, and every cup in ten pieces."),
]  # fmt: skip
FILLER = [Example(f"{a} {b} number {i}", "x") for i, (a, b) in enumerate(zip("abcdefghijkl", "mnopqrstuvwx", strict=True))]


def pairs(texts, output="x"):
    return [[Example(text, output) for text in pair] for pair in texts]


@pytest.mark.parametrize("alone", [True, False])
def test_a_changed_word_in_a_sentence_is_a_near_repeat_and_another_word_in_a_question_is_not(alone):
    all_rows = [example for pair in pairs(NEAR + FAR) for example in pair] + FILLER
    for pair in pairs(NEAR):
        found = near_repeats(pair if alone else all_rows)
        assert found[pair[0].key] == found[pair[1].key]
    for pair in pairs(FAR):
        assert not {example.key for example in pair} & near_repeats(pair if alone else all_rows).keys()


def test_near_repeats_have_the_same_output_and_the_same_numbers():
    first, second = NEAR[0]
    assert near_repeats([Example(first, "a"), Example(second, "b")]) == {}
    assert near_repeats([Example(f"{first} 12", "a"), Example(f"{second} 13", "a")]) == {}
    assert len(near_repeats([Example(f"{first} 12", "a"), Example(f"{second} 12", "a")])) == 2


def test_what_is_like_something_that_is_like_a_third_goes_with_both():
    words = re.findall(r"\w+", "the new kettle that I bought last month leaks from its base every single morning before breakfast again")
    chain = [" ".join([*(["changed"] * i), *words[i:]]) for i in range(5)]
    found = near_repeats([Example(text, "x") for text in chain])
    assert len(found) == 5 and len(set(found.values())) == 1
    for texts in (["\u200b" * 25, "\u200b" * 26], ["! " * 20, "? " * 21], ["é" * 20, "é" * 21]):  # odd ones can be compared, too
        near_repeats([Example(text, "x") for text in texts])


def test_thousands_of_rows_are_compared_in_seconds():
    draw = np.random.default_rng(0)
    vocabulary = ["".join(draw.choice(list("abcdefghijklmnopqrstuvwxyz"), size=draw.integers(2, 11))) for _ in range(3000)]
    share = 1 / np.arange(1, 3001)
    texts = [" ".join(np.array(vocabulary)[draw.choice(3000, p=share / share.sum(), size=40)])[:200] for _ in range(4960)]
    copies = [text[:190] + " changed" for text in texts[:40]]
    rows = [Example(text, "x") for text in [*texts, *copies]]
    near_repeats(rows[:10])  # loading libraries is not what is timed
    start = time.process_time()  # of this process alone: other programs do not count
    found = near_repeats(rows)
    assert time.process_time() - start < 30  # about 2
    assert all(found[a.key] == found[b.key] for a, b in zip(rows[:40], rows[4960:], strict=True))
    assert len(found) == 80


ALPHABETS = {
    "Chinese": "".join(map(chr, range(0x4E00, 0x9FA5))),
    "two letters": "ab",
    "ten letters": "abcdefghij",
    "English": "abcdefghijklmnopqrstuvwxyz     ",
}


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_a_sketch_finds_what_comparing_all_pairs_exactly_finds(alphabet, monkeypatch):
    draw = np.random.default_rng(1)
    letters = np.array(list(ALPHABETS[alphabet]))
    texts = ["".join(row) for row in draw.choice(letters, size=(1500, 70))]
    for number in range(0, 400, 2):  # pairs from nearly the same to rather different: many of them about the bound
        changed = list(texts[number])
        for place in draw.choice(70, size=number // 25, replace=False):
            changed[place] = str(draw.choice(letters))
        texts[number + 1] = "".join(changed)
    rows = [Example(text, "x") for text in texts]
    found = near_repeats(rows)
    monkeypatch.setattr(similar_texts, "FEW", len(rows))
    exact = near_repeats(rows)
    assert {frozenset(name for name in found if found[name] == number) for number in found.values()} == {
        frozenset(name for name in exact if exact[name] == number) for number in exact.values()
    }
    assert 20 < len(exact) <= 1500


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("Good film", " good  FILM! ", True),
        ('"Good film."', "good film", True),
        ("C", "C++", False),
        ("a+b", "a-b", False),
        ("résumé", "resume", False),
        ("a.b", "ab", False),
        ("?", "!", False),
        ("?", " ?", True),
        ("Straße", "STRASSE", True),
        ("(good film)", "good film", False),
        ("好电影。", "好电影", True),
        ("「好电影」！", "好电影", True),
        ("ＧＯＯＤ　film", "good film", True),
        ("“Good film…”", "good film", True),
        ("好电影", "坏电影", False),
        ("हाँ।", "हाँ", True),
    ],
)
def test_variants_differ_in_case_spacing_and_marks_at_the_ends(one, other, same):
    assert (key(one) == key(other)) == same


@given(st.text(max_size=20), st.sampled_from([str.upper, str.lower, lambda t: f" {t}\t", lambda t: t + "!?", lambda t: f'"{t}"']))
def test_a_key_has_no_variants(text, dress):
    if text.upper().lower().casefold() == text.casefold() and text.strip(" .,!?;:\"'\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0"):
        assert key(dress(text)) == key(text)


def sentences(pair_count, output="x"):
    """Pairs that nearly repeat each other, and nothing else."""
    names = re.findall(r"\w+", "amber birch cedar dahlia elder fennel ginger hazel iris juniper kale laurel maple nettle olive poppy")
    frame = "Yesterday {0} and {0} again met a {0} friend of {0} people near the old {0} station in {1} rain"
    return [Example(frame.format(name * 3, word), output) for name in names[:pair_count] for word in ("heavy", "light")]


def test_near_repeats_are_counted_and_go_as_a_whole():
    rows = [*sentences(8), *FILLER]
    groups, notes = keep_together(rows, False)
    assert notes == ["8 rows nearly repeat another one and are in the same part as that one."]
    kept, taken = split_off(rows, 0.3, False, groups=groups)
    assert not {groups.get(e.key, e.key) for e in kept} & {groups.get(e.key, e.key) for e in taken}
    assert len(kept) + len(taken) == len(rows) and abs(len(taken) - 0.3 * len(rows)) <= 1


def test_rows_of_one_template_are_not_kept_together_and_the_notes_say_so():
    rows = [Example(f"Is the following word of the list positive or negative in tone? The word is {word}", "x") for word in "abcdefgh"]
    groups, notes = keep_together([*rows, *FILLER], False)
    assert groups == {} and len(notes) == 1 and notes[0].startswith("8 rows nearly repeat each other, as if written from one template")


def test_a_label_whose_rows_all_repeat_each_other_is_on_both_sides_all_the_same():
    rows = [*FILLER, *sentences(1, "rare")]
    groups, notes = keep_together(rows, True)
    assert groups == {} and notes == ["2 rows nearly repeat each other and are all that their label has: they were parted all the same."]
    kept, taken = split_off(rows, 0.3, True, groups=groups)
    assert {e.output for e in kept} == {e.output for e in taken} == {"x", "rare"}


def test_a_group_that_is_larger_than_a_side_goes_there_rather_than_nothing():
    rows = sentences(4)
    groups, _ = keep_together(rows, False)
    _, taken = split_off(rows, 0.1, False, groups=groups)
    assert len(taken) == 2 and groups[taken[0].key] == groups[taken[1].key]


@given(st.integers(0, 8), st.integers(2, 12), st.booleans(), st.randoms())
def test_no_group_is_on_two_sides_in_any_order(pair_count, singles, labelled, random):
    rows = [*sentences(pair_count, "y"), *FILLER[:singles]]
    groups, _ = keep_together(rows, labelled)
    kept, taken = split_off(rows, 0.3, labelled, groups=groups)
    assert not {groups.get(e.key, e.key) for e in kept} & {groups.get(e.key, e.key) for e in taken}
    other = random.sample(rows, len(rows))
    again, _ = keep_together(other, labelled)
    assert set(split_off(other, 0.3, labelled, groups=again)[1]) == set(taken)


def test_rows_that_training_has_are_not_tested_on():
    known, rows = sentences(1)[:1], [*sentences(1), Example("new", "x")]
    groups, _ = keep_together([*FILLER, *rows], False)
    kept, notes = unseen(rows, known, groups)
    assert kept == (rows[2],)
    assert notes == [
        "1 test row was left out: training has the same inputs.",
        "1 test row was left out: it nearly repeats rows of training.",
    ]


def table_of(rows, labels, words=3):
    return [Example(f"row {i} {'word ' * words}".strip(), f"label {i % labels}") for i in range(rows)]


@pytest.mark.parametrize(
    "rows, labels, words, validation, held_out",
    [
        (20, 2, 3, 3, 6),
        (160, 2, 3, 22, 48),
        (600, 2, 3, 84, 180),
        (5000, 2, 3, 128, 400),
        (5000, 2, 100, 49, 193),  # long rows cost more
        (5000, 2, 2000, 32, 100),
        (5000, 150, 3, 300, 300),  # two of each label
    ],
)
def test_the_sizes_of_validation_and_held_out_rows_follow_number_and_length_of_the_rows(
    rows, labels, words, validation, held_out, monkeypatch
):
    monkeypatch.setattr("core.tasks.split.keep_together", lambda rows, labelled: ({}, []))  # slow for such rows, and not what is asked
    examples = table_of(rows, labels, words)
    (train, steer, report), notes = split_table(examples, True)
    assert abs(len(steer) - validation) <= 2 and abs(len(report) - held_out) <= 2
    assert len(train) + len(steer) + len(report) == rows
    if rows >= 4 * 2 * labels:
        for part in (steer, report):
            assert min(sum(example.output == f"label {n}" for example in part) for n in range(labels)) >= min(2, len(part) // labels)
    assert bool(notes) == (round(0.3 * rows) > len(report) + 2)


def test_test_rows_that_would_take_minutes_to_score_are_fewer_with_a_note():
    rows = table_of(3000, 3)
    kept, notes = spare(rows, True, HELD_OUT_SIZE, "test")
    assert 390 <= len(kept) <= 400 and set(kept) <= set(rows) and len(notes) == 1 and "of 3,000 test rows" in notes[0]
    assert spare(rows, True, HELD_OUT_SIZE, "test")[0] == spare(rows[::-1], True, HELD_OUT_SIZE, "test")[0][::-1]
    assert spare(rows[:50], True, HELD_OUT_SIZE, "test") == (tuple(rows[:50]), [])


CHINESE_NEAR = ("这家酒店的房间很干净，服务员也很热情，我们住得非常愉快", "这家酒店的房间很干净，服务员也很友好，我们住得非常愉快")
CHINESE_FAR = ("法国的首都是哪里", "挪威的首都是哪里")


def test_characters_of_chinese_count_as_words_do():
    near, far = ([Example(text, "x") for text in texts] for texts in (CHINESE_NEAR, CHINESE_FAR))
    found = near_repeats([*near, *far, *FILLER])
    assert {example.key for example in near} == found.keys()
    assert near_repeats([Example(f"{CHINESE_NEAR[0]}１２", "x"), Example(f"{CHINESE_NEAR[1]}13", "x")]) == {}
    assert len(near_repeats([Example(f"{CHINESE_NEAR[0]}１２", "x"), Example(f"{CHINESE_NEAR[1]}12", "x")])) == 2


def test_rows_of_a_prompt_that_was_saved_with_earlier_keys_are_still_known():
    example = Example("「好电影」。", "x")
    assert example.is_among({example.key}) and not example.is_among({Example("另一部", "x").key})
    assert example.is_among({short_hash("「好电影」。")})  # the key before punctuation of all scripts was left out
