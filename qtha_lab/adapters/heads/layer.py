"""A head in the place of a model's classification layer, under the name that the model and PEFT know it by.

The call that describes it is kept among its tensors, so that a saved adapter says which head it was
trained with.
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

NAMES = ("score", "classifier")  # of the layer, as PEFT looks for it
WRITTEN = "written"  # the call, as a tensor of bytes


class HeadLayer(nn.Module):
    """The network of a head.

    Attributes:
        head: Its settings.
        network: From features to logits.
        written: The call that describes the head, in UTF-8.
    """

    written: Tensor

    def __init__(self, head: Head, in_features: int, n_classes: int) -> None:
        super().__init__()
        self.head = head
        self.in_features, self.out_features = in_features, n_classes
        self.network = head.module(in_features, n_classes)
        self.register_buffer(WRITTEN, torch.tensor(list(head.text.encode()), dtype=torch.uint8))

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Logits of rows.

        Args:
            features: (rows, in_features), or (rows, tokens, in_features) for a head that reads
                tokens.
            mask: (rows, tokens) of the latter; 1 where a token is none of padding.
        """
        if self.head.reads_tokens:
            return self.network(features, mask)
        return self.network(features)


def layer_name(model: nn.Module) -> str:
    """What a model calls its classification layer.

    Raises:
        Refusal: If that is no linear layer of a name that PEFT knows.
    """
    for name in NAMES:
        layer = getattr(model, name, None)
        if isinstance(layer, nn.Linear | HeadLayer):
            return name
    raise Refusal(
        f"a head takes the place of one linear layer named {' or '.join(NAMES)}, which "
        f"{type(model).__name__} has not: leave head empty"
    )


def put_head(model: nn.Module, head: Head) -> None:
    """Put a head in the place of a model's classification layer; may be on the meta device.

    The global random state is read and left as it was. A linear one stays the model's own layer, so
    that PEFT alone can load what is saved of it.

    Args:
        model: For classes, without adapters.
        head: What is to read it.

    Raises:
        Refusal: If the model's layer cannot be replaced, or its features are not what a head reads.
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
    ):  # made on the CPU: an engine that is tried on the meta device fails
        layer = HeadLayer(head, before.in_features, before.out_features)
    layer.to(next(before.parameters()).device)
    layer.train(before.training)
    setattr(model, name, layer)
    read_features(model, name)


def head_of(model: nn.Module) -> Head | None:
    """The head that was put on a model, also where an adapter is on it; None of a linear one."""
    layers = (module for module in model.modules() if isinstance(module, HeadLayer))
    return next((layer.head for layer in layers), None)


def written_in(tensors: Mapping[str, Tensor]) -> str | None:
    """The call of the head among saved tensors; None where they have a linear one or none."""
    names = [f"{layer}.{WRITTEN}" for layer in NAMES]
    for name, tensor in tensors.items():
        if name.endswith(tuple(names)):
            return bytes(tensor.tolist()).decode()
    return None


def text_in(file: Path) -> str | None:
    """The call of the head in a safetensors file, of which nothing else is read.

    Args:
        file: As PEFT saves an adapter.
    """
    ends = tuple(f"{layer}.{WRITTEN}" for layer in NAMES)
    with open_tensors(file) as opened:
        names = [name for name in opened.keys() if name.endswith(ends)]  # noqa: SIM118
        return written_in({name: opened.get_tensor(name) for name in names[:1]})
