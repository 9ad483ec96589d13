"""Features of a model for its head, and the replacement of its classification layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from qtha_lab.adapters.heads.lstm import last
from qtha_lab.adapters.heads.registry import Head, zero_
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_tensors


class FeatureModel:
    """Forward pass of a classification model with token states or cached features.

    Attributes:
        reads_tokens: Whether the head reads the states of all tokens.
    """

    reads_tokens: bool = False

    def forward(
        self: Any,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        features: Tensor | None = None,
        **options: Any,
    ) -> SequenceClassifierOutput:
        """Compute the logits of rows, and their loss.

        Args:
            input_ids: (rows, tokens).
            attention_mask: 1 at tokens, 0 at padding.
            inputs_embeds: Embeddings in place of the ids.
            labels: (rows,).
            features: Result of `features`; skips the model below the head.
            options: Options of the model below the head.
        """
        states: Any = features
        if states is None:
            states = self.features(input_ids, attention_mask, inputs_embeds, **options)
        if (dropout := getattr(self, "dropout", None)) is not None:
            states = dropout(states)
        with torch.autocast(states.device.type, enabled=False):
            layer, masks = self.classification_layer, [attention_mask] * (states.dim() == 3)
            trained = next((p for p in layer.parameters() if p.requires_grad), None)
            # an adapter's copy may have a higher precision
            some = next(layer.parameters()) if trained is None else trained
            logits = layer(states.to(some.dtype), *masks)
        loss = None if labels is None else functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=cast("Any", logits))

    @property
    def classification_layer(self: Any) -> nn.Module:
        """Head, possibly wrapped with an adapter's copy."""
        return self.classifier if hasattr(self, "classifier") else self.score

    def features(
        self: Any,
        input_ids: Tensor | None,
        attention_mask: Tensor | None,
        inputs_embeds: Tensor | None = None,
        **options: Any,
    ) -> Tensor:
        """Compute the input of the head: (rows, d), or (rows, tokens, d) for token states.

        Args:
            input_ids: (rows, tokens).
            attention_mask: 1 at tokens, 0 at padding.
            inputs_embeds: Embeddings in place of the ids.
            options: Options of the model below the head.
        """
        options = options | {"return_dict": True}
        outputs = self.base_model(
            input_ids, attention_mask=attention_mask, inputs_embeds=inputs_embeds, **options
        )
        if self.reads_tokens:
            return outputs.last_hidden_state
        pooled = getattr(outputs, "pooler_output", None)
        return last(outputs.last_hidden_state, attention_mask) if pooled is None else pooled


def read_features(model: nn.Module, name: str) -> None:
    """Replace the forward pass of a classification model by that of `FeatureModel`.

    The model's class keeps its name.
    """
    check_readable(model, name)
    if isinstance(model, FeatureModel):
        return
    layer = getattr(model, name)
    model.__class__ = _reading(type(model))
    reads = getattr(getattr(layer, "head", None), "reads_tokens", False)
    setattr(model, "reads_tokens", reads)  # noqa: B010  nn.Module declares no such attribute


def check_readable(model: nn.Module, name: str) -> None:
    """Refuse the models that `read_features` refuses, without changing the model."""
    body = getattr(model, "base_model", None)
    if body is model or (name == "classifier" and getattr(body, "pooler", None) is None):
        raise Refusal(
            "head must be empty for a model with neither a last-token head nor a pooled state, "
            f"got a {type(model).__name__}. Remove the setting head."
        )


@cache
def _reading(kind: type) -> type:
    return type(kind.__name__, (FeatureModel, kind), {"__module__": kind.__module__})


@torch.no_grad()
def features_of(model: nn.Module, batches: Iterable[dict[str, Tensor]]) -> Iterator[Tensor]:
    """Yield the features of each row in evaluation mode.

    Features are in float32 on the CPU, without padding.
    """
    reader: Any = next(module for module in model.modules() if isinstance(module, FeatureModel))
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    try:
        for batch in batches:
            ids, mask = batch["input_ids"].to(device), batch["attention_mask"].to(device)
            states, lengths = reader.features(ids, mask).float().cpu(), mask.sum(-1).tolist()
            rows = zip(states, lengths, strict=True)
            yield from ((row[:length] if row.dim() == 2 else row).clone() for row, length in rows)
    finally:
        model.train(was_training)


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
