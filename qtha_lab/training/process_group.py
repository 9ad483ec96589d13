"""The processes that take the steps of one run together, each with its share of every batch.

The first of them decides, measures and writes; the others follow. Starts none (`qtha_lab.runs.distributed_workers`).
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
LONGEST_WAIT = timedelta(days=1)  # for an evaluation; a process that is gone is noticed at once


@dataclass(frozen=True)
class Group:
    """A process group, or this process alone.

    Attributes:
        rank: Of this process, from 0.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, size: int) -> Group:
        """Wait until all processes are here; gloo connects them on CPUs, NCCL on GPUs.

        Args:
            size: How many there are; 1 connects nothing.
        """
        if size == 1:
            return cls()
        is_cpu = not torch.accelerator.is_available()
        state = PartialState(cpu=is_cpu, timeout=LONGEST_WAIT)
        return cls(state.process_index, state.num_processes)

    @property
    def is_first(self) -> bool:
        """Whether this process decides, measures and writes."""
        return self.rank == 0

    def agree(self, value: T) -> T:
        """What the first process says; all must ask at the same point."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def wait(self) -> None:
        """Go on when all are here."""
        if self.size > 1:
            distributed.barrier()

    def share(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every `size`-th row of a batch, from the `rank`-th; where there is none, one without a label.

        Example:
            >>> import torch
            >>> batch = {"input_ids": torch.arange(6).reshape(3, 2), "labels": torch.tensor([4, 5, 6])}
            >>> Group(rank=1, size=2).share(batch)
            {'input_ids': tensor([[2, 3]]), 'labels': tensor([5])}
            >>> Group(rank=3, size=4).share(batch)["labels"]
            tensor([-100])
        """
        if self.size == 1:
            return dict(batch)
        if self.rank < len(batch["labels"]):
            return {name: values[self.rank :: self.size] for name, values in batch.items()}
        row = {name: values[:1] for name, values in batch.items()}
        return row | {"labels": torch.full_like(row["labels"], IGNORED)}
