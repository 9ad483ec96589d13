"""transformers' Trainer with four things of ours: rates by group, stages, a teacher, logits of answers alone.

Takes the same steps otherwise; what is recorded of them is `trainer.Watch`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler
from transformers import Trainer
from transformers.loss.loss_utils import ForCausalLMLoss

from qtha_lab.experiment.stages import Stage
from qtha_lab.training.answer_head import Answers, has_plain_loss
from qtha_lab.training.rates import set_groups_apart, set_head_apart
from qtha_lab.training.staging import scheduled
from qtha_lab.training.teaching import Teaching


class FineTuner(Trainer):
    """Trains an adapter.

    Args:
        head_learning_rate: Of a new classification head; None leaves it at the adapter's.
        rate_ratios: Rates of groups of tensors over the adapter's.
        stages: Each with a schedule of its own; none is one schedule.
        teaching: Gives the loss where there is a teacher.
        options: transformers' own.
    """

    def __init__(
        self,
        *,
        head_learning_rate: float | None,
        rate_ratios: Mapping[str, float] | None = None,
        stages: Sequence[Stage] = (),
        teaching: Teaching | None = None,
        **options,
    ) -> None:
        super().__init__(**options)
        self.head_learning_rate, self.rate_ratios = head_learning_rate, rate_ratios or {}
        self.stages, self.teaching = stages, teaching
        self._answers: Answers | None = None
        if self.model_accepts_loss_kwargs and has_plain_loss(options["model"]):
            self.compute_loss_func = self._loss_of_answers

    def create_optimizer(self, *arguments, **options) -> torch.optim.Optimizer:
        """transformers' optimiser, with groups of its own for what has a rate of its own."""
        optimizer = super().create_optimizer(*arguments, **options)
        if self.rate_ratios and self.model is not None:
            set_groups_apart(optimizer, self.model, self.args.learning_rate, self.rate_ratios)
        if self.head_learning_rate is not None and self.model is not None:
            set_head_apart(optimizer, self.model, self.head_learning_rate)
        return optimizer

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> LRScheduler:
        """transformers' schedule, or one that begins anew with every stage."""
        if not self.stages or self.lr_scheduler is not None:
            return super().create_scheduler(num_training_steps, optimizer)
        share = self.args.get_warmup_steps(num_training_steps) / num_training_steps
        name = str(getattr(self.args.lr_scheduler_type, "value", self.args.lr_scheduler_type))
        chosen = optimizer or self.optimizer
        assert isinstance(chosen, torch.optim.Optimizer)
        self.lr_scheduler = scheduled(chosen, self.stages, name, share)
        self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(self, model: nn.Module, inputs: dict, *arguments, **options):
        """The teacher's loss where there is one, else transformers'; of logits no more than it needs are computed."""
        if self.teaching is not None:
            return self._taught(model, inputs, **options)
        if self.compute_loss_func is None:
            return super().compute_loss(model, inputs, *arguments, **options)
        self._answers = Answers(inputs["labels"])
        with self._answers.at_the_head(self.accelerator.unwrap_model(model)):
            return super().compute_loss(model, inputs, *arguments, **options)

    def _taught(
        self, model: nn.Module, inputs: dict, num_items_in_batch: Tensor | None = None, **_
    ) -> Tensor:
        """The loss that the teacher gives; a batch that is a part of a step counts by its labels, or all parts alike."""
        assert self.teaching is not None
        items = num_items_in_batch if self.teaching.counts_labels else None
        self.loss_is_scaled_for_ga = items is not None
        return self.teaching.loss(model, inputs, items)

    def _loss_of_answers(
        self, outputs: dict, labels: Tensor, num_items_in_batch: Tensor | None = None
    ) -> Tensor:
        """The model's own loss, of logits that have their label in the same place."""
        answers = Answers(labels) if self._answers is None else self._answers
        logits = answers.select(outputs["logits"])
        return ForCausalLMLoss(
            logits,
            labels=None,
            vocab_size=logits.shape[-1],
            num_items_in_batch=num_items_in_batch,
            shift_labels=answers.tokens,
        )
