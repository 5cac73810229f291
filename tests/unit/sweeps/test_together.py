"""Several runs at a time on a cluster: the same results as here; and what happens around the threads."""

import importlib.util
import threading
import time

import pytest
import torch
from tiny_models import answer_task

from core.device_lock import DeviceLock
from core.models.language_model import load_model
from core.recipe import Recipe
from core.sweeps.grid import Grid
from core.sweeps.sweep import RunDone, RunFailed, sweep_grid
from core.sweeps.together import together

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: pip install -r requirements-ray.txt")


def counting(name, count, fails=False):
    yield from range(count)
    if fails:
        raise ValueError(name)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_job_gives_all_it_has_and_a_failure_ends_only_its_own(workers):
    jobs = [("a", counting("a", 3)), ("b", counting("b", 2, fails=True)), ("c", counting("c", 4))]
    found = {}
    for name, item in together(jobs, workers, DeviceLock()):
        found.setdefault(name, []).append(item)
    assert found["a"] == [0, 1, 2] and found["c"] == [0, 1, 2, 3]
    assert found["b"][:2] == [0, 1] and isinstance(found["b"][2], ValueError)


@pytest.mark.parametrize("workers", [1, 3])
def test_closing_ends_all_jobs_and_leaves_no_thread(workers):
    closed = []

    def endless(name):
        try:
            while True:
                yield name
                time.sleep(0.001)
        finally:
            closed.append(name)

    before = threading.active_count()
    news = together([(name, endless(name)) for name in "abc"], workers, DeviceLock())
    for _ in range(5):
        next(news)
    news.close()
    assert len(closed) >= 1 and threading.active_count() == before


def test_only_one_thread_computes_here_at_a_time():
    device, inside, most = DeviceLock(), [], []

    def job():
        for _ in range(20):
            inside.append(1)
            most.append(len(inside))
            inside.pop()
            with device.elsewhere():
                time.sleep(0.0005)
            yield None

    list(together([(number, job()) for number in range(4)], 4, device))
    assert max(most) == 1 and len(most) == 80


@needs_ray
def test_two_workers_give_the_results_of_one(tiny_folder):
    import ray

    from core.training.cluster import Cluster, ModelSource, connect, join

    grid, task = Grid(Recipe(steps=4, batch_size=4), {"virtual_tokens": (1, 2, 3)}, seeds=2), answer_task()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as a worker has
    try:
        here = sweep_grid(load_model(tiny_folder, "cpu", "float32"), task, grid, progress=False)
        device = DeviceLock()
        connect()
        lm = join(load_model(tiny_folder, "cpu", "float32"), Cluster(ModelSource(tiny_folder, "float32"), 2, device.elsewhere))
        events = []
        there = sweep_grid(lm, task, grid, progress=events.append, workers=2, device=device)
    finally:
        torch.set_num_threads(threads)
        ray.shutdown()
    assert not [event for event in events if isinstance(event, RunFailed)] and sum(isinstance(event, RunDone) for event in events) == 6
    assert there == here
