"""What gives the loss of a batch where it is not that of the labels: a teacher, a reward. An interface alone."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Objective(ABC):
    """A loss of a model on a batch, and its gradient.

    Attributes:
        counts_labels: Whether the loss is a mean over labels, so that parts of a step are shares of its labels.
    """

    counts_labels = True

    @abstractmethod
    def loss(self, student: nn.Module, batch: dict[str, Tensor], items: Tensor | None) -> Tensor:
        """What is brought down.

        Args:
            student: The model that is trained.
            batch: `input_ids`, `attention_mask` and `labels`.
            items: Labels of the whole step where a batch is a part of one; None where it is the step.
        """
