"""LoRA initialisations of PEFT from base weights or training rows, by PEFT's names.

PEFT holds the mathematics. This module lists the requirements of each initialisation, and handles
changed base weights. PiSSA, OLoRA, CorDA and LoRA-GA subtract s · B₀ A₀ from the frozen weight, so
training computes

    y = (W − s B₀ A₀) x + s B A x        and the change of the model is  s (B A − B₀ A₀)

B₀ and A₀ are stored at the layer and with each checkpoint. The saved adapter is a plain LoRA of
rank 2 r, [A; A₀] and [B, −B₀], for the unchanged base. PEFT's own conversion omits the
classification head, so it is not used.

Source:
    PiSSA, Meng et al. 2024, arXiv:2404.02948; OLoRA, Büyükakyüz 2024, arXiv:2406.01775; EVA,
    Paischer et al. 2024, arXiv:2410.07170; CorDA, Yang et al. 2024, arXiv:2406.05223; LoRA-GA, Wang
    et al. 2024, arXiv:2407.05000.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from peft import LoraConfig, PeftConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.config import CordaConfig, EvaConfig, LoraGAConfig
from safetensors.torch import save
from torch import Tensor, nn

from qtha_lab.adapters.adapted_model import add_adapter, with_named_targets
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_tensors, remove, write_atomically

FILE = "start.safetensors"
ROWS = 64  # default number of training rows


@dataclasses.dataclass(frozen=True)
class LoraInitialisation:
    """Requirements and settings of one initialisation.

    Attributes:
        reads_rows: Whether the initialisation reads training rows.
        moves_weight: Whether it moves a part of the frozen weight to the adapter.
        at_most: Factor c with c · r at most the smaller size of a layer; 0 for no limit.
        settings: PEFT's config of the initialisation, as keyword arguments.
    """

    reads_rows: bool = False
    moves_weight: bool = False
    at_most: int = 0
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


_OF_WEIGHT = LoraInitialisation(moves_weight=True, at_most=1)
LORA_INITIALISATIONS: dict[bool | str, LoraInitialisation] = {
    True: LoraInitialisation(),
    "gaussian": LoraInitialisation(),
    "orthogonal": LoraInitialisation(),
    "pissa": _OF_WEIGHT,
    "pissa_niter_4": _OF_WEIGHT,
    "pissa_niter_16": _OF_WEIGHT,
    "olora": _OF_WEIGHT,
    # no redistribution of ranks, so that every layer keeps its r and the count is known
    "eva": LoraInitialisation(
        reads_rows=True, at_most=1, settings={"eva_config": EvaConfig(rho=1.0)}
    ),
    "corda": LoraInitialisation(True, True, at_most=1, settings={"corda_config": CordaConfig()}),
    "lora_ga": LoraInitialisation(
        True, True, at_most=2, settings={"lora_ga_config": LoraGAConfig()}
    ),
}
"""Every start by PEFT's name; True is its usual one, A at random and B zero."""


def lora_initialisation(config: PeftConfig) -> LoraInitialisation:
    """Return the requirements of a config's LoRA initialisation.

    Returns those of the default one for other methods and unlisted names.

    Example:
        >>> lora_initialisation(LoraConfig(init_lora_weights="olora")).moves_weight
        True
    """
    name = getattr(config, "init_lora_weights", True)
    return LORA_INITIALISATIONS.get(name, LORA_INITIALISATIONS[True])


def initialisation_note(config: PeftConfig) -> str:
    """Return a notice for an initialisation that changes the initial output by rounding errors.

    Returns "" for other initialisations.

    Example:
        >>> initialisation_note(LoraConfig(init_lora_weights="gaussian"))
        ''
    """
    name, rounded = (
        getattr(config, "init_lora_weights", True),
        "the initial evaluation loss equals the base's up to rounding",
    )
    if lora_initialisation(config).moves_weight:
        r = getattr(config, "r", 0)
        return (
            f"init_lora_weights={name} subtracts a product from the base weights: {rounded}. The "
            f"adapter is saved as a plain LoRA of rank {2 * r} for the unchanged base."
        )
    return (
        f"init_lora_weights=orthogonal gives a product B·A of rounding errors: {rounded}."
        if name == "orthogonal"
        else ""
    )


def add_initialised(
    model: nn.Module, config: PeftConfig, batches: Sequence[Mapping[str, Tensor]] = ()
) -> PeftModel:
    """Add an adapter with the initialisation that its config names.

    Temporarily needs a second copy of the adapted weights if a part of them is moved, and their
    gradients for LoRA-GA.

    Args:
        model: The base model.
        config: Config of any method.
        batches: Model inputs with labels, for an initialisation that reads rows.

    Raises:
        Refusal: If PEFT cannot apply the initialisation here.
    """
    start = lora_initialisation(config)
    if start == LORA_INITIALISATIONS[True]:
        return add_adapter(model, config)
    assert isinstance(config, LoraConfig)
    before = dict(_weights(model, config)) if start.moves_weight else {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Full backward hook is firing")
        warnings.filterwarnings("ignore", message="lora with eva initialization used with low_cpu")
        _read_rows(model, config, batches)
        adapted = add_adapter(model, config)
    if config.init_lora_weights == "eva":
        _start_at_inputs(adapted, batches)
    for layer in _layers(adapted) if start.moves_weight else ():
        weight = cast(Tensor, layer.get_base_layer().weight)
        weight.data = before[id(weight)]
        _take_out(layer, _weight(layer.lora_A), _weight(layer.lora_B))
    return adapted


def add_for_checkpoint(model: nn.Module, config: PeftConfig, folder: Path) -> PeftModel:
    """Add an adapter for the tensors of a checkpoint, with the checkpoint's base weights.

    Args:
        model: The base model.
        config: Config of any method.
        folder: Checkpoint folder; holds `FILE` if the initialisation moved a part of the weights.
    """
    start = lora_initialisation(config)
    if start == LORA_INITIALISATIONS[True]:
        return add_adapter(model, config)
    assert isinstance(config, LoraConfig)
    name, config.init_lora_weights = config.init_lora_weights, True
    adapted = add_adapter(model, config)
    config.init_lora_weights = name
    if start.moves_weight:
        tensors = load_tensors(folder / FILE)
        for key, layer in _named_layers(adapted):
            _take_out(layer, tensors[f"{key}.lora_A.weight"], tensors[f"{key}.lora_B.weight"])
    return adapted


def subtracted_product(layer: Any) -> tuple[Tensor, Tensor] | None:
    """Return (A₀, B₀) that was subtracted from a layer's weight; None if unchanged."""
    a, b = getattr(layer, "start_A", None), getattr(layer, "start_B", None)
    return None if a is None or b is None else (a, b)


def save_initialisation(model: nn.Module, folder: Path) -> None:
    """Save A₀ and B₀ of all layers as `FILE` in a folder.

    Writes nothing if the weights are unchanged.
    """
    tensors = {
        f"{key}.lora_{side}.weight": tensor.contiguous()
        for key, layer in _named_layers(model)
        for side, tensor in zip("AB", subtracted_product(layer) or (), strict=False)
    }
    if tensors:
        write_atomically(folder / FILE, save(tensors, metadata={"format": "pt"}))


def save_whole(folder: Path, target: Path) -> None:
    """Convert an adapter with `FILE` to a plain LoRA of twice the rank.

    The result is for the unchanged base.

    Args:
        folder: Folder written by `save_pretrained` and `save_initialisation`.
        target: Output folder; may be the same folder, from which `FILE` is then removed.
    """
    tensors, started = (
        load_tensors(folder / "adapter_model.safetensors"),
        load_tensors(folder / FILE),
    )
    for key, start in started.items():
        is_a = ".lora_A." in key
        both = [tensors[key], start.to(tensors[key].dtype) * (1 if is_a else -1)]
        tensors[key] = torch.cat(both, 0 if is_a else 1).contiguous()
    config = cast(LoraConfig, LoraConfig.from_pretrained(str(folder)))
    config.lora_alpha *= math.sqrt(2) if config.use_rslora else 2  # type: ignore[assignment]
    config.r *= 2
    config.init_lora_weights, config.corda_config, config.lora_ga_config = True, None, None
    if folder == target:
        remove(folder / FILE)
    weights = save(tensors, metadata={"format": "pt"})
    write_atomically(target / "adapter_model.safetensors", weights)
    config.save_pretrained(str(target))


@contextlib.contextmanager
def base_alone(model: PeftModel) -> Iterator[None]:
    """Compute as the original base model inside the block.

    Adapters are disabled, and the part subtracted from the weights is added back.
    """
    hooks = []
    for layer in _layers(model):
        if (start := subtracted_product(layer)) is not None:
            scale = layer.scaling["default"]
            hooks.append(layer.get_base_layer().register_forward_hook(_giving_back(*start, scale)))
    try:
        with model.disable_adapter():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _giving_back(a: Tensor, b: Tensor, scale: float):
    def give_back(module: nn.Module, arguments: tuple, output: Tensor) -> Tensor:
        x = arguments[0].to(a.dtype)
        return output + scale * nn.functional.linear(nn.functional.linear(x, a), b)

    return give_back


def _read_rows(model: nn.Module, config: LoraConfig, batches: Sequence[Mapping]) -> None:
    """Run PEFT's preprocessing of LoRA-GA or CorDA on the base model."""
    from peft.tuners.lora.corda import preprocess_corda
    from peft.tuners.lora.loraga import preprocess_loraga

    device = next(model.parameters()).device

    def backward() -> None:
        model.eval()
        for batch in batches:
            model(**{name: tensor.to(device) for name, tensor in batch.items()}).loss.backward()

    def forward() -> None:  # PEFT takes the inputs of one row at a time
        for batch in batches:
            for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True):
                model(input_ids=row[mask.bool()].unsqueeze(0).to(device))

    if config.init_lora_weights == "lora_ga":
        preprocess_loraga(model, config, backward)
    elif config.init_lora_weights == "corda":
        preprocess_corda(model, config, forward)


def _start_at_inputs(model: PeftModel, batches: Sequence[Mapping[str, Tensor]]) -> None:
    """Initialise A by EVA: principal components of the layer's inputs.

    The inputs are those at answer positions, if labels mark answers.
    """
    from peft import initialize_lora_eva_weights

    config = cast(LoraConfig, model.peft_config["default"])
    inputs = [_positions(batch) for batch in batches]
    counts = [
        int((b["labels"] != -100).sum() if "labels" in b else b["attention_mask"].sum())
        for b in inputs
    ]
    if max(counts, default=0) < config.r:
        raise Refusal(
            f"init_lora_weights=eva must read at least r={config.r} tokens in a batch, got "
            f"{max(counts, default=0)}. Raise start_rows or batch_size."
        )
    initialize_lora_eva_weights(model, inputs, show_progress_bar=False)  # type: ignore[arg-type]


def _positions(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop labels of rows from a batch, since PEFT's EVA expects labels of positions."""
    return {n: t for n, t in batch.items() if n != "labels" or t.dim() > 1}


def _weights(model: nn.Module, config: PeftConfig) -> Iterator[tuple[int, Tensor]]:
    """Yield a copy of every adapted weight, by the id of its parameter."""
    from peft.tuners.tuners_utils import check_target_module_exists

    config = with_named_targets(model, config)
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, Tensor) and check_target_module_exists(config, name):
            yield id(weight), weight.detach().clone()


@torch.no_grad()
def _take_out(layer: LoraLayer, a: Tensor, b: Tensor) -> None:
    """Subtract s · B₀ A₀ from the weight and store both; deterministic."""
    module, base = cast(nn.Module, layer), layer.get_base_layer()
    weight = cast(Tensor, base.weight)
    a, b = (t.detach().clone().to(weight.device, torch.float32) for t in (a, b))
    module.register_buffer("start_A", a, persistent=False)
    module.register_buffer("start_B", b, persistent=False)
    part = (layer.scaling["default"] * b) @ a
    weight.data = weight.data - (part.mT if getattr(layer, "fan_in_fan_out", False) else part)


def _weight(part: nn.ModuleDict) -> Tensor:
    return cast(Tensor, part["default"].weight)


def _named_layers(model: nn.Module) -> Iterator[tuple[str, LoraLayer]]:
    for name, module in model.named_modules():
        if isinstance(module, LoraLayer) and "default" in module.lora_A:
            yield name, module


def _layers(model: nn.Module) -> Iterator[LoraLayer]:
    return (layer for _, layer in _named_layers(model))
