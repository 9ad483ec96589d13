"""Files of a run directory and their names.

Starts nothing and trains nothing; the worker writes these files and `qtha_lab.runs.run` reads them.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically, write_json
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import read_recorded


@dataclass(frozen=True)
class RunDir:
    """Directory of one run.

    `experiment.yaml`, `origin.json`, `environment.json`, `plugins.json`, `events.jsonl`,
    `worker.log`, `worker.lock`, `machine.lock`, `checkpoints/`, `adapter/`, `test.json`,
    `summary.json`, `exit.json`, `annotations.jsonl`; a file `stop` is a stop request to the worker.
    """

    path: Path

    experiment_file = property(lambda self: self.path / "experiment.yaml")
    origin = property(lambda self: self.path / "origin.json")
    environment = property(lambda self: self.path / "environment.json")
    events = property(lambda self: self.path / "events.jsonl")
    log = property(lambda self: self.path / "worker.log")
    lock = property(lambda self: self.path / "worker.lock")
    sent = property(lambda self: self.path / "machine.lock")
    stop = property(lambda self: self.path / "stop")
    checkpoints = property(lambda self: self.path / "checkpoints")
    adapter = property(lambda self: self.path / "adapter")
    plugins = property(lambda self: self.path / "plugins.json")
    test = property(lambda self: self.path / "test.json")
    summary = property(lambda self: self.path / "summary.json")
    annotations = property(lambda self: self.path / "annotations.jsonl")

    @classmethod
    def create(
        cls, experiment: Experiment, runs_dir: Path, origin: Mapping[str, Any] | None = None
    ) -> RunDir:
        """Create a new directory for an experiment; its name sorts by time.

        Args:
            experiment: Experiment to train.
            runs_dir: Parent folder.
            origin: Launcher of the run, as plain values; written before the directory counts as a
                run.
        """
        make_folder(runs_dir)
        experiment = experiment.as_recorded()
        while True:
            run = cls(runs_dir / run_id(experiment))
            try:
                make_folder(run.path, exist_ok=False)
            except FileExistsError:
                continue
            make_folder(run.checkpoints, run.path)
            if origin is not None:
                write_json(run.origin, origin)
            write_atomically(run.experiment_file, experiment.to_yaml())
            return run

    @property
    def best(self) -> Path:
        """Folder of the best adapters so far, during a run with patience."""
        return self.path / "best"

    @property
    def exists(self) -> bool:
        """True if this folder is a run directory."""
        return os.path.isfile(self.experiment_file)  # an invalid path is no run and raises no error

    def request_stop(self) -> None:
        """Request that the worker finishes its step, saves and stops."""
        write_atomically(self.stop, "")

    @cached_property
    def experiment(self) -> Experiment:
        """Experiment as launched, independent of later changes of defaults."""
        return read_recorded(self.experiment_file)


def run_id(experiment: Experiment) -> str:
    """Create a readable run id such as `20261124-153012-tiny-qa-qtha-s0-1a2b`, in UTC."""
    words = (experiment.model, experiment.task, experiment.method.name)
    clock = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return "-".join([clock, *map(_slug, words), f"s{experiment.seed}", secrets.token_hex(2)])


def _slug(name: str) -> str:
    last = Path(name.rstrip("/")).stem if "/" in name or name.endswith(".jsonl") else name
    return re.sub(r"[^A-Za-z0-9.]+", "_", last).strip("._")[:32] or "unnamed"


def check_disk_space(folder: Path, needed: int = 2**20) -> None:
    """Refuse a folder whose disk is full.

    Raises:
        Refusal: With the folder, the free bytes and the needed bytes.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Refusal(
            f"The disk of {folder} must have {needed / 2**20:.1f} MiB free, "
            f"got {free / 2**20:.1f} MiB. Free space, then resume the run."
        )
