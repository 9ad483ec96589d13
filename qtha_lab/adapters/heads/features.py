"""Features of a model for its head: one vector per row, or all token states.

The vector is the one that the model's own linear head reads: the last token's state of a decoder,
the pooled state of an encoder. A batch with cached `features` skips the model below the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_outputs import SequenceClassifierOutput

from qtha_lab.adapters.heads.lstm import last
from qtha_lab.core.errors import Refusal


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
