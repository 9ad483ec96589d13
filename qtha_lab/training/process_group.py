"""Process group of one run; each process takes its share of every batch.

The first process decides, measures and writes; the others follow. torchrun starts them all:
`torchrun --nproc_per_node 2 -m qtha_lab.runs.worker RUN_DIR`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from accelerate import PartialState
from torch import Tensor, distributed

from qtha_lab.core import processes
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.objectives import Supervised
from qtha_lab.experiment.training import Training
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

    Args:
        training: Training settings.
        is_seq2seq: True for an encoder with a decoder.

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
