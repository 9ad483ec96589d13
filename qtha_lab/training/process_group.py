"""Process group of one run; each process takes its share of every batch.

The first process decides, measures and writes; the others follow. Starts no process (see
`qtha_lab.runs.distributed_workers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from qtha_lab.tasks.task import IGNORED

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
    def join(cls, size: int) -> ProcessGroup:
        """Connect all processes and wait for them: gloo on CPUs, NCCL on GPUs."""
        if size == 1:
            return cls()
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
