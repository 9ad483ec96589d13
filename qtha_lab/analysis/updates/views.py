"""Rank spectra of an adapter's updates, layer by layer, in four named views.

For a linear adapter the first three agree up to a factor; with a circuit they may differ:

    linear_path        ΔW of the part that is linear in x (the W_c path of QTHA)
    mean_jacobian      the mean of ∂Δy/∂x over real tokens
    stacked_jacobians  all ∂Δy/∂x stacked by rows: the input directions with an effect
    realised_change    Δ(X), one row per token: the output directions in use

An update with input and output bottlenecks of r numbers has rank ≤ r in each view:
LoRA, and QTHA as published [R, methods.md 1.11].
"""

import dataclasses
import math
from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.analysis.updates.jacobians import jacobians_of
from qtha_lab.analysis.updates.sketch import randomised_svd
from qtha_lab.analysis.updates.spectrum import (
    THRESHOLD,
    Spectrum,
    factored_spectrum,
    streamed_spectrum,
)
from qtha_lab.analysis.updates.update import Update, updates_of
from qtha_lab.core.errors import Refusal

VIEWS = ("linear_path", "mean_jacobian", "stacked_jacobians", "realised_change")
TOKENS_AT_ONCE = 256


@dataclasses.dataclass(frozen=True)
class SpectrumView:
    """One layer's update in one view.

    Attributes:
        tokens: Number of tokens used; 0 for a view without tokens.
    """

    layer: str
    block: int | None
    view: str
    tokens: int
    spectrum: Spectrum

    def row(self, threshold: float = THRESHOLD, share: float = 0.9) -> dict:
        """Return the view as plain data: names, sizes, ranks and singular values."""
        return {
            "layer": self.layer,
            "block": self.block,
            "view": self.view,
            "tokens": self.tokens,
            "rows": self.spectrum.shape[0],
            "columns": self.spectrum.shape[1],
            **self.spectrum.summary(threshold, share),
            "singular_values": self.spectrum.values.tolist(),
        }


def view_updates(
    model: nn.Module,
    inputs: Mapping[str, Float[Tensor, "tokens in_features"]] | None = None,
    adapter: str | None = None,
    *,
    views: Collection[str] = VIEWS,
    layers: Collection[str] | None = None,
    max_rank: int = 128,
) -> list[SpectrumView]:
    """Compute every view of an adapter's update at every layer.

    A layer whose update has no linear part (a circuit alone, a product of branches) has no
    `linear_path`. Ranks do not show usefulness: a large direction may not change the loss.

    Args:
        model: Model with the adapter.
        inputs: Layer inputs from `capture_inputs`; without them, only the linear path is
            computed.
        adapter: Name of the adapter; None uses the active one.
        views: Members of `VIEWS` to compute.
        layers: Names of layers; None uses all with inputs.
        max_rank: Maximum singular values per view; the spectrum reports the missing part.

    Raises:
        Refusal: For an unknown view or layer.

    Example:
        >>> from peft import LoraConfig, get_peft_model
        >>> from qtha_lab import load_model
        >>> config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
        >>> model = get_peft_model(load_model("tiny").model, config)
        >>> [view.spectrum.numerical_rank() for view in view_updates(model)]
        [2, 2, 2, 2, 2, 2]
    """
    unknown = [view for view in views if view not in VIEWS]
    if unknown:
        raise Refusal(f"view must be one of {', '.join(VIEWS)}, got {unknown[0]!r}.")
    inputs = inputs or {}
    names = layers if layers is not None else (list(inputs) or None)
    all_views = []
    for update in updates_of(model, adapter, names):
        all_views += _views_of(update, inputs.get(update.name), views, max_rank)
    return all_views


def _views_of(
    update: Update, x: Tensor | None, views: Collection[str], max_rank: int
) -> list[SpectrumView]:
    spectra = {}
    linear = linear_spectrum(update, max_rank) if update.is_linear or update.factors else None
    if linear is not None:
        spectra["linear_path"] = linear
    if x is not None:
        if {"mean_jacobian", "stacked_jacobians"} & set(views):
            spectra |= _gradients(update, x, linear, max_rank)
        if "realised_change" in views:
            spectra["realised_change"] = realised_change(update, x)
    tokens = 0 if x is None else len(x)
    return [
        SpectrumView(
            update.name, update.block, view, 0 if view == "linear_path" else tokens, spectra[view]
        )
        for view in VIEWS
        if view in views and view in spectra
    ]


def linear_spectrum(update: Update, max_rank: int = 128) -> Spectrum:
    """Compute singular values of the linear path: exact from thin factors, else sketched."""
    if update.factors is not None:
        return factored_spectrum(*update.factors)
    return randomised_svd(update.linear_operator(), max_rank).spectrum


def realised_change(update: Update, x: Float[Tensor, "tokens in_features"]) -> Spectrum:
    """Compute the singular values of Δ(X), one row per token, not centred.

    They depend on the tokens as much as on the update: the rank is at most the number of tokens,
    and strong directions of the activations are strong in it.
    """
    with torch.no_grad():
        return streamed_spectrum(update.delta(part.double()) for part in x.split(TOKENS_AT_ONCE))


def _gradients(update: Update, x: Tensor, linear: Spectrum | None, max_rank: int) -> dict:
    """Compute the two Jacobian views; where all Jacobians are equal, from that matrix."""
    if update.is_linear and linear is not None:
        tokens, (outs, ins) = len(x), linear.shape
        stacked = dataclasses.replace(linear.scaled(math.sqrt(tokens)), shape=(tokens * outs, ins))
        return {"mean_jacobian": linear, "stacked_jacobians": stacked}
    jacobians = jacobians_of(update.delta, x, max_rank=max_rank)
    return {
        "mean_jacobian": jacobians.mean_spectrum(),
        "stacked_jacobians": jacobians.stacked_spectrum(),
    }
