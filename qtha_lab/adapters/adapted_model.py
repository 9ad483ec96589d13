"""Add adapters to models, and count their parameters beforehand.

PEFT's errors become refusals in one sentence. The mathematics is in `peft` and the method files;
`loading` loads saved adapters.
"""

import contextlib
import copy
import logging
import re
import warnings
from collections import Counter
from typing import Any

import torch
from peft import PeftConfig, PeftMixedModel, PeftModel, PeftType, get_peft_model
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from peft.tuners.tuners_utils import BaseTunerLayer, _maybe_include_all_linear_layers
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from qtha_lab.adapters.change import Change, Layer
from qtha_lab.adapters.method import all_linear_or
from qtha_lab.adapters.peft import CONVOLUTIONS, LINEAR, AdapterConfig, AdapterLayer
from qtha_lab.adapters.peft.layer import check_adapter_name
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.libraries import ONE_THREAD
from qtha_lab.core.settings import nearest

log = logging.getLogger(__name__)


def add_adapter(model: nn.Module, peft_config: PeftConfig, name: str = "default") -> PeftModel:
    """Add an adapter by `get_peft_model`, after checks with clear error messages.

    A PeftModel receives one more adapter of its own method, which stays inactive until
    `set_adapter`.

    Args:
        model: Model to adapt in place; may be on the meta device.
        peft_config: Config of any method, ours or PEFT's, with `target_modules`.
        name: Name of the adapter, without a dot; no part of the prefix of the method's tensors.

    Returns:
        The PeftModel; the same one if `model` was one already.

    Raises:
        Refusal: If the targets match nothing, the method cannot adapt them, the name is taken or
            ambiguous, or the model holds adapters of another method.

    Example:
        >>> from peft import LoraConfig
        >>> model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
        >>> add_adapter(model, LoraConfig(r=2, target_modules=["2"]))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: target_modules must match modules of the model, got '2'. ...
        >>> add_adapter(model, LoraConfig(r=2, target_modules=["0"])).active_adapter
        'default'
    """
    check_targets(model, targets_of(peft_config))
    check_name(name, peft_config)
    if isinstance(model, PeftModel | PeftMixedModel):
        _check_beside(model, peft_config, name)
        assert isinstance(model, PeftModel)
        with _in_one_sentence(peft_config):
            model.add_adapter(name, peft_config)
        return model
    log.debug("%s %r is put on %s", kind_of(peft_config), name, type(model).__name__)
    with _in_one_sentence(peft_config):
        adapted = get_peft_model(model, peft_config, adapter_name=name)
    assert isinstance(adapted, PeftModel)  # `mixed` is off
    return adapted


def targets_of(config: PeftConfig) -> Any:
    """Return the target modules of a config of any method."""
    return getattr(config, "target_modules", None)


def kind_of(config: PeftConfig) -> str:
    """Return PEFT's name for the method of a config, in lower case: "lora"."""
    return str(getattr(config.peft_type, "value", config.peft_type)).lower()


def check_name(name: str, config: PeftConfig) -> None:
    """Refuse adapter names with which PEFT would lose tensors."""
    prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(PeftType(kind_of(config).upper()), "")
    check_adapter_name(name, prefix)


def _check_beside(model: PeftModel | PeftMixedModel, peft_config: PeftConfig, name: str) -> None:
    kinds = {kind_of(config) for config in model.peft_config.values()}
    kind = kind_of(peft_config)
    if isinstance(model, PeftMixedModel) or kinds != {kind}:
        raise Refusal(
            f"A {type(model).__name__} with {', '.join(sorted(kinds))} must get adapters of the "
            f"same method, got {kind}. Call add_adapter(config, adapter_name) of the transformers "
            "model for each, then set_adapter([names])."
        )
    if name in model.peft_config:
        raise Refusal(
            f"The adapter name must be new, got {name!r}, which the model has. Choose another name."
        )


def check_targets(model: nn.Module, target_modules: Any) -> None:
    """Refuse target names that match no module, and list the linear layers.

    Args:
        model: Model to adapt; may be on the meta device.
        target_modules: Value as in a PEFT config; None leaves the choice to PEFT.

    Raises:
        Refusal: If a name or the pattern matches nothing, with the names of the linear layers.
    """
    target_modules = all_linear_or(target_modules)
    if target_modules == "all-linear":
        _check_routers(model)
    if target_modules is None or target_modules == "all-linear":
        return
    names = [name for name, _ in model.named_modules() if name]
    if isinstance(target_modules, str):
        if not any(re.fullmatch(target_modules, name) for name in names):
            raise _no_match(model, target_modules)
        return
    if not target_modules:
        raise Refusal("target_modules is empty. Name modules, or use all-linear.")
    for target in target_modules:
        if not any(name == target or name.endswith(f".{target}") for name in names):
            raise _no_match(model, target)


def _check_routers(model: nn.Module) -> None:
    """Refuse linear layers that return tuples: the routers of Llama 4 and PhiMoE."""
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear) and type(module).__name__.endswith("Router"):
            name = path.rpartition(".")[2]
            others = ", ".join(other for other in linear_names(model) if other != name)
            raise Refusal(
                f"target_modules must leave out {name}, a {type(module).__name__} whose result is "
                f"a tuple, got 'all-linear'. Name other layers: {shortened(others, 120)}."
            )


def _no_match(model: nn.Module, target: str) -> Refusal:
    names = linear_names(model)
    close = nearest(target, names)
    hint = f" Did you mean {close!r}?" if close else ""
    return Refusal(
        f"target_modules must match modules of the model, got {shortened(target, 60)!r}.{hint} "
        f"Linear layers here are {shortened(', '.join(names), 150)}; all-linear adapts all of them."
    )


def linear_names(model: nn.Module) -> list[str]:
    """List the names of all layers that can be adapted, in order of first appearance.

    A name is the last part of the module's path.
    """
    modules = model.named_modules()
    names = (name for name, module in modules if isinstance(module, (*LINEAR, *CONVOLUTIONS)))
    return list(dict.fromkeys(name.rpartition(".")[2] for name in names))


def with_named_targets(model: nn.Module, config: PeftConfig) -> PeftConfig:
    """Return a copy of a config with layer names in place of "all-linear"."""
    return _maybe_include_all_linear_layers(copy.copy(config), model)


def adapted_layers(model: nn.Module, peft_config: AdapterConfig) -> list[Layer]:
    """List every layer that one of our configs would adapt, in the model's order."""
    return [change.layer for change in changes_on(adapted_skeleton(model, peft_config))]


def adapted_sizes(model: nn.Module, peft_config: AdapterConfig) -> list[tuple[int, int]]:
    """List (in_features, out_features) of every layer that a config would adapt."""
    return tuner_layer_sizes(adapted_skeleton(model, peft_config))


def changes_on(adapted: nn.Module) -> list[Change]:
    """List the `Change` of every layer and adapter of ours on a model."""
    layers = (module for module in adapted.modules() if isinstance(module, AdapterLayer))
    return [change for layer in layers for change in layer.changes.values()]


def tuner_layer_sizes(adapted: nn.Module) -> list[tuple[int, int]]:
    """List (in_features, out_features) of every layer with adapters."""
    layers = (module for module in adapted.modules() if isinstance(module, BaseTunerLayer))
    return [(getattr(m, "in_features"), getattr(m, "out_features")) for m in layers]  # noqa: B009


def count_trainable(model: nn.Module, peft_config: PeftConfig) -> int:
    """Count the parameters that adapters would train, without changing the model.

    Allocates no weights. Leaves out whole modules that are trained too (`modules_to_save`).

    Raises:
        Refusal: If the method cannot adapt this model.
    """
    check_targets(model, targets_of(peft_config))
    return trainable_on(adapted_skeleton(model, peft_config))


def trainable_on(adapted: nn.Module) -> int:
    """Count the trained parameters of the adapters on a model, without whole modules."""
    whole = {
        id(p)
        for module in adapted.modules()
        if isinstance(module, AuxiliaryTrainingWrapper)
        for p in module.parameters()
    }
    return sum(p.numel() for p in adapted.parameters() if p.requires_grad and id(p) not in whole)


def adapted_skeleton(model: nn.Module, peft_config: PeftConfig) -> PeftModel:
    """Copy a model to the meta device and add adapters there.

    `torch.device` applies to the current thread only. PEFT's `low_cpu_mem_usage` would replace a
    method of `nn.Module` for the whole process, and two concurrent threads leave the method
    replaced.
    """
    config = copy.deepcopy(peft_config)
    if hasattr(
        config, "init_lora_weights"
    ):  # some initialisations need weights or rows, absent here
        setattr(config, "init_lora_weights", True)  # noqa: B010  a field of LoRA's alone
    with _in_one_sentence(config), torch.device("meta"):
        return get_peft_model(skeleton(model), config)


def skeleton(model: nn.Module) -> nn.Module:
    """Copy a model to the meta device: every module, no weights."""
    memo: dict[int, Any] = {}
    for p in model.parameters():
        memo[id(p)] = nn.Parameter(
            torch.empty(p.shape, dtype=p.dtype, device="meta"), requires_grad=False
        )
    for buffer in model.buffers():
        memo[id(buffer)] = torch.empty(buffer.shape, dtype=buffer.dtype, device="meta")
    return copy.deepcopy(model, memo)


@contextlib.contextmanager
def _in_one_sentence(peft_config: PeftConfig):
    """Convert PEFT's errors to refusals that name the method, and mute unrelated warnings."""
    try:
        with ONE_THREAD, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are trying to modify a model with PEFT")
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing`"
            )  # peft reads it
            yield
    except (TypeError, ValueError, NotImplementedError, KeyError) as problem:
        fault = "" if isinstance(problem, Refusal) else " must fit this model, got from PEFT"
        raise Refusal(f"{kind_of(peft_config)}{fault}: {problem}") from problem


def circuits_of(model: nn.Module, peft_config: PeftConfig) -> Counter[Circuit]:
    """Count every circuit that a config runs on a model, per layer.

    The count is empty for PEFT's own methods. Some circuits depend on the size of their layer, so
    use this function instead of the config.
    """
    if not isinstance(peft_config, AdapterConfig):
        return Counter()
    check_targets(model, peft_config.target_modules)
    return circuits_on(adapted_skeleton(model, peft_config))


def circuits_on(adapted: nn.Module) -> Counter[Circuit]:
    """Count the layers that run each circuit of the adapters on a model."""
    changes = changes_on(adapted)
    return Counter(circuit for change in changes for circuit in change.circuits())
