"""Scores and findings made up for tests of figures, tables and panels, and the record of a real run."""

from dataclasses import replace

import numpy as np

from core.inspection.attention import Shares
from core.prefix import no_prefix
from core.probes.attention import Attention
from core.probes.hears import Lens
from core.probes.vectors import Effect
from core.probes.wayward import Wayward
from core.runs.pca_paths import Marks, PathView
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.scoring.contender import Contender
from core.scoring.measures import wilson
from core.scoring.row_results import RowResult
from core.scoring.score import Score

HOSTILE = "<b>x</b><script>y"
RIGHT = {0: "00000000", 25: "11000000", 50: "11110000", 75: "11111100", 100: "11111111"}
INPUTS = [f"row {number}" for number in range(8)]


def trained_record(lm, task, recipe):
    """The record of a run from its start to its end."""
    record = new_record(task, recipe)
    for _ in training_job(lm, task, recipe, Vocabulary(lm), Scorebook(), record, lambda: False):
        pass
    return record


def a_score(name: str, right: str, kind: str = "handcrafted", group: str = "", seconds: float = 0.0) -> Score:
    """right: a string of 1 and 0, a sign for each row."""
    hits = [sign == "1" for sign in right]
    results = tuple(
        RowResult(text, "yes" if number % 2 else "no", hit, hit, 0.5, 1, "yes", 0.8, float(hit), hit, (0.8, 0.2))
        for number, (text, hit) in enumerate(zip(INPUTS, hits, strict=False))
    )
    share = sum(hits) / len(hits)
    span = wilson(sum(hits), len(hits))
    return Score(name, kind, share, span, 0.5, len(hits), share, 0.5, 3, 10, results, share, share, 4, seconds, group)


def percent(share, n=8):
    return replace(a_score(f"{share}", RIGHT[share]), n=n)


def a_view(steps=(0, 2, 5), vectors=3, basis="path"):
    places = np.arange(len(steps) * vectors * 3, dtype=np.float32).reshape(len(steps), vectors, 3)
    hidden = np.linspace(0.2, 0.4, len(steps) * vectors).reshape(len(steps), vectors)
    marks = (
        Marks("words", HOSTILE, np.zeros((1, 3), np.float32), (HOSTILE,)),
        Marks("run", "other", np.ones((2, 3), np.float32), ("1", "2")),
    )
    shares = [np.array(values) for values in ([0.5, 0.25, 0.125], [0.3, 0.1, 0.05], [0.6, 0.15, 0.1])]
    return PathView(
        basis=basis, steps=steps, paths=places, walk=places + 100, control=places + 200, cloud=np.zeros((2, 3), np.float32),
        cloud_texts=(HOSTILE, "b"), marks=marks, explained=shares[0], seen=shares[1], walk_seen=shares[2], hidden=hidden,
        hidden_in_three=hidden / 2,
    )  # fmt: skip


def a_wayward(gamma, start, right, kept, distance=1.0, text="a b"):
    contender = Contender(f"{start} {gamma}", "prompt", "{input}", no_prefix())
    return Wayward(float(gamma), start, text, ("a", "b"), kept, kept, distance, percent(right), 5, contender)


def an_effect(vectors, loss, low, high, what="leave out", amount=1.0, accuracy=-0.25):
    return Effect(what, vectors, amount, percent(50), 0.5, accuracy, (accuracy - 0.1, accuracy + 0.1), loss, (low, high), 8)


def an_attention(name, prefix, by_token, tokens):
    share = np.array(prefix, float)
    return Attention(name, Shares(np.full_like(share, 0.25), share, 0.75 - share, np.array(by_token, float)), tokens, 4)


def a_lens(names, vectors, texts, layers=2):
    positions, k = len(names), len(texts)
    ids = np.tile(np.arange(k), (positions, layers, 1))
    shares = np.tile(np.linspace(0.5, 0.25, k).astype(np.float32), (positions, layers, 1))
    return Lens(tuple(names), vectors, ids, shares, np.zeros((positions, layers), np.float32), dict(enumerate(texts)))
