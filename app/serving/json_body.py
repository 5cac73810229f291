"""JSON bodies of requests, and the error of a refused request."""

import json
import math
from typing import Any

DEEPEST = 64  # lists and tables within each other
LARGEST_INTEGER = 2**63  # what the answer, written by orjson, could still say


class Refused(Exception):
    """A request that is turned away: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def read_json(body: bytes) -> Any:
    """A JSON body as Python values.

    Raises Refused (400) for what is no JSON, NaN, Infinity or a number too large for an answer, half a surrogate pair, and
    lists nested deeper than `DEEPEST`: Python's own reader lets all of these through, and they would fail somewhere behind. And for
    a file that is an address, which Gradio would fetch from there.

    >>> read_json(b'{"data": [1, null]}')
    {'data': [1, None]}
    >>> read_json(b'{"data": [NaN]}')
    Traceback (most recent call last):
    app.serving.json_body.Refused: A number in this request is NaN, infinite or too large.
    """

    def no_number(text: str) -> Any:
        raise Refused(400, "A number in this request is NaN, infinite or too large.")

    def real(text: str) -> float:
        return float(text) if math.isfinite(float(text)) else no_number(text)

    def whole(text: str) -> int:
        return int(text) if len(text) <= 20 and abs(int(text)) < LARGEST_INTEGER else no_number(text)

    too_deep = Refused(400, f"This request is nested deeper than {DEEPEST} levels.")
    try:
        text = body.decode("utf-8")
        value = json.loads(text, parse_constant=no_number, parse_float=real, parse_int=whole)
        if "\\ud" in text.lower():
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise too_deep from error
    except ValueError as error:  # of JSON, or of Unicode
        raise Refused(400, "This request is not sound JSON.") from error
    level = [value]
    for _ in range(DEEPEST + 1):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        if any(isinstance(one, dict) and "meta" in one and _is_address(one.get("path")) for one in level):
            raise Refused(400, "This server fetches no files from addresses: upload the file itself.")
        if not inner:
            return value
        level = [item for items in inner for item in items]
    raise too_deep


def _is_address(path: Any) -> bool:
    return isinstance(path, str) and "://" in path
