"""Interface of losses other than the label loss, such as distillation and REINFORCE."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Objective(ABC):
    """Loss of a model on a batch, with its gradient.

    Attributes:
        counts_labels: True if the loss is a mean over labels. A batch that is part of a step is
            then weighted by its share of the step's labels.
    """

    counts_labels = True

    @abstractmethod
    def loss(self, student: nn.Module, batch: dict[str, Tensor], items: Tensor | None) -> Tensor:
        """Compute the loss to minimise.

        Args:
            student: Trained model.
            batch: `input_ids`, `attention_mask` and `labels`.
            items: Number of labels in the whole step if the batch is only a part of the step; else
                None.
        """
