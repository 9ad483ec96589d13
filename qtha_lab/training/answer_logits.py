"""The head of a language model at the positions that predict an answer's token, and at no others.

Logits are as many numbers per position as the vocabulary has tokens, and a prompt's are never read. A model
without a head of its own, or one that calls it on something else, computes all logits and loses none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel
from transformers.loss.loss_utils import ForCausalLMLoss

IGNORED = -100


class Answers:
    """The answers' tokens in a batch of labels, and the positions before them.

    Args:
        labels: `(rows, tokens)`, -100 wherever there is no answer.

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
        """Of values at all positions, `(rows, tokens, n)`, those that predict an answer: `(answers, n)`."""
        if values.shape[:-1] != self.shape:  # the head was given these alone
            return values.flatten(0, -2)
        return values.flatten(0, -2).index_select(0, self.positions)

    @contextlib.contextmanager
    def at_the_head(self, model: nn.Module) -> Iterator[None]:
        """While open, the model's head sees the positions before answers alone, as one row of them."""

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


def head_of(model: nn.Module) -> nn.Module | None:
    """The layer from hidden states to logits; None where the model names none."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    return base.get_output_embeddings() if isinstance(base, PreTrainedModel) else None


def chooses_classes(model: nn.Module) -> bool:
    """Whether a model has one label for a row, of several classes."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    return type(base).__name__.endswith("ForSequenceClassification")


def has_plain_loss(model: nn.Module) -> bool:
    """Whether the loss is the mean over answers' tokens and nothing else, so that it needs no other logits."""
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    if head_of(model) is None or not isinstance(base, PreTrainedModel):
        return False
    routed = getattr(base.config, "output_router_logits", False)
    return base.loss_function is ForCausalLMLoss and not routed
