"""A text that was read off a prompt, against candidate texts: by the words that they share, rare ones counting more."""

from collections.abc import Sequence

# Words of every English text. With few candidates their weights would not show how common they are.
FUNCTION_WORDS = (
    "a about all also an and any are as at be been but by can could did do does for from had has have he her his how i if in into is it "
    "its just may me more my no not of on one or our out she should so some such than that the their them then there these they this "
    "those to up us was we were what when where which who will with would you your"
)


def shared_words(text: str, candidates: Sequence[str]) -> list[float]:
    """How alike `text` is to each candidate, (candidates,), from 0 (no word in common) to 1 (the same words as often).

    The cosine of TF-IDF vectors (Salton & Buckley 1988). The weights come from the candidates alone, so a word that all of them have
    says little, and words that none of them has are not counted; nor are FUNCTION_WORDS. Case and punctuation are ignored.

    >>> [round(one, 2) for one in shared_words("FRENCH!", ["Say it in French.", "Say it in German."])]
    [0.81, 0.0]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    weigh = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", stop_words=FUNCTION_WORDS.split())
    try:
        known = weigh.fit_transform(candidates)
    except ValueError:  # no candidate has a word that counts
        return [0.0] * len(candidates)
    found: list[float] = (known @ weigh.transform([text]).T).toarray()[:, 0].tolist()
    return found
