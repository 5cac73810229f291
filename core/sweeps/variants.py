"""The task of one run of a sweep: with fewer training rows, or with its labels swapped."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from core.errors import LabError, shown
from core.sweeps.grid import ALL_ROWS, Plan
from core.tasks.built_in import following
from core.tasks.task import LONGEST_STEM, Example, Task, marked


def task_of(task: Task, plan: Plan) -> Task:
    """`task` as the run sees it. Depends on nothing but its arguments. LabError where the task has not what is varied."""
    made = swapped(task) if plan.answers == "swapped" else task
    return made if plan.rows == ALL_ROWS else first_rows(made, int(plan.rows), plan.recipe.rows_seed)


def first_rows(task: Task, count: int, seed: int) -> Task:
    """`task` with `count` of its training rows, in their order: those that come first in an order that `seed` shuffles.

    So the rows of a smaller count are among those of a larger one of the same seed, and all rows are the task itself.
    """
    if count > len(task.train):
        raise LabError(f"{shown(task.name)} has {len(task.train):,} training rows, fewer than {count:,}: give at most that many, or all.")

    def shuffled_place(number: int) -> bytes:
        return hashlib.sha256(f"{seed} {task.train[number].input}".encode("utf-8", "replace")).digest()

    kept = sorted(sorted(range(len(task.train)), key=shuffled_place)[:count])
    return replace(task, train=tuple(task.train[number] for number in kept))


def swapped(task: Task) -> Task:
    """`task` with the next label in place of each, everywhere: a mapping that is wrong in words and the same in every row.

    LabError for free answers. Its handcrafted prompts stay, so those with worked examples show the right labels.
    """
    if not task.labels:
        raise LabError(f"Answers can be swapped among labels only, and {shown(task.name)} has free answers: choose a task with labels.")
    after = following(task.labels)

    def moved(rows: Sequence[Example]) -> tuple[Example, ...]:
        return tuple(Example(row.input, after[row.output]) for row in rows)

    changed = replace(task, train=moved(task.train), validation=moved(task.validation), held_out=moved(task.held_out))
    return replace(marked(f"{task.slug}-swapped", changed), name=f"{task.name[:LONGEST_STEM]} (labels swapped)")
