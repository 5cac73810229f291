"""Names that columns often have. They only break ties: what a column is, its values say."""

import re

# Earlier names win over later ones.
LABEL_NAMES = (
    *(
        "label",
        "labels",
        "gold_label",
        "class",
        "category",
        "sentiment",
        "intent",
        "topic",
        "emotion",
        "polarity",
        "target",
        "stars",
        "rating",
    ),
    *(
        "overall",
        "score",
        "type",
        "tag",
        "kategorie",
        "klasse",
        "标签",
        "类别",
        "категория",
        "étiquette",
        "étiquettes",
        "etiqueta",
        "ラベル",
    ),
)
LABEL_TEXT_NAMES = (
    *("label_text", "label_name", "label_names", "labels_text", "text_label", "class_name", "category_name", "intent_name", "label_str"),
    *("label_desc", "label_des", "label_description"),
    *("label_title", "labeltext", "labelname", "sentiment_text", "emotion_name"),
)
ANSWER_NAMES = (
    *("output", "answer", "completion", "response", "gold_answer", "ground_truth", "expected_answer", "expected_output"),
    *("target", "translation", "answers", "reply", "last answer", "correct_answer"),
    *(
        "target_text",
        "output_text",
        "antwort",
        "réponse",
        "respuesta",
        "result",
        "solution",
        "答案",
        "回答",
        "highlights",
        "summary",
        "definition",
    ),
)
INPUT_NAMES = (
    *(
        "input",
        "text",
        "sentence",
        "question",
        "prompt",
        "review",
        "content",
        "document",
        "title",
        "word",
        "source",
        "instruction",
        "context",
    ),
    *("tweet", "message", "messages", "conversations", "query", "utterance", "body", "subject", "description"),
    *("premise", "hypothesis"),
    *("passage", "comment", "headline", "article", "email", "sms", "abstract", "post", "dialogue", "claim", "evidence", "statement"),
    *(
        "feedback",
        "sentence1",
        "sentence2",
        "question1",
        "question2",
        "text1",
        "text2",
        "sent1",
        "sent2",
        "s1",
        "s2",
        "q1",
        "q2",
        "text_a",
        "text_b",
        "sentence_a",
        "sentence_b",
    ),
    *("#1 string", "#2 string", "input_text", "source_text", "system", "frage", "titel", "kommentar", "beschreibung"),
    *("评论", "文本", "问题", "内容", "текст", "texte", "texto", "テキスト", "文章"),
)
OTHER_NAMES = (
    *("id", "index", "idx", "name", "date", "time", "user", "url", "country", "capital", "city", "split", "author", "english", "french"),
    *("german", "spanish", "italian", "chinese", "japanese", "hindi", "arabic", "russian", "portuguese", "dutch", "turkish", "polish"),
    *(
        "deutsch",
        "englisch",
        "français",
        "español",
        "en",
        "de",
        "fr",
        "es",
        "it",
        "zh",
        "ja",
        "term",
        "meaning",
        "key",
        "value",
        "v1",
        "v2",
    ),
)
IDS = ("id", "ids", "idx", "index", "uuid", "guid", "no", "nr")
ABOUT_ROWS = (  # few values each, and hardly ever what a text is to be sorted by
    *(
        "day",
        "weekday",
        "month",
        "year",
        "date",
        "time",
        "city",
        "country",
        "state",
        "region",
        "gender",
        "sex",
        "age",
        "language",
        "lang",
        "agent",
    ),
    *("user", "author", "name", "channel", "device", "version", "group", "team", "assigned", "owner", "source", "file", "page", "id"),
)
TRANSLATIONS = frozenset(OTHER_NAMES[OTHER_NAMES.index("english") : OTHER_NAMES.index("term")])
KNOWN_NAMES = frozenset((*LABEL_NAMES, *LABEL_TEXT_NAMES, *ANSWER_NAMES, *INPUT_NAMES, *OTHER_NAMES))


def is_known(cell: str) -> bool:
    """Whether a cell is a name that columns often have."""
    return cell.strip().casefold() in KNOWN_NAMES


def has_word_of(column: str, names: tuple[str, ...]) -> int | None:
    """The place in `names` of the first name that is a word of the column's name, or None.

    >>> has_word_of("Tweet text", ("input", "text")), has_word_of("reviewText", ("text",)), has_word_of("context", ("text",))
    (1, 0, None)
    """
    words = re.findall(r"[^\W\d_]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", column).casefold())
    return next((place for place, name in enumerate(names) if name in words), None)
