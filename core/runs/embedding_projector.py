"""Vectors for the TensorFlow Embedding Projector (projector.tensorflow.org): two files of tab-separated values."""

from collections.abc import Mapping

import numpy as np
import torch

from core.errors import LabError
from core.models.language_model import LanguageModel
from core.runs.readings import Vocabulary
from core.runs.record import RunRecord

VECTORS, LABELS = "vectors.tsv", "labels.tsv"


def projector_files(lm: LanguageModel, vocabulary: Vocabulary, runs: Mapping[str, RunRecord]) -> dict[str, bytes]:
    """{"vectors.tsv", "labels.tsv"}: start and end of every run's vectors, and real words around them, a line each.

    A K/V prefix's line is all keys and values of one virtual token, (layers * 2 * kv_heads * head_dim,), its words are left
    out. Runs of the first one's kind only; LabError where none has vectors.
    """
    rows: list[np.ndarray] = []
    labels = ["kind\trun\tvector\tnearest"]
    method = next(iter(runs.values())).method if runs else None
    for name, record in runs.items():
        end = record.final_vectors()
        if end is None or record.method is not method:
            continue
        start = record.vectors.get(0) if record.start_known else None
        for part, values, reading in (("start", start, record.readings[0]), ("learned", end, record.readings[-1])):
            if values is not None:
                table = record.method.to_rows(values)  # (P, width)
                rows.extend(table)
                near = [record.texts[ids[0]] for ids in reading.ids] or [""] * len(table)
                labels += [f"{part}\t{_cell(name)}\t{i + 1}\t{_cell(word)}" for i, word in enumerate(near)]
    if not rows:
        raise LabError("There are no vectors to write: train a prompt to its end, or load one.")
    if method and method.in_embedding_space:
        words = lm.vocabulary[torch.tensor(vocabulary.sample, device=lm.device)].cpu().numpy()
        rows.extend(words)
        labels += [f"word\t\t\t{_cell(lm.token_text(token))}" for token in vocabulary.sample]
    lines = ["\t".join(f"{number:.6g}" for number in row) for row in rows]
    return {VECTORS: ("\n".join(lines) + "\n").encode(), LABELS: ("\n".join(labels) + "\n").encode()}


def _cell(text: str) -> str:
    """Text on one line without tabs, which would begin a new cell."""
    return text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
