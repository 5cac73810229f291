"""The machine, drawn: virtual tokens as coloured strips and the input's tokens run into frozen layers, and an answer comes out.

A pure function of what is in the record and in Try it: the same picture for the same numbers. Colours are variables of the style
sheet, which has them for light and dark.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from app.view.html import Html, join, tag
from app.view.text import cut, token, whole_token
from core.inspection.strips import strips
from core.runs.record import RunRecord

WIDE, HIGH = 420, 236
LEVELS = 4  # shades on either side of zero
DRAWN_LAYERS = 6
LEFT, SPLIT, RIGHT = 12, 214, 408  # strips left of SPLIT, the input's tokens right of it
STACK = (58, 128)  # top and bottom of the layers
FOOT = (158, 210)  # of strips and tokens
SIGN = 6.9  # width of a sign of the tokens
KV_BINS = 4


@dataclass(frozen=True)
class Machine:
    """What is drawn besides the record. step: of the strips. words: the input's tokens. said, right: what comes out, and whether it is
    right (None: not known). chosen, muted: virtual tokens, from 0. strength: the factor of the whole prompt. live: it is training."""

    step: int
    words: Sequence[str]
    said: str = ""
    right: bool | None = None
    chosen: int | None = None
    muted: Collection[int] = ()
    strength: float = 1.0
    live: bool = False


def machine(record: RunRecord, shown: Machine) -> Html:
    """The picture. Each strip is a button that carries the number of its virtual token."""
    kv = not record.method.in_embedding_space
    count = record.recipe["virtual_tokens"]
    layers = int(record.base.get("layers") or DRAWN_LAYERS)
    drawn = min(layers, DRAWN_LAYERS)
    tall = (STACK[1] - STACK[0]) / drawn
    ground = LEFT + min(SPLIT - LEFT, 110) + 6 if kv else LEFT + 24  # left end of the layers
    parts = [
        _answer(shown, (ground + RIGHT) / 2),
        *(
            tag("rect", x=_n(ground), y=_n(STACK[0] + i * tall), width=_n(RIGHT - ground), height=_n(tall - 3), rx=4, class_="layer")
            for i in range(drawn)
        ),
        _lock((ground + RIGHT) / 2, layers),
        *_arrows(kv, (ground + RIGHT) / 2),
        _tokens(shown.words),
    ]
    if kv:
        parts += _beside_layers(record, shown, count, drawn, tall, layers)
        parts.append(_label((LEFT + ground) / 2 - 3, FOOT[0] - 12, "keys and values"))
        parts.append(_label((LEFT + ground) / 2 - 3, FOOT[0] + 2, f"for {count} virtual tokens"))
    else:
        parts += _row(record, shown, count)
        parts.append(_label((LEFT + SPLIT) / 2 - 6, HIGH - 8, f"{count} learned vectors"))
    parts.append(_label((SPLIT + RIGHT) / 2 + 4, HIGH - 8, "your input"))
    name = f"{record.method.described(count)} and the input run into {layers} frozen layers; out comes: {shown.said or 'no answer yet'}"
    live = " live" if shown.live else ""
    return tag("svg", *parts, class_=f"machine{live}", viewBox=f"0 0 {WIDE} {HIGH}", role="group", aria_label=name)


# --- strips -----------------------------------------------------------------------------------------------------------


def vectors_at(record: RunRecord, step: int) -> tuple[np.ndarray | None, int]:
    """The array at the newest step up to `step` that was kept, and that step; (None, step) where none was."""
    last = len(record.readings) - 1
    if step >= last and (final := record.final_vectors()) is not None:
        return final, last
    kept = [known for known in record.vectors if 0 <= known <= step]
    return (record.vectors[max(kept)], max(kept)) if kept else (None, step)


def _row(record: RunRecord, shown: Machine, count: int) -> list[Html]:
    """A strip for each vector, side by side."""
    array, _ = vectors_at(record, shown.step)
    start = record.vectors.get(0)
    room, gap = SPLIT - LEFT - 12, 3 if count <= 24 else 1 if count <= 60 else 0
    width = min(18.0, room / max(count, 1) - gap)
    left = LEFT + (room - count * (width + gap)) / 2
    places = [(left + i * (width + gap), FOOT[0], width, FOOT[1] - FOOT[0]) for i in range(count)]
    if array is None:
        values = [np.zeros(1)] * count
    else:
        values = list(strips(array, start if start is not None and start.shape == array.shape else None) * shown.strength)
    return [_cells(places, values, shown.muted), *(_handle(record, shown, i, [place]) for i, place in enumerate(places))]


def _beside_layers(record: RunRecord, shown: Machine, count: int, drawn: int, tall: float, layers: int) -> list[Html]:
    """A strip for each virtual token and drawn layer, which stand evenly for all layers."""
    array, _ = vectors_at(record, shown.step)
    room = 110 - 4
    gap = 2 if count <= 24 else 0
    width = min(12.0, room / max(count, 1) - gap)
    places: list[Place] = []
    values: list[np.ndarray] = []
    mine: list[list[Place]] = [[] for _ in range(count)]
    for i in range(drawn):
        layer = layers - 1 - round(i * (layers - 1) / max(drawn - 1, 1))  # the last one is on top
        found = (
            [np.zeros(1)] * count if array is None else strips(record.method.part(array, layer, record.part), bins=KV_BINS) * shown.strength
        )
        for vector in range(count):
            place = (LEFT + vector * (width + gap), STACK[0] + i * tall, width, tall - 3)
            places.append(place)
            values.append(found[vector])
            mine[vector].append(place)
    muted = [vector + i * count for i in range(drawn) for vector in shown.muted if vector < count]
    return [_cells(places, values, muted), *(_handle(record, shown, i, mine[i]) for i in range(count))]


Place = tuple[float, float, float, float]  # x, y, width, height


def _cells(places: Sequence[Place], values: Sequence[np.ndarray], muted: Collection[int]) -> Html:
    """All cells of one shade in one path: a picture of some kilobytes, which is sent at each paint."""
    paths: dict[int, list[str]] = {}
    grey = []
    for number, ((x, y, width, height), mine) in enumerate(zip(places, values, strict=True)):
        if number in muted:
            grey.append(f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h-{_n(width)}z")
            continue
        tall = height / len(mine)
        for i, value in enumerate(mine):
            level = round(float(np.clip(value, -1, 1)) * LEVELS)
            paths.setdefault(level, []).append(f"M{_n(x)} {_n(y + i * tall)}h{_n(width)}v{_n(tall + 0.1)}h-{_n(width)}z")
    shades = [tag("path", d="".join(d), style=f"fill:var(--shade{level})") for level, d in sorted(paths.items())]
    return tag("g", *shades, tag("path", d="".join(grey), class_="mute") if grey else None, aria_hidden=True)


def _handle(record: RunRecord, shown: Machine, i: int, places: Sequence[Place]) -> Html:
    """What is pressed: a frame around a virtual token's strip, with what is known of it."""
    x, y, width, height = places[0]
    height = places[-1][1] + places[-1][3] - y
    words = _told(record, shown, i)
    classes = "strip" + (" chosen" if i == shown.chosen else "") + (" muted" if i in shown.muted else "")
    frame = tag("rect", x=_n(x - 1), y=_n(y - 2), width=_n(width + 2), height=_n(height + 4), rx=3)
    return tag(
        "g", tag("title", words), frame, class_=classes, role="button", tabindex=0, data_token=i, aria_pressed=i == shown.chosen, aria_label=words
    )  # fmt: skip


def _told(record: RunRecord, shown: Machine, i: int) -> str:
    """A virtual token in words: its nearest token, and how far it moved."""
    words = f"vector {i + 1}"
    reading = record.readings[min(shown.step, len(record.readings) - 1)] if record.readings else None
    if reading is not None and i < len(reading.ids):
        words += f": nearest token “{token(record.texts[reading.ids[i][0]])}” ({reading.cosine[i][0]:.2f})"
    if reading is not None and i < len(reading.moved):
        words += f", moved {reading.moved[i]:.2f} from its start"
    return words + ("; muted" if i in shown.muted else "")


# --- the rest of the picture --------------------------------------------------------------------------------------------


def _answer(shown: Machine, middle: float) -> Html:
    mark = {True: "✓ ", False: "✗ ", None: ""}[shown.right]
    kind = {True: " right", False: " wrong", None: ""}[shown.right]
    words = f"{mark}{cut(shown.said, 30)}" if shown.said else "…"
    width = max(70.0, len(words) * 8.6 + 24)
    box = tag("rect", x=_n(middle - width / 2), y=4, width=_n(width), height=30, rx=15, class_="says")
    return tag("g", box, tag("text", words, x=_n(middle), y=24, text_anchor="middle", class_="said-text"), class_=f"out{kind}")


def _lock(middle: float, layers: int) -> Html:
    """The lock on the layers, with their number."""
    y = (STACK[0] + STACK[1]) / 2 - 1
    words = f"{layers} frozen layers"
    width = len(words) * 7.4 + 40
    x = middle - width / 2 + 13
    return tag(
        "g",
        tag("rect", x=_n(middle - width / 2), y=_n(y - 13), width=_n(width), height=26, rx=13, class_="plate"),
        tag("path", d=f"M{_n(x + 2.5)} {_n(y - 1)}v-3a3.5 3.5 0 0 1 7 0v3", class_="shackle"),
        tag("rect", x=_n(x), y=_n(y - 2), width=12, height=9, rx=2, class_="body"),
        tag("text", words, x=_n(x + 19), y=_n(y + 4.5)),
        class_="lock",
    )


def _arrows(kv: bool, middle: float) -> list[Html]:
    """What flows where: up from the strips and the tokens, and out of the layers."""
    mine = [] if kv else [tag("path", d=f"M{(LEFT + SPLIT) // 2 - 6} {FOOT[0] - 8}v-17m-4 4l4 -4l4 4", class_="flow trained")]
    given = tag("path", d=f"M{(SPLIT + RIGHT) // 2 + 4} {FOOT[0] - 8}v-17m-4 4l4 -4l4 4", class_="flow")
    return [*mine, given, tag("path", d=f"M{_n(middle)} {STACK[0] - 5}v-14m-4 4l4 -4l4 4", class_="flow")]


def _tokens(words: Sequence[str]) -> Html:
    """The input's tokens, in up to two lines."""
    lines: list[list[tuple[str, float]]] = [[]]
    for word in words:
        text = cut(whole_token(word), 18)
        width = len(text) * SIGN + 10
        if lines[-1] and sum(wide + 4 for _, wide in lines[-1]) + width > RIGHT - SPLIT - (16 if len(lines) == 2 else 0):
            if len(lines) == 2:
                lines[-1].append(("…", 12))
                break
            lines.append([])
        lines[-1].append((text, width))
    made, y = [], (FOOT[0] + FOOT[1]) / 2 - (13 if len(lines) == 1 else 25)
    for line in lines:
        x = (SPLIT + RIGHT) / 2 + 4 - sum(wide + 4 for _, wide in line) / 2
        for text, width in line:
            made.append(tag("rect", x=_n(x), y=_n(y), width=_n(width), height=23, rx=5, class_="token"))
            made.append(tag("text", text, x=_n(x + width / 2), y=_n(y + 16), text_anchor="middle", class_="word"))
            x += width + 4
        y += 27
    return tag("g", join(made), class_="tokens")


def _label(x: float, y: float, words: str) -> Html:
    return tag("text", words, x=_n(x), y=_n(y), text_anchor="middle", class_="label")


def _n(number: float) -> str:
    """A number as short as it can be written."""
    return f"{number:.1f}".removesuffix(".0")
