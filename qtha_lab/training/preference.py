"""Direct preference optimisation: raise the likelihood of chosen over rejected answers.

    L = −log σ(m)        m = β [log π(c|x)/π₀(c|x) − log π(r|x)/π₀(r|x)]

for a prompt x, its chosen answer c and its rejected answer r. π is the adapted model and π₀ the
base without its adapter, so that no second model is loaded. At a margin m of 0 the loss is ln 2.

Source:
    Rafailov et al. 2023, arXiv:2305.18290, equation 7. TRL's `DPOTrainer` gives the same losses; a
    test compares them. TRL has no function of this loss without its Trainer.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab import adapters
from qtha_lab.training.objective import Objective, log_likelihoods

MEANING = (
    "losses are −log σ of β times the margin of chosen over rejected answers, against the base; "
    "0.693 is a margin of 0"
)


class PairObjective(Objective):
    """Objective of preference pairs.

    Args:
        beta: Factor of the log-likelihood ratio.
    """

    counts_labels = False

    def __init__(self, beta: float) -> None:
        self.beta = beta

    def loss(self, student, batch, items):
        return pair_losses(margins(student, batch, self.beta)).mean()


def margins(model: nn.Module, batch: dict[str, Tensor], beta: float) -> Float[Tensor, " pairs"]:
    """Compute the margin of each pair, in nats."""
    assert isinstance(model, PeftModel)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), adapters.base_alone(model):
            reference = log_likelihoods(model, batch)
    finally:
        model.train(was_training)
    chosen, rejected = (log_likelihoods(model, batch) - reference).chunk(2)
    return beta * (chosen - rejected)


def pair_losses(margin: Float[Tensor, " pairs"]) -> Float[Tensor, " pairs"]:
    """Compute the loss of each pair from its margin.

    Example:
        >>> pair_losses(torch.zeros(1))  # ln 2
        tensor([0.6931])
    """
    return -functional.logsigmoid(margin)
