"""What the scoreboard found, as plain data that a line of JSON holds, and what it comes to."""

from dataclasses import dataclass, field

from core.truths.ranking import Place, Standing, difference, standing

SOURCES = {  # what is read, and how it is called
    "learned": "the prompt that imitates",
    "text": "the text itself",
    "moved": "its start, moved at random",
    "start": "its start",
}
CONTROL = "moved"


@dataclass(frozen=True)
class Setting:
    """How a prompt is made, besides what all have in common. init, frames: a start of the recipe's, and whether it trains in frames."""

    virtual_tokens: int
    init: str
    seed: int
    frames: str = "none"

    @property
    def words(self) -> str:
        start = {"vocab": "sampled vocabulary", "text": "another text"}.get(self.init, self.init)
        inside = ", in random frames" if self.frames == "random" else ""
        return f"{self.virtual_tokens} vectors from {start}, seed {self.seed}{inside}"


SETTINGS = (Setting(8, "vocab", 0), Setting(8, "text", 1), Setting(4, "vocab", 2), Setting(16, "vocab", 3))  # one a prompt


@dataclass(frozen=True)
class PromptRead:
    """One prompt that imitates a truth, read. losses: KL(teacher || prompt), nats per token, of the first and the last step's batch.

    places: {source: {reading: place of the truth}}. said: what the readings that give text gave for the learned prompt.
    seconds: of training and of reading.
    """

    truth: str
    setting: Setting
    losses: tuple[float, float]
    places: dict[str, dict[str, Place]]
    said: dict[str, str]
    seconds: tuple[float, float] = field(compare=False)

    @property
    def key(self) -> str:
        return key_of(self.truth, self.setting)


def key_of(truth: str, setting: Setting) -> str:
    """What a finished prompt is known by."""
    return f"{truth}, {setting.words}"


@dataclass(frozen=True)
class Head:
    """What a scoreboard is of: two with equal heads can be continued by each other. truths: a hash of their file's content."""

    model: str
    weights: str
    device: str
    dtype: str
    truths: str
    steps: int
    batch_size: int


@dataclass(frozen=True)
class Line:
    """One reading's result. by_source: its standings. gain: `beaten` of the learned prompts less that of their control, paired.

    verdict: "finds" where the learned prompts are above chance and above their control, both by whole 95 % intervals; "misled" where
    they are below both; else "nothing". works: it ranks the text itself above chance, so it could have found something.
    """

    reading: str
    by_source: dict[str, Standing]
    gain: float
    gain_interval: tuple[float, float]
    verdict: str
    works: bool


@dataclass(frozen=True)
class Board:
    """All prompts that were read. kinds: of the truths that were imitated, by name. texts: theirs. made: date, libraries and machine.

    found: what it comes to (see `lines`), kept so that a page need not compute it.
    """

    head: Head
    kinds: dict[str, str]
    texts: dict[str, str]
    prompts: tuple[PromptRead, ...]
    made: dict[str, str] = field(default_factory=dict)
    found: tuple[Line, ...] = ()

    def places(self, source: str, reading: str) -> dict[str, list[Place]]:
        """{truth: the place of it by each prompt's reading}, without truths that have none."""
        found: dict[str, list[Place]] = {}
        for one in self.prompts:
            if (place := one.places.get(source, {}).get(reading)) is not None:
                found.setdefault(one.truth, []).append(place)
        return found

    @property
    def readings(self) -> list[str]:
        """The readings that were done, in order."""
        return list(dict.fromkeys(name for one in self.prompts for source in one.places.values() for name in source))

    @property
    def truths(self) -> list[str]:
        """The truths that have a prompt, in order."""
        return list(dict.fromkeys(one.truth for one in self.prompts))


def lines(board: Board) -> list[Line]:
    """The result of every reading, in their order."""
    return list(board.found) or [_line(board, reading) for reading in board.readings if board.places("learned", reading)]


def _line(board: Board, reading: str) -> Line:
    found = {source: board.places(source, reading) for source in SOURCES}
    by_source = {source: standing(places) for source, places in found.items() if places}
    gain, interval = difference(found["learned"], found[CONTROL])
    low, high = by_source["learned"].beaten_interval
    verdict = "finds" if low > 0.5 and interval[0] > 0 else "misled" if high < 0.5 and interval[1] < 0 else "nothing"
    return Line(reading, by_source, gain, interval, verdict, "text" in by_source and by_source["text"].beaten_interval[0] > 0.5)
