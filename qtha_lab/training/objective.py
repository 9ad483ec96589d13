"""Interface of further losses, and logits at the positions of answer tokens.

Each position costs one number per vocabulary token, and no loss reads a prompt's logits. A model
without an output head, or with a head called on other inputs, computes all logits and gives the
same result.

Runs that differ only in this perturbation differ in no setting. The spread of many such runs is a
noise floor: a smaller difference between methods has no meaning.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from jaxtyping import Float
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.loss.loss_utils import ForCausalLMLoss


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


IGNORED = -100


class Answers:
    """Answer tokens in a batch of labels, and the positions that predict them.

    Args:
        labels: `(rows, tokens)`, -100 at every position without an answer.

    Example:
        >>> import torch
        >>> Answers(torch.tensor([[-100, -100, 7, 8], [-100, 9, -100, -100]])).tokens
        tensor([7, 8, 9])
    """

    def __init__(self, labels: Tensor) -> None:
        following = functional.pad(labels[:, 1:], (0, 1), value=IGNORED).flatten()
        self.shape = labels.shape
        self.positions = (following != IGNORED).nonzero().flatten()
        self.tokens = following[self.positions]

    def select(self, values: Tensor) -> Tensor:
        """Select the positions that predict an answer.

        Values have the shape `(rows, tokens, n)`, or `(1, answers, n)` if already restricted; the
        result has the shape `(answers, n)`.
        """
        if values.shape[:-1] != self.shape:  # the head received only these positions
            return values.flatten(0, -2)
        return values.flatten(0, -2).index_select(0, self.positions)

    @contextlib.contextmanager
    def at_the_head(self, model: nn.Module) -> Iterator[None]:
        """Restrict the head's input to answer-predicting positions inside the block.

        The head then receives these positions as one row.
        """

        def narrow(module: nn.Module, arguments: tuple) -> tuple | None:
            if not arguments or arguments[0].shape[:-1] != self.shape:
                return None
            return (self.select(arguments[0]).unsqueeze(0), *arguments[1:])

        head = head_of(model)
        handle = None if head is None else head.register_forward_pre_hook(narrow)
        try:
            yield
        finally:
            if handle is not None:
                handle.remove()


def log_likelihoods(model: nn.Module, batch: dict[str, Tensor]) -> Float[Tensor, " rows"]:
    """Compute the log-likelihood of each row's answer tokens, in nats."""
    labels = batch["labels"]
    answers = Answers(labels)
    with answers.at_the_head(model):
        outputs = model(**{name: value for name, value in batch.items() if name != "labels"})
    logits = answers.select(outputs.logits).float()
    losses = functional.cross_entropy(logits, answers.tokens, reduction="none")
    rows = answers.positions // labels.shape[1]
    return -losses.new_zeros(len(labels)).index_add(0, rows, losses)


def head_of(model: nn.Module) -> nn.Module | None:
    """Return the layer from hidden states to logits, or None if the model declares none."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    return base.get_output_embeddings() if isinstance(base, PreTrainedModel) else None


def chooses_classes(model: nn.Module) -> bool:
    """Return True if the model is a sequence classifier, with one class label per row."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    return type(base).__name__.endswith("ForSequenceClassification")


def has_plain_loss(model: nn.Module) -> bool:
    """Return True if the loss is the plain mean over answer tokens.

    Such a loss needs no logits at other positions.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if head_of(model) is None or not isinstance(base, PreTrainedModel):
        return False
    if getattr(base.config, "is_encoder_decoder", False):
        return False
    routed = getattr(base.config, "output_router_logits", False)
    return base.loss_function is ForCausalLMLoss and not routed


@torch.no_grad()
def perturb(model: nn.Module, repeat: int) -> None:
    """Change each non-zero trained number by one ulp, in a random direction.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> before = layer.weight.detach().clone()
        >>> perturb(layer, 1)
        >>> (layer.weight - before).abs().max() < 1e-7, bool((layer.weight != before).all())
        (tensor(True), True)
    """
    if not repeat:
        return
    generator = torch.Generator().manual_seed(repeat)
    for parameter in model.parameters():
        if parameter.requires_grad:
            up = torch.randint(0, 2, parameter.shape, generator=generator).bool()
            far = torch.full_like(parameter, torch.inf)
            towards = torch.where(up.to(parameter.device), far, -far)
            moved = torch.nextafter(parameter, towards)
            parameter.copy_(torch.where(parameter == 0, parameter, moved))
