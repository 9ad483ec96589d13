"""transformers' Trainer with learning-rate groups, training phases, objectives and shared batches.

Also restricts logits to answer tokens. Otherwise takes the same steps;
`run_trainer.TrainingMonitor` records
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from accelerate.data_loader import BatchSamplerShard
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from transformers import Trainer
from transformers.loss.loss_utils import ForCausalLMLoss

from qtha_lab.experiment.objectives import Phase
from qtha_lab.training.objective import (
    IGNORED,
    Answers,
    Objective,
    chooses_classes,
    has_plain_loss,
)
from qtha_lab.training.processes import ProcessGroup
from qtha_lab.training.schedules import scheduled, set_groups_apart, set_head_apart


class FineTuner(Trainer):
    """Trainer of an adapter.

    Args:
        head_learning_rate: Learning rate of a new classification head; None selects the adapter's
            rate.
        rate_ratios: Ratio of each tensor group's rate to the adapter's rate.
        phases: Training phases, each with its own schedule; empty selects one schedule.
        objective: Objective that replaces the label loss.
        group: Processes that share every batch.
        options: Options of transformers' Trainer.
    """

    def __init__(
        self,
        *,
        head_learning_rate: float | None,
        rate_ratios: Mapping[str, float] | None = None,
        phases: Sequence[Phase] = (),
        objective: Objective | None = None,
        group: ProcessGroup = ProcessGroup(),  # noqa: B008  frozen
        **options,
    ) -> None:
        super().__init__(**options)
        self.head_learning_rate, self.rate_ratios = head_learning_rate, rate_ratios or {}
        self.phases, self.objective, self.group = phases, objective, group
        self._answers: Answers | None = None
        if self.model_accepts_loss_kwargs and has_plain_loss(options["model"]):
            self.compute_loss_func = self._loss_of_answers
        elif chooses_classes(options["model"]) and self._takes_parts():
            self.compute_loss_func = _loss_of_classes

    def _takes_parts(self) -> bool:
        """Return True if a step has several forward passes.

        For a classifier, transformers would add up the means of these passes.
        """
        return self.group.size * self.args.gradient_accumulation_steps > 1

    def get_train_dataloader(self) -> DataLoader:
        """Return a loader of undivided batches, the same in every process.

        accelerate's loader would give each process different batches and repeat rows at the end of
        an epoch.
        """
        loader = super().get_train_dataloader()
        sampler = loader.batch_sampler
        if isinstance(sampler, BatchSamplerShard):
            sampler.num_processes, sampler.process_index, sampler.even_batches = 1, 0, False
        return loader

    def get_batch_samples(
        self, epoch_iterator: Iterator, num_batches: int, device: torch.device
    ) -> tuple[list, Any]:
        """Return this process's share of the next batches, and the labels of all processes."""
        batches, n_labels = super().get_batch_samples(epoch_iterator, num_batches, device)
        return [self.group.share(batch) for batch in batches], n_labels

    def create_optimizer(self, *arguments, **options) -> torch.optim.Optimizer:
        """Create transformers' optimiser, with extra groups for separate learning rates."""
        optimizer = super().create_optimizer(*arguments, **options)
        if self.rate_ratios and self.model is not None:
            set_groups_apart(optimizer, self.model, self.args.learning_rate, self.rate_ratios)
        if self.head_learning_rate is not None and self.model is not None:
            set_head_apart(optimizer, self.model, self.head_learning_rate)
        return optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LRScheduler:
        """Create transformers' schedule, or a schedule that restarts in every training phase."""
        if not self.phases or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        share = self.args.get_warmup_steps(num_training_steps) / num_training_steps
        name = str(getattr(self.args.lr_scheduler_type, "value", self.args.lr_scheduler_type))
        chosen = optimizer or self.optimizer
        assert isinstance(chosen, torch.optim.Optimizer)
        self.lr_scheduler = scheduled(chosen, self.phases, name, share)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(self, model: nn.Module, inputs: dict, *arguments, **options):
        """Compute the loss of the objective or of transformers, from the required logits only.

        Distributed training averages the processes' gradients. Each process's loss is a part of one
        loss, so it is multiplied by the number of processes.
        """
        if self.objective is not None:
            return self._other_loss(model, inputs, **options)
        loss = self._loss(model, inputs, *arguments, **options)
        return loss if self.group.size == 1 else loss * self.group.size

    def _loss(self, model: nn.Module, inputs: dict, *arguments, **options):
        if self.compute_loss_func != self._loss_of_answers:
            return super().compute_loss(model, inputs, *arguments, **options)
        self._answers = Answers(inputs["labels"])
        with self._answers.at_the_head(self.accelerator.unwrap_model(model)):
            return super().compute_loss(model, inputs, *arguments, **options)

    def _other_loss(
        self, model: nn.Module, inputs: dict, num_items_in_batch: Tensor | None = None, **_
    ) -> Tensor:
        """Compute the loss of the objective.

        A batch that is part of a step is weighted by its number of labels if the objective counts
        labels; otherwise all parts have equal weight.
        """
        assert self.objective is not None
        items = num_items_in_batch if self.objective.counts_labels else None
        self.loss_is_scaled_for_ga = items is not None
        return self.objective.loss(model, inputs, items)

    def _loss_of_answers(
        self, outputs: dict, labels: Tensor, num_items_in_batch: Tensor | None = None
    ) -> Tensor:
        """Compute the model's own loss from logits that are aligned with their labels."""
        answers = Answers(labels) if self._answers is None else self._answers
        logits = answers.select(outputs["logits"])
        return ForCausalLMLoss(
            logits,
            labels=None,
            vocab_size=logits.shape[-1],
            num_items_in_batch=num_items_in_batch,
            shift_labels=answers.tokens,
        )


def _loss_of_classes(
    outputs: dict, labels: Tensor, num_items_in_batch: Tensor | None = None
) -> Tensor:
    """Compute this process's part of the mean loss over all rows of a step."""
    logits = outputs["logits"].float()
    if labels.is_floating_point():  # of a regression
        total = functional.mse_loss(logits.squeeze(-1), labels, reduction="sum")
    else:
        total = functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="sum")
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)
