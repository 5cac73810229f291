"""A local Ray of two workers over a tiny model: the same results as here bit for bit, also where a worker is killed."""

import importlib.util
import os
import signal
import threading

import numpy as np
import pytest
import torch
from tiny_models import answer_task, make

from core import sweep
from core.device_lock import DeviceLock
from core.errors import LabError
from core.models.language_model import load_model
from core.recipe import Recipe
from core.runs.readings import Vocabulary
from core.runs.record import new_record
from core.runs.scorebook import Scorebook
from core.runs.training_job import training_job
from core.sweeps.grid import Grid
from core.sweeps.sweep import RunStep, SweepDone, sweep_steps
from core.training import cluster as module
from core.training.cluster import Cluster, ModelSource, connect, join

has_ray = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(not has_ray, reason="ray is not installed: pip install -r requirements-ray.txt")


def test_without_ray_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(LabError, match=r"pip install -r requirements-ray\.txt"):
        connect()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    lm = make("llama")
    lm.model.save_pretrained(place)
    lm.tokenizer.save_pretrained(place)
    return str(place)


@pytest.fixture(scope="module")
def cluster(folder):
    import ray

    connect()
    yield Cluster(ModelSource(folder, "float32"), workers=2)
    ray.shutdown()


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # as an actor has
    yield
    torch.set_num_threads(before)


def trained(lm, on_event=lambda event: None, **settings):
    task = answer_task()
    recipe = Recipe(**(dict(steps=25, batch_size=4, virtual_tokens=3) | settings))
    record = new_record(task, recipe)
    for event in training_job(lm, task, recipe, Vocabulary(lm), Scorebook(), record, lambda: False):
        on_event(event)
    return record


def same(here, there):
    np.testing.assert_array_equal(here.final_vectors(), there.final_vectors())
    assert here.losses == there.losses
    assert [(one.name, one.accuracy, one.loss) for one in here.scores] == [(one.name, one.accuracy, one.loss) for one in there.scores]


@needs_ray
@pytest.mark.parametrize("method", ["prompt", "prefix"])
def test_a_run_on_the_cluster_equals_one_here_bit_for_bit(folder, cluster, one_thread, method):
    here = trained(load_model(folder, "cpu", "float32"), method=method)
    there = trained(join(load_model(folder, "cpu", "float32"), cluster), method=method)
    same(here, there)


@needs_ray
def test_a_killed_worker_costs_a_run_nothing(folder, cluster, one_thread):
    lm = join(load_model(folder, "cpu", "float32"), cluster)
    killed = []

    def kill(event):
        if not killed and type(event).__name__ == "StepEvent":
            killed.extend(workers(cluster))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    there = trained(lm, kill)
    assert len(killed) == 2
    same(trained(load_model(folder, "cpu", "float32")), there)


@needs_ray
def test_runs_of_several_threads_are_done_at_once_and_equal_those_here(folder, cluster, one_thread):
    lm = join(load_model(folder, "cpu", "float32"), cluster)
    found = {}
    threads = [threading.Thread(target=lambda seed=seed: found.update({seed: trained(lm, seed=seed)})) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed, record in found.items():
        same(trained(load_model(folder, "cpu", "float32"), seed=seed), record)
    assert len(found) == 4


@needs_ray
def test_a_sweep_on_two_workers_one_of_which_is_killed_equals_one_here(folder, cluster, one_thread, monkeypatch):
    device = DeviceLock()
    monkeypatch.setattr(cluster, "elsewhere", device.elsewhere)
    pids = workers(cluster)
    task, grid = answer_task(), Grid(Recipe(steps=25, batch_size=4), {"virtual_tokens": (1, 3)}, seeds=2)
    there, steps = None, 0
    for event in sweep_steps(join(load_model(folder, "cpu", "float32"), cluster), task, grid, workers=2, device=device):
        steps += isinstance(event, RunStep)
        if steps == 3 and isinstance(event, RunStep):
            os.kill(pids[0], signal.SIGKILL)
        there = event.result if isinstance(event, SweepDone) else None
    here = sweep(load_model(folder, "cpu", "float32"), task, grid.base, vary=grid.vary, seeds=grid.seeds, progress=False)
    assert steps == 4 * 25 and not there.failed

    def found(result):
        return {run.key: (run.held_out.accuracy, run.held_out.loss, run.losses) for run in result.runs}

    assert found(there) == found(here) and len(found(there)) == 4


def workers(cluster):
    """The process ids of the actors."""
    import ray

    return [ray.get(actor.process.remote()) for actor in list(cluster._free.queue)]
