"""Split keys of the test rows of recorded runs that have none, from their task.

Their experiment names task, split, sizes and seed, and `environment.json` has the fingerprint of
all rows. Where the task of today has this fingerprint, its test rows are those of the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.models.catalogue import folder_of
from qtha_lab.models.tokenizers import load_tokenizer
from qtha_lab.runs.run import Run
from qtha_lab.tasks.splits import normalised
from qtha_lab.tasks.task import Task
from qtha_lab.training.test_evaluation import identity, numbered

Record = dict[str, Any]


def add_keys(runs: Iterable[Run]) -> int:
    """Write the keys of test rows that lack them; return the number of runs still without."""
    without, known = 0, {}
    for run in runs:
        recorded = read_mapping(run.files.test)
        if recorded is None or "keys" in recorded:
            continue
        rows = tuple(recorded["items"])
        if keys := known.get(rows) or keys_of(run, recorded):
            known[rows] = keys
            write_json(run.files.test, recorded | keys)
        else:
            without += 1
    return without


def keys_of(run: Run, recorded: Record) -> Record:
    """Return `keys` and `key_name` of the test rows of a run; empty if its task has changed.

    Args:
        run: Run without recorded keys.
        recorded: Its `test.json`.
    """
    task = resolve(run.experiment).task
    environment = read_mapping(run.files.environment) or {}
    if environment.get("task", {}).get("fingerprint") != task.fingerprint:
        return {}
    if len(task.test) == len(recorded["items"]):
        keys = [normalised(row["key"]) or row["key"] for row in task.test]
    else:
        keys = _encoded_keys(run.experiment, task, recorded["items"])
    return {"keys": numbered(keys), "key_name": task.key_name} if keys else {}


def _encoded_keys(experiment: Experiment, task: Task, items: list[str]) -> list[str]:
    """Return the keys of the rows that the length limit left; empty if they are others."""
    tokenizer = load_tokenizer(folder_of(experiment.model))
    longest = experiment.training.max_length
    encoded = task.encode(task.test, tokenizer, longest)
    is_same = [identity(row) for row in encoded] == items
    return task.encoded_keys(task.test, tokenizer, longest) if is_same else []
