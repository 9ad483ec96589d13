"""Replacement of a model's classification layer by a head.

The head keeps the layer's name in the model and in PEFT. Its call is stored among its tensors, so
that a saved adapter names its head.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from qtha_lab.adapters.heads.features import read_features
from qtha_lab.adapters.heads.registry import Head
from qtha_lab.adapters.heads.zero import zero_
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors

NAMES = ("score", "classifier")  # names of the layer that PEFT looks for
WRITTEN = "written"  # buffer with the call, as bytes


class HeadLayer(nn.Module):
    """Classification layer with the network of a head.

    Attributes:
        head: Settings of the head.
        network: Network from features to logits.
        written: Call that describes the head, in UTF-8.
    """

    written: Tensor

    def __init__(self, head: Head, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.head = head
        self.in_features, self.out_features = in_features, n_classes
        self.network = head.module(in_features, n_classes)
        self.register_buffer(WRITTEN, torch.tensor(list(head.text.encode()), dtype=torch.uint8))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Compute the logits of rows.

        Args:
            features: (rows, in_features), or (rows, tokens, in_features) for a head that reads
                tokens.
            mask: (rows, tokens) for a head that reads tokens; 1 at tokens, 0 at padding.
        """
        if self.head.reads_tokens:
            return self.network(features, mask)
        return self.network(features)


def layer_name(model: nn.Module) -> str:
    """Return the name of a model's classification layer."""
    for name in NAMES:
        layer = getattr(model, name, None)
        if isinstance(layer, nn.Linear | HeadLayer):
            return name
    raise Refusal(
        f"head must be empty for a model without a linear layer named {' or '.join(NAMES)}, got "
        f"a {type(model).__name__}. Remove the setting head."
    )


def put_head(model: nn.Module, head: Head) -> None:
    """Replace a model's classification layer by a head, in place.

    The model may be on the meta device. The global random state determines the initial weights and
    stays unchanged. A linear head keeps the model's own layer, so that PEFT alone can load the
    saved tensors.
    """
    if head.name == "linear":
        layer = getattr(model, layer_name(model))
        if isinstance(layer, nn.Linear):
            zero_(layer)
            return
    name = layer_name(model)
    before = getattr(model, name)
    with torch.random.fork_rng(
        devices=[]
    ):  # made on the CPU, since engines fail on the meta device
        layer = HeadLayer(head, before.in_features, before.out_features)
    layer.to(next(before.parameters()).device)
    layer.train(before.training)
    setattr(model, name, layer)
    read_features(model, name)


def head_of(model: nn.Module) -> Head | None:
    """Return the head that `put_head` installed; None for a linear head."""
    layers = (module for module in model.modules() if isinstance(module, HeadLayer))
    return next((layer.head for layer in layers), None)


def written_in(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the call of the head among saved tensors; None without such a head."""
    names = [f"{layer}.{WRITTEN}" for layer in NAMES]
    for name, tensor in tensors.items():
        if name.endswith(tuple(names)):
            return bytes(tensor.tolist()).decode()
    return None


def text_in(file: Path) -> str | None:
    """Read the call of the head from a safetensors file, and nothing else."""
    ends = tuple(f"{layer}.{WRITTEN}" for layer in NAMES)
    with open_tensors(file) as opened:
        names = [name for name in opened.keys() if name.endswith(ends)]  # noqa: SIM118
        return written_in({name: opened.get_tensor(name) for name in names[:1]})
