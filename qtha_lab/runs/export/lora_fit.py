"""The best rank-r linear fit of an adapter on real text, as a plain LoRA.

For adapters that cannot be merged, and for users without qtha-lab. The error of the fit is
reported; the nonlinear part of the change is lost.
"""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import save
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.analysis.updates.activations import capture_inputs
from qtha_lab.analysis.updates.nonlinearity import best_linear_map
from qtha_lab.analysis.updates.update import adapted_layers, update_of
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically
from qtha_lab.models.catalogue import public_base
from qtha_lab.models.model_card import write_card

log = logging.getLogger(__name__)

HELD_OUT = 0.25  # share of the tokens for the error
WORTH = 0.9  # an offset is used if it lowers the held-out error below this share of it
LEAST = 1e-3  # smallest held-out error for which an offset is considered


@dataclasses.dataclass(frozen=True)
class LoraExport:
    """The folder of a fitted LoRA, and the error of the fit.

    Attributes:
        error: Share of Σ‖Δy‖² over held-out tokens of all layers that the LoRA misses.
        error_by_layer: The same share per layer.
        tokens: Number of tokens of the fit; a quarter was first held out for the errors.
        offset: Whether the LoRA has an offset per layer (`lora_bias`).
    """

    folder: Path
    r: int
    error: float
    error_by_layer: dict[str, float]
    tokens: int
    offset: bool = False


class _Fit(NamedTuple):
    """Matrices and offset of a layer, and its squared errors on held-out tokens."""

    a: Tensor
    b: Tensor
    offset: Tensor
    missed: float
    whole: float


@torch.no_grad()
def export_lora(
    model: PeftModel,
    dataset: Mapping[str, Tensor] | Iterable[Mapping[str, Tensor]],
    r: int,
    folder: Path | str,
    *,
    adapter: str | None = None,
    base_model: str = "",
    max_tokens: int = 4096,
    seed: int = 0,
    offset: bool | None = None,
) -> LoraExport:
    """Save the best rank-r linear fit of an adapter as a plain PEFT LoRA.

    At each layer the fit is a ridge regression of Δy on the layer's input, followed by a projection
    on the r leading directions (reduced-rank regression). Layers are fitted one by one at their
    inputs in the adapted model, so errors of several layers can add up in the output. An offset
    (`lora_bias`) is the constant part of Δy. PEFT merges it into layers with a bias only.

    Args:
        model: Model with the adapter.
        dataset: Tokenised real text in batches, similar to the text of later use.
        r: Rank of the LoRA.
        folder: Output folder: safetensors, config, model card.
        adapter: Name of the adapter; None is the active one.
        base_model: Name of the base model for the card; default that in the PEFT config.
        max_tokens: Maximum number of tokens of the fit.
        seed: Seed of the choice of tokens.
        offset: Whether to fit an offset per layer; None does if this lowers the held-out error by
            a tenth or more.

    Raises:
        ValueError: If r is below 1, there are too few tokens, or the adapter trained biases too.

    Example:
        >>> from qtha_lab import load_model
        >>> from qtha_lab.adapters import QthaConfig, add_adapter
        >>> tiny = load_model("tiny")
        >>> model = add_adapter(tiny.model, QthaConfig(r=2, waist=8, target_modules=["q_proj"]))
        >>> text = tiny.tokenizer(["How are you today?"] * 8, return_tensors="pt")
        >>> export = export_lora(model, text, r=2, folder=getfixture("tmp_path"))
        >>> export.error  # an adapter that has not been trained changes nothing yet
        0.0
    """
    adapter = adapter or str(model.active_adapter)
    config = model.peft_config[adapter]
    if not isinstance(r, int) or r < 1:
        raise Refusal(f"r must be at least 1, got {r!r}.")
    if getattr(config, "bias", "none") != "none":
        raise Refusal(f"An exported adapter must train no biases, got {adapter!r} with biases.")
    inputs = capture_inputs(model, dataset, max_tokens=max_tokens, seed=seed)
    deltas = {
        name: update_of(module, name, adapter).delta
        for name, module in adapted_layers(model).items()
        if name in inputs
    }
    kinds = (False, True) if offset is None else (offset,)
    fits = {
        kind: {name: _fit(delta, inputs[name].double(), r, kind) for name, delta in deltas.items()}
        for kind in kinds
    }
    if offset is None:
        offset = _total(fits[False]) > LEAST and _total(fits[True]) < WORTH * _total(fits[False])
    tensors = _tensors(fits[offset], offset)
    export = LoraExport(
        Path(folder),
        r,
        _total(fits[offset]),
        {name: _share(fit.missed, fit.whole) for name, fit in fits[offset].items()},
        len(next(iter(inputs.values()))),
        offset,
    )
    tensors |= _saved_whole(model, adapter)
    _save(export, model, config, tensors, base_model)
    log.info(
        "adapter %s is written to %s as a LoRA, misses %.2g", adapter, export.folder, export.error
    )
    return export


def _fit(delta, x: Float[Tensor, "tokens in"], r: int, offset: bool) -> _Fit:
    """Fit A (r, in), B (out, r) and an offset (out,); measure the error.

    The squared error and Σ‖Δy‖² are those of held-out tokens, from a fit without them.
    """
    y = torch.cat([delta(part) for part in x.split(256)])
    cut = int((1 - HELD_OUT) * len(x))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    first, last = order[:cut], order[cut:]
    a, b, constant = _affine_map(x[first], y[first], r, offset)
    missed = float((y[last] - x[last] @ a.mT @ b.mT - constant).square().sum())
    a, b, constant = (each.float().contiguous() for each in _affine_map(x, y, r, offset))
    return _Fit(a, b, constant, missed, float(y[last].square().sum()))


def _affine_map(x: Tensor, y: Tensor, r: int, offset: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Fit y ≈ B A x + c; without an offset, c is zero."""
    if not offset:
        return *best_linear_map(x, y, r), y.new_zeros(y.shape[1])
    means = x.mean(0), y.mean(0)
    a, b = best_linear_map(x - means[0], y - means[1], r)
    return a, b, means[1] - b @ (a @ means[0])


def _tensors(fits: Mapping[str, _Fit], offset: bool) -> dict[str, Tensor]:
    tensors = {}
    for name, fit in fits.items():
        parts = {"A.weight": fit.a, "B.weight": fit.b} | ({"B.bias": fit.offset} if offset else {})
        tensors |= {f"base_model.model.{name}.lora_{part}": t for part, t in parts.items()}
    return tensors


def _total(fits: Mapping[str, _Fit]) -> float:
    return _share(sum(fit.missed for fit in fits.values()), sum(f.whole for f in fits.values()))


def _share(missed: float, whole: float) -> float:
    return missed / whole if whole else 0.0


def _saved_whole(model: PeftModel, adapter: str) -> dict[str, Tensor]:
    """Return the modules trained beside the adapter, such as a classification head."""
    prefixes = [f"base_model.model.{name}." for name in adapted_layers(model)]
    state = get_peft_model_state_dict(model, adapter_name=adapter)
    return {
        key: value.contiguous()
        for key, value in state.items()
        if not any(key.startswith(prefix) for prefix in prefixes)
    }


def _save(export: LoraExport, model, config, tensors: dict[str, Tensor], base_model: str) -> None:
    layers = {name: adapted_layers(model)[name] for name in export.error_by_layer}
    lora = LoraConfig(
        r=export.r,
        lora_alpha=export.r,
        lora_bias=export.offset,
        target_modules=list(layers),
        task_type=config.task_type,
        modules_to_save=config.modules_to_save,
        fan_in_fan_out=any(isinstance(m.get_base_layer(), Conv1D) for m in layers.values()),
        base_model_name_or_path=public_base(config.base_model_name_or_path or "") or None,
        inference_mode=True,
    )
    make_folder(export.folder)
    lora.save_pretrained(str(export.folder))
    weights = save(tensors, metadata={"format": "pt"})
    write_atomically(export.folder / SAFETENSORS_WEIGHTS_NAME, weights)
    is_ours = any(isinstance(module, AdapterLayer) for module in layers.values())
    source = config.method_name if is_ours else str(config.peft_type.value).lower()
    worst = max(export.error_by_layer, key=export.error_by_layer.__getitem__)
    write_card(
        export.folder,
        lora,
        base_model=base_model or config.base_model_name_or_path or "the base model",
        facts={"fitted_to": f"a {source} adapter", "tokens": export.tokens},
        metrics={
            "share of the change missed": export.error,
            f"worst layer, {worst}": export.error_by_layer[worst],
        },
        notes=(
            f"This LoRA is the best {'affine' if export.offset else 'linear'} map of rank "
            f"{export.r} to the change by a {source} adapter on "
            f"real text. On held-out tokens it misses {export.error:.2%} of the change (of "
            "Σ‖Δy‖², all layers "
            "together). It was not trained; on other text it may miss more."
        ),
    )
