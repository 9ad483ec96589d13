"""Tables of non-linearity and subspaces of an adapter's updates, one row per layer.

Combines `nonlinearity`, `jacobians` and `subspaces` for each update. `views` has a separate table
of rank spectra.
"""

import dataclasses
from collections.abc import Collection, Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.analysis.updates.jacobians import jacobians_of
from qtha_lab.analysis.updates.nonlinearity import linear_fit
from qtha_lab.analysis.updates.subspaces import (
    Vectors,
    compare_subspaces,
    intruder_dimensions,
    update_vectors,
)
from qtha_lab.analysis.updates.update import Update, adapted_layers, base_weight, updates_of
from qtha_lab.core.errors import Refusal

Inputs = Mapping[str, Float[Tensor, "tokens in_features"]]


def nonlinearity_table(
    model: nn.Module,
    inputs: Inputs,
    adapter: str | None = None,
    ranks: Collection[int] = (1, 2, 4, 8),
    *,
    max_rank: int = 128,
    seed: int = 0,
) -> list[dict]:
    """Return each layer's unexplained shares and Jacobian variation across tokens.

    They measure the distance of the update from one matrix. See `LinearFit` for their limits. The
    true share lies between "in_sample_share" and "share", and is known only where the two are
    close.

    Args:
        model: Model with an adapter.
        inputs: Layer inputs from `capture_inputs`; only these layers are analysed.
        adapter: Name of the adapter; None uses the active one.
        ranks: Ranks of linear maps to score.
        max_rank: Maximum rank of the Jacobian basis.
        seed: Seed of the folds and the probing.

    Returns:
        A row per layer: "layer", "block", the numbers of `LinearFit`, "share_of_rank_…" per rank,
        "token_dependence" and "relative_spread" (see `Jacobians`; 0 for a linear update).

    Raises:
        Refusal: If an input has fewer than 16 tokens, or the adapter is missing or merged.
    """
    rows = []
    for update in updates_of(model, adapter, list(inputs)):
        x = inputs[update.name]
        fit = dataclasses.asdict(linear_fit(update.delta, x, ranks, seed=seed))
        by_rank = fit.pop("by_rank")
        gradients = {"token_dependence": 0.0, "relative_spread": 0.0}
        if not update.is_linear:
            jacobians = jacobians_of(update.delta, x, max_rank=max_rank, seed=seed)
            gradients = {name: getattr(jacobians, name) for name in gradients}
        rows.append(
            {
                **_place(update),
                **fit,
                **{f"share_of_rank_{rank}": share for rank, share in by_rank.items()},
                **gradients,
            }
        )
    return rows


def subspace_table(
    model: nn.Module,
    adapter: str | None = None,
    *,
    other: str | None = None,
    other_model: nn.Module | None = None,
    inputs: Inputs | None = None,
    layers: Collection[str] | None = None,
    k: int = 8,
    top: int = 10,
    threshold: float = 0.5,
) -> list[dict]:
    """Return each layer's overlaps with base and other adapter, and its intruders.

    Overlaps compare the k leading directions with those of the base weight. "chance" is the
    expected overlap of random directions; an overlap near it is not evidence.

    Args:
        model: Model with an adapter.
        adapter: Name of the adapter; None uses the active one.
        other: Other adapter to compare with, on `other_model` or the same model.
        other_model: Model of the other adapter, with layers of the same names.
        inputs: Activations, for updates without a linear path; updates without both are omitted.
        layers: Names of layers; None uses all.
        k: Number of leading directions of each.
        top: Number of leading vectors of the tuned weight to check for intruders.
        threshold: Largest |cosine| of an intruder.

    Returns:
        A row per layer: "layer", "block", overlaps with "base_…" and, if requested, "other_…" (None
        where there is no direction), "intruders", their "similarities" and "relative_norm",
        ‖ΔW‖/‖W‖.

    Raises:
        Refusal: If an adapter or a layer is missing, or an adapter is merged.
    """
    inputs, modules = inputs or {}, adapted_layers(model)
    other_updates = {}
    if other is not None or other_model is not None:
        other_updates = {u.name: u for u in updates_of(other_model or model, other, layers)}
    rows = []
    for update in updates_of(model, adapter, layers):
        x = inputs.get(update.name)
        if update.factors is None and not update.is_linear and x is None:
            continue
        weight, vectors = base_weight(modules[update.name]), update_vectors(update, k, x)
        base = torch.linalg.svd(weight, full_matrices=False)
        row = _place(update) | _overlaps("base", vectors, (base.U[:, :k], base.S[:k], base.Vh[:k]))
        if update.name in other_updates:
            row |= _overlaps("other", vectors, update_vectors(other_updates[update.name], k, x))
        change = _matrix(update, x)
        intruders = intruder_dimensions(
            weight, change, top=top, threshold=threshold, base_vectors=base.U
        )
        row |= {
            "intruders": len(intruders.indices),
            "similarities": intruders.similarities.tolist(),
            "relative_norm": float(change.norm() / weight.norm()),
        }
        rows.append(row)
    return rows


def _place(update: Update) -> dict:
    return {"layer": update.name, "block": update.block}


def _matrix(update: Update, x: Tensor | None) -> Float[Tensor, "out_features in_features"]:
    """Return the linear path or, without one, the mean Jacobian."""
    path = update.linear_path()
    if path is not None:
        return path
    if x is None:
        raise Refusal(
            f"x must be given for {update.name}, whose update has no linear path. Pass tokens x."
        )
    return jacobians_of(update.delta, x).mean


def _overlaps(name: str, vectors: Vectors, their: Vectors) -> dict:
    """Return the overlaps by side; None where one of the two has no direction."""
    overlaps = compare_subspaces(vectors, their)
    keys = ("output", "input", "chance_output", "chance_input")
    values = dataclasses.asdict(overlaps) if overlaps else dict.fromkeys(keys)
    return {f"{name}_{key}": values[key] for key in keys}
