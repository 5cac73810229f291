"""A prompt in words that does the same as a learned one: the whole experiment, from the search on training rows to the scores.

Held-out rows are first looked at when both searches are over: they choose nothing.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch

from core.errors import LabError
from core.events import Event, Progress
from core.models.language_model import LanguageModel
from core.probes.text_bounds import check_numbers
from core.probes.text_rounds import MOST_ANSWER, Round, Start, Target, check, listen, random_generator, random_text, search, words_of
from core.runs.contest import Part, Scored, common_rows, contest
from core.runs.imitation import Likeness, likenesses
from core.runs.scorebook import Scorebook
from core.scoring.contender import Contender, bare, by_one_score, written
from core.scoring.imitation import check_same_gap
from core.scoring.measures import CHANCE
from core.scoring.score import Score, compare
from core.tasks.prompt_text import join
from core.tasks.task import Example, Handcrafted, Task

DRAWS = 8  # of random tokens, whose readability is a mean

Role = Literal["learned", "words", "random", "words start", "random start", "handcrafted", "none"]
NAMES: dict[Role, str] = {
    "words": "text found from the nearest words",
    "random": "text found from random tokens",
    "words start": "the nearest words",
    "random start": "the random tokens",
}


@dataclass(frozen=True, eq=False)
class Verdict:
    """One prompt at the end. text: put before the task's template (a handcrafted prompt's whole template); "" for other prompts.

    kl: on the rows of the search, None where it wasn't searched; likeness: to the learned prompt on the held-out rows, None for itself
    and where answers begin differently after it. score: on the held-out rows. surprise: the frozen model's own loss on the text, in nats
    per token; None without a text, or for one of a single token that nothing comes before.
    """

    role: Role
    text: str
    tokens: int
    kl: float | None
    likeness: Likeness | None
    score: Score
    surprise: float | None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready."""
        likeness = asdict(self.likeness) | {"share": self.likeness.share} if self.likeness else None
        score = {name: value for name, value in self.score.to_dict().items() if name in ("name", "accuracy", "interval", "loss", "n")}
        return {**vars(self), "likeness": likeness, "score": score}


@dataclass(frozen=True, eq=False)
class Found(Event):
    """The end of the experiment. verdicts: the learned prompt first, then the found texts. noise: mean surprise of random tokens.

    rows: training rows that the search looked at. rounds: of the longest search.
    """

    verdicts: tuple[Verdict, ...]
    noise: float | None
    rows: int
    rounds: int

    def of(self, role: Role) -> Verdict | None:
        return next((one for one in self.verdicts if one.role == role), None)

    def to_dict(self) -> dict[str, Any]:
        """All numbers, JSON-ready."""
        return {"rows": self.rows, "rounds": self.rounds, "noise": self.noise, "prompts": [one.to_dict() for one in self.verdicts]}


def text_search(
    lm: LanguageModel,
    task: Task,
    learned: Contender,
    book: Scorebook,
    rounds: int = 40,
    candidates: int = 16,
    rows: int = 8,
    seed: int = 0,
    done: Sequence[Round] = (),
) -> Iterator[Progress | Round | Found | None]:
    """Search for a text that predicts what `learned` does, from its nearest words and from random tokens, and score both.

    rounds: of each search, in each of which up to `candidates` texts are run on the same `rows` training rows (drawn by `seed`); the best
    is kept. done: rounds of an earlier search with the same arguments, which is continued. A K/V prefix has no nearest words, so its
    search starts at random only. float32. Then all are scored on the held-out rows, with no prompt and the handcrafted prompt that is
    best on the validation rows. Yields how many events there will be at most, then them, last a `Found`; None between pieces.
    Raises LabError, before anything is run, for numbers out of bounds or a prompt that no text can be searched for.
    """
    check_numbers(rounds=rounds, candidates=candidates, rows=rows, seed=seed)
    check(learned, task.train)
    lm = lm.for_scoring
    soft = learned.prefix.method.in_embedding_space
    yield Progress((1 + soft) * (rounds + 1) + 1)
    target = yield from listen(lm, learned, task.train, rows, seed)
    starts: dict[Start, Sequence[int]] = {}
    if soft:
        starts["words"] = words_of(lm, learned, target)
    starts["random"] = random_text(lm, target, len(starts["words"]) if soft else learned.prefix.virtual_tokens, seed)
    ends: list[Round] = []
    for event in search(lm, target, starts, rounds, candidates, seed, done):
        if event:
            ends.append(event)
        yield event
    yield (yield from verdicts(lm, task, learned, book, target, ends, seed))


def verdicts(
    lm: LanguageModel, task: Task, learned: Contender, book: Scorebook, target: Target, rounds: Sequence[Round], seed: int
) -> Generator[None, None, Found]:
    """Score what was found on the held-out rows; in pieces of a batch each. rounds: of all searches, each from its start to its end."""
    contenders: list[tuple[Role, Contender, Round | None]] = [("learned", learned, None)]
    found: dict[Start, list[Round]] = {}
    for one in rounds:
        found.setdefault(one.start, []).append(one)
    for start, own in found.items():
        contenders.append((start, as_prompt(task, target, start, own[-1]), own[-1]))
    best = yield from best_written(lm, task, learned, book)
    if best:
        contenders.append(("handcrafted", best, None))
    contenders.append(("none", bare(task, learned.template), None))
    for start, own in found.items():
        role: Role = "words start" if start == "words" else "random start"
        contenders.append((role, as_prompt(task, target, role, own[0]), own[0]))
    prompts = by_one_score([contender for _, contender, _ in contenders], learned.label_score)
    rows = common_rows(task.held_out, prompts)
    scores: list[Score | None] = []
    for prompt in prompts:
        scores.append((yield from _scored(lm, task, prompt, rows, book, "held_out")))
    places = [place for place, one in enumerate(prompts) if place and scores[place] and comparable(one, learned, rows)]
    _, _, like = yield from likenesses(lm, task, prompts[0], [prompts[place] for place in places], rows, book, MOST_ANSWER)
    likeness = dict(zip(places, like, strict=True))
    made = [
        verdict(lm, role, prompt, at, score, likeness.get(place), target)
        for place, ((role, _, at), prompt, score) in enumerate(zip(contenders, prompts, scores, strict=True))
        if score
    ]
    ends = [own[-1] for own in found.values()]
    return Found(tuple(made), noise(lm, len(ends[0].ids), seed), len(target.rows), max(one.number for one in ends))


def _scored(
    lm: LanguageModel, task: Task, prompt: Contender, rows: Sequence[Example], book: Scorebook, part: Part
) -> Generator[None, None, Score | None]:
    """The score of one prompt, None where it can't be scored (it is too long, say); yields None between batches."""
    last = None
    for event in contest(lm, task, [prompt], rows, book, part):
        if isinstance(event, Scored):
            last = event.score
        yield None
    return last


def as_prompt(task: Task, target: Target, role: Role, found: Round) -> Contender:
    """A found text as a handcrafted prompt: it stands before the template, and both are read as one text, as when it is pasted there."""
    return written(task, Handcrafted(NAMES[role], found.text + target.template))


def comparable(contender: Contender, learned: Contender, rows: Sequence[Example]) -> bool:
    """Whether answers begin alike after both templates, so that predictions can be compared along them."""
    try:
        check_same_gap(contender.template, learned.template, rows)
    except LabError:
        return False
    return True


def best_written(lm: LanguageModel, task: Task, learned: Contender, book: Scorebook) -> Generator[None, None, Contender | None]:
    """The handcrafted prompt that is best on the validation rows; None where there is none, or no such row."""
    best: tuple[float, Contender] | None = None
    for one in task.handcrafted if task.validation else ():
        prompt = replace(written(task, one), label_score=learned.label_score)
        score = yield from _scored(lm, task, prompt, task.validation, book, "validation")
        if score and (best is None or score.accuracy > best[0]):
            best = score.accuracy, prompt
    return best[1] if best else None


def verdict(
    lm: LanguageModel, role: Role, contender: Contender, at: Round | None, score: Score, likeness: Likeness | None, target: Target
) -> Verdict:
    """What is reported of one prompt. at: the round whose text it is."""
    if at:
        return Verdict(role, at.text, len(at.ids), at.kl, likeness, score, surprise(lm, at.ids))
    if role != "handcrafted":
        return Verdict(role, "", contender.prefix.virtual_tokens, None, likeness, score, None)
    # Its words are around an input, so they are read with one.
    ids = lm.tokenise(join(contender.template, target.rows[0].example.input)[0])
    return Verdict(role, contender.template, len(ids), None, likeness, score, surprise(lm, ids))


def surprise(lm: LanguageModel, ids: Sequence[int]) -> float | None:
    """The mean loss of the tokens of a text, in nats: of all where the model begins texts with a token of its own, else from the second."""
    whole = torch.tensor([[*lm.lead, *ids]], device=lm.device)
    first = max(len(lm.lead), 1)
    columns = torch.arange(first - 1, whole.shape[1] - 1, device=lm.device)
    if not len(columns):
        return None
    with torch.inference_mode():
        logits = lm.logits_at(lm.nothing(), whole, torch.zeros_like(columns), columns)
        return torch.nn.functional.cross_entropy(logits, whole[0, first:]).item()


def noise(lm: LanguageModel, count: int, seed: int) -> float | None:
    """The mean surprise of `count` random ordinary tokens, over a few draws."""
    generator = random_generator(seed)
    drawn = [surprise(lm, lm.sample_tokens(count, generator)) for _ in range(DRAWS)]
    known = [one for one in drawn if one is not None]
    return sum(known) / len(known) if known else None


# --- in words ----------------------------------------------------------------------------------------------------------


def in_words(found: Found) -> str:
    """The result in a few sentences of plain text, without the texts themselves."""
    return " ".join(part for part in (verdict_in_words(found), numbers_in_words(found)) if part)


def verdict_in_words(found: Found) -> str:
    """Whether the text does what the learned prompt does, as held-out rows tell. A difference that may be chance is said to be one."""
    learned, handcrafted, nothing = found.of("learned"), found.of("handcrafted"), found.of("none")
    mine, control = found.of("words") or found.of("random"), found.of("random")
    if not learned or not mine:
        return "No text was scored."
    told = f"The {mine.score.name} gets {_share(mine.score)} of {mine.score.n} held-out rows right, "
    told += f"the learned prompt {_share(learned.score)}: {_apart(mine, learned)}."
    others = [("no prompt", nothing)]
    if handcrafted:
        others.insert(0, (f"the best handcrafted prompt (“{handcrafted.score.name}”, chosen on validation rows)", handcrafted))
    if control and control is not mine:
        others.append(("the text of the same search from random tokens", control))
    compared = [f"{name} gets {_share(other.score)}: {_apart(mine, other)}" for name, other in others if other]
    return f"{told} In comparison, {'; '.join(compared)}." if compared else told


def numbers_in_words(found: Found) -> str:
    """How near each search came to the learned prompt's predictions, and how readable the text is."""
    texts = [one for one in (found.of("words"), found.of("random")) if one]
    if not texts:
        return ""
    handcrafted = found.of("handcrafted")
    readable = [f"the text {_nats(texts[0])}"] + ([f"the handcrafted prompt {_nats(handcrafted)}"] if handcrafted else [])
    if found.noise is not None:
        readable.append(f"random tokens {found.noise:.1f}")
    told = f"Readability, as the model’s own loss in nats per token: {', '.join(readable)}."
    return " ".join([*(_divergence(one, found) for one in texts), told])


def _divergence(one: Verdict, found: Found) -> str:
    before = found.of("words start" if one.role == "words" else "random start")
    told = f"KL divergence from the learned prompt, search from {'the nearest words' if one.role == 'words' else 'random tokens'}: "
    told += f"from {before.kl:.2f} " if before and before.kl is not None else ""
    told += f"to {one.kl:.2f} nats per token on {found.rows} training rows"
    if one.likeness:
        low, high = one.likeness.kl_interval
        told += f", {one.likeness.kl:.2f} ({low:.2f}–{high:.2f}) on held-out rows"
    return f"{told}."


def _share(score: Score) -> str:
    return f"{100 * score.accuracy:.0f} % ({100 * score.interval[0]:.0f}–{100 * score.interval[1]:.0f})"


def _nats(one: Verdict) -> str:
    return "not measurable" if one.surprise is None else f"{one.surprise:.1f}"


def _apart(one: Verdict, other: Verdict) -> str:
    found = compare(one.score, other.score)
    if found.p >= CHANCE:
        return "too close to call"
    return f"the text is clearly {'better' if found.difference > 0 else 'worse'}"
