"""Threads of a run, and processes that train together.

The results stay bit-identical in float32 on Intel processors. In strict mode
(`worker.use_threads`), oneMKL guarantees products that do not depend on the number of threads.
torch's row-wise operations are divided by rows, and the sums of our circuits have fixed parts.
Other processors give no such guarantee, so a run there uses a fixed share of the cores.

Source:
    Intel oneMKL developer guide, "Obtaining numerically reproducible results": strict CNR mode.

The first process decides, measures and writes; the others follow. torchrun starts them all:
`torchrun --nproc_per_node 2 -m qtha_lab.runs.worker RUN_DIR`.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from qtha_lab.core import processes
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.objectives import Supervised
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.processors import WINDOW_SECONDS
from qtha_lab.experiment.training import Training
from qtha_lab.tasks.task import IGNORED


class Threads:
    """Current number of CPU threads of a run, with a flag for concurrent runs.

    Args:
        least: Number of threads if all slots are in use.
        free: Returns the number of threads that the run may use now.
        log: Event log; receives an event at the start and at every change.
        beside: Returns True while other runs compute; None if unknown. Called at most once per
            `WINDOW_SECONDS`.

    Attributes:
        count: Current number of threads; 0 before the first `adjust`.
        side_by_side: True if other runs computed at the latest check.
    """

    def __init__(
        self,
        least: int,
        free: Callable[[], int],
        log: EventLog,
        beside: Callable[[], bool] | None = None,
    ) -> None:
        self.least, self.free, self.log, self.count = least, free, log, 0
        self.beside, self.side_by_side, self._looked = beside, False, -math.inf

    def adjust(self, step: int) -> None:
        """Set the number of threads to that of free cores; call only between two operations."""
        count, side_by_side = max(self.least, self.free()), self._look()
        if count == self.count and side_by_side == self.side_by_side:
            return
        if count != self.count:
            torch.set_num_threads(count)
        self.count, self.side_by_side = count, side_by_side
        known = {} if self.beside is None else {"side_by_side": side_by_side}
        self.log.append("threads", step=step, count=count, **known)

    def _look(self) -> bool:
        now = time.monotonic()
        if self.beside is None or now - self._looked < WINDOW_SECONDS:
            return self.side_by_side
        self._looked = now
        return self.beside()


def same_bits(experiment: Experiment) -> bool:
    """Return True if results here are independent of the number of threads."""
    return (
        experiment.training.precision == "float32"
        and experiment.quantization == "none"
        and not torch.accelerator.is_available()
        and torch.backends.mkl.is_available()
        and os.environ.get("MKL_CBWR", "").endswith("STRICT")
        and _is_intel()
    )


def _is_intel() -> bool:
    description = Path("/proc/cpuinfo")
    return description.exists() and "GenuineIntel" in read(description)


T = TypeVar("T")
LONGEST_WAIT = timedelta(days=1)  # covers an evaluation; a lost process is detected at once


@dataclass(frozen=True)
class ProcessGroup:
    """Process group, or a single process.

    Attributes:
        rank: Rank of this process, from 0.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, training: Training, *, is_seq2seq: bool = False) -> ProcessGroup:
        """Connect all processes of torchrun and wait for them: gloo on CPUs, NCCL on GPUs.

        Raises:
            Refusal: If several processes cannot share this training.
        """
        if processes.world_size() == 1:
            return cls()
        check_shared(training, is_seq2seq)
        is_cpu = not torch.accelerator.is_available()
        state = PartialState(cpu=is_cpu, timeout=LONGEST_WAIT)
        return cls(state.process_index, state.num_processes)

    @property
    def is_first(self) -> bool:
        """True for the process that decides, measures and writes."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """Return the first process's value; all processes must call this at the same point."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Wait until all processes reach this call."""
        if self.size > 1:
            distributed.barrier()

    def share(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return every `size`-th row of a batch, starting at row `rank`.

        If the batch has no such row, return one row without a label.

        Example:
            >>> import torch
            >>> labels = torch.tensor([4, 5, 6])
            >>> batch = {"input_ids": torch.arange(6).reshape(3, 2), "labels": labels}
            >>> ProcessGroup(rank=1, size=2).share(batch)
            {'input_ids': tensor([[2, 3]]), 'labels': tensor([5])}
            >>> ProcessGroup(rank=3, size=4).share(batch)["labels"]
            tensor([-100])
        """
        if self.size == 1:
            return dict(batch)
        if self.rank < len(batch["labels"]):
            return {name: values[self.rank :: self.size] for name, values in batch.items()}
        row = {name: values[:1] for name, values in batch.items()}
        return row | {"labels": torch.full_like(row["labels"], IGNORED)}


def check_shared(training: Training, is_seq2seq: bool) -> None:
    """Refuse a training that the processes of torchrun cannot share.

    Raises:
        Refusal: With the setting that needs one process, or the largest number of processes.
    """
    single = {
        f"objective={training.objective.kind}": not isinstance(training.objective, Supervised),
        "phases": bool(training.phases),
        "patience": training.patience > 0,
        "an encoder with a decoder": is_seq2seq,
    }
    size = processes.world_size()
    for name in [name for name, is_set in single.items() if is_set]:
        raise Refusal(f"Processes of torchrun must be 1 with {name}, got {size}.")
    if size > training.batch_size:
        raise Refusal(
            f"Processes of torchrun must be at most batch_size={training.batch_size}, whose rows "
            f"they share, got {size}."
        )
    gpus, here = torch.accelerator.device_count(), processes.world_size(local=True)
    if gpus and here > gpus:
        raise Refusal(
            f"Torchrun's nproc_per_node must be at most {gpus}, the GPUs of this machine, "
            f"got {here}."
        )
