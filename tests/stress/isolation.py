"""Thirty visitors train at once on one server, each with a seed and a method of its own: what each gets, bit for bit, alone?"""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from stress.client import Client, visitors
from stress.soak import inside

METHODS = ("prompt", "prefix")


async def classroom(address: str, clients: int, steps: int) -> list[str]:
    async with visitors(address) as (http, page):
        all_clients = [Client(http, page) for _ in range(clients)]
        await asyncio.gather(*(client.open() for client in all_clients))
        presses = (
            client.press("train", set__steps=steps, set__virtual_tokens=4, set__seed=number, set__method=METHODS[number % 2])
            for number, client in enumerate(all_clients)
        )
        await asyncio.gather(*presses)
        for client in all_clients:
            await client.vanish()
        return [why for client in all_clients for why in [*client.failed, *client.said]]


def differences(one: Any, other: Any) -> list[str]:
    """What differs between two records of one recipe: losses, vectors at any step, single results on held-out rows."""
    found = []
    if one.losses != other.losses:
        found.append("losses")
    if one.vectors.keys() != other.vectors.keys() or any(
        not np.array_equal(one.vectors[step], other.vectors[step]) for step in one.vectors
    ):
        found.append("vectors")

    def plain(record: Any) -> dict[str, Any]:
        return {name: replace(score, seconds=0.0) for name, score in record.held_out.items()}

    if plain(one) != plain(other):
        found.append("held-out results")
    return found


def run(clients: int = 30, steps: int = 20) -> dict[str, Any]:
    from core.models.language_model import hash_weights
    from core.runs.record import new_record
    from core.runs.scorebook import Scorebook
    from core.runs.training_job import training_job

    with tempfile.TemporaryDirectory() as folder, inside(Path(folder)) as (address, lab):
        while lab.engine.lm is None:
            asyncio.run(asyncio.sleep(0.1))
        lm, runs, start = lab.engine.lm, [], lab.start
        lab.start = lambda *given: runs.append(start(*given)) or runs[-1]
        before = hash_weights(lm.model)
        problems = asyncio.run(classroom(address, clients, steps))
        turns = [run.record.step for run in runs]
        differing = {}
        for run in runs:
            alone = new_record(run.task, run.recipe)
            for _ in training_job(lm, run.task, run.recipe, lab.vocabulary(lm), Scorebook(), alone, lambda: False):
                pass
            if found := differences(run.record, alone):
                differing[run.recipe.seed] = found
        after = hash_weights(lm.model)
    return {
        "figures": {"clients": clients, "runs": len(runs), "steps": sum(turns), "differing": differing, "problems": problems},
        "held": {
            "all runs ended": len(runs) == clients and turns == [steps] * clients and not problems,
            "bit for bit as alone": not differing,
            "the weights are as they were": before == after,
        },
    }
