"""A text that was read off a prompt, against candidate texts: by the words that they share, rare ones counting more."""

from collections.abc import Sequence


def shared_words(text: str, candidates: Sequence[str]) -> list[float]:
    """How alike `text` is to each candidate, (candidates,), from 0 (no word in common) to 1 (the same words as often).

    The cosine of TF-IDF vectors (Salton & Buckley 1988). The weights come from the candidates alone, so a word that all of them have
    ("the", "text") says little, and words that none of them has are not counted. Case and punctuation are ignored.

    >>> [round(one, 2) for one in shared_words("FRENCH!", ["Say it in French.", "Say it in German."])]
    [0.63, 0.0]
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(letter.isalnum() for one in candidates for letter in one):
        return [0.0] * len(candidates)
    weigh = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b")
    known = weigh.fit_transform(candidates)
    found: list[float] = (known @ weigh.transform([text]).T).toarray()[:, 0].tolist()
    return found
