"""The best rank-r linear fit of an adapter on real text, as a plain LoRA.

For adapters that cannot be merged, and for users without qtha-lab. The error of the fit is
reported; the nonlinear part of the change is lost.
"""

import dataclasses
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from jaxtyping import Float
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from peft.utils import SAFETENSORS_WEIGHTS_NAME
from safetensors.torch import save_file
from torch import Tensor
from transformers.pytorch_utils import Conv1D

from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.analysis.updates.activations import capture_inputs
from qtha_lab.analysis.updates.nonlinearity import best_linear_map
from qtha_lab.analysis.updates.update import adapted_layers, update_of
from qtha_lab.core.errors import Refusal
from qtha_lab.models.model_card import write_card
from qtha_lab.models.public_names import public_base

log = logging.getLogger(__name__)

HELD_OUT = 0.25  # share of the tokens for the error


@dataclasses.dataclass(frozen=True)
class LoraExport:
    """The folder of a fitted LoRA, and the error of the fit.

    Attributes:
        error: Share of Σ‖Δy‖² over held-out tokens of all layers that the LoRA misses.
        error_by_layer: The same share per layer.
        tokens: Number of tokens of the fit; a quarter was first held out for the errors.
    """

    folder: Path
    r: int
    error: float
    error_by_layer: dict[str, float]
    tokens: int


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
) -> LoraExport:
    """Save the best rank-r linear fit of an adapter as a plain PEFT LoRA.

    At each layer the fit is a ridge regression of Δy on the layer's input, followed by a projection
    on the r leading directions (reduced-rank regression). Layers are fitted one by one at their
    inputs in the adapted model, so errors of several layers can add up in the output.

    Args:
        model: Model with the adapter.
        dataset: Tokenised real text in batches, similar to the text of later use.
        r: Rank of the LoRA.
        folder: Output folder: safetensors, config, model card.
        adapter: Name of the adapter; None is the active one.
        base_model: Name of the base model for the card; default that in the PEFT config.
        max_tokens: Maximum number of tokens of the fit.
        seed: Seed of the choice of tokens.

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
    tensors, errors = {}, {}
    for name, module in adapted_layers(model).items():
        fitted = _fit(update_of(module, name, adapter).delta, inputs[name].double(), r)
        a, b, *errors[name] = fitted
        tensors[f"base_model.model.{name}.lora_A.weight"] = a
        tensors[f"base_model.model.{name}.lora_B.weight"] = b
    export = LoraExport(
        Path(folder),
        r,
        _share(*map(sum, zip(*errors.values(), strict=True))),
        {name: _share(*pair) for name, pair in errors.items()},
        len(next(iter(inputs.values()))),
    )
    tensors |= _saved_whole(model, adapter)
    _save(export, model, config, tensors, base_model)
    log.info(
        "adapter %s is written to %s as a LoRA, misses %.2g", adapter, export.folder, export.error
    )
    return export


def _fit(delta, x: Float[Tensor, "tokens in"], r: int) -> tuple[Tensor, Tensor, float, float]:
    """Fit A (r, in) and B (out, r) on all tokens; measure the error.

    The squared error and Σ‖Δy‖² are those of held-out tokens, from a fit without them.
    """
    y = torch.cat([delta(part) for part in x.split(256)])
    cut = int((1 - HELD_OUT) * len(x))
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    first, last = order[:cut], order[cut:]
    a, b = best_linear_map(x[first], y[first], r)
    missed = float((y[last] - x[last] @ a.mT @ b.mT).square().sum())
    a, b = best_linear_map(x, y, r)
    return a.float().contiguous(), b.float().contiguous(), missed, float(y[last].square().sum())


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
    layers = adapted_layers(model)
    lora = LoraConfig(
        r=export.r,
        lora_alpha=export.r,
        target_modules=list(layers),
        task_type=config.task_type,
        modules_to_save=config.modules_to_save,
        fan_in_fan_out=any(isinstance(m.get_base_layer(), Conv1D) for m in layers.values()),
        base_model_name_or_path=public_base(config.base_model_name_or_path or "") or None,
        inference_mode=True,
    )
    export.folder.mkdir(parents=True, exist_ok=True)
    lora.save_pretrained(str(export.folder))
    save_file(tensors, export.folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
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
            f"This LoRA is the best linear map of rank {export.r} to the change by a {source} "
            "adapter on "
            f"real text. On held-out tokens it misses {export.error:.2%} of the change (of "
            "Σ‖Δy‖², all layers "
            "together). It was not trained; on other text it may miss more."
        ),
    )
