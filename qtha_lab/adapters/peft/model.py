"""Routed experts of a mixture, which no adapter of a linear layer reaches.

transformers stores the experts of a block as parameters of three axes (expert, rows, columns), not
as linear layers.
"""

import contextlib
import copy
import logging
from collections.abc import Iterator
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer, _maybe_include_all_linear_layers
from peft.utils import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING, get_quantization_kwargs
from torch import nn

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.peft.config import AdapterConfig, block_of, layer_sizes
from qtha_lab.adapters.peft.experts import WRAPPER, ExpertLayer, expert_sizes
from qtha_lab.adapters.peft.layer import AdapterLayer
from qtha_lab.adapters.peft.shared_products import hold_products
from qtha_lab.core.errors import Unsupported


def unadapted_experts_note(model: nn.Module) -> str:
    """Describe the routed experts without adapters in a sentence; "" if there are none.

    Args:
        model: Model with or without adapters; may be on the meta device.

    Example:
        >>> import torch
        >>> block = nn.Module()
        >>> block.experts = nn.Module()
        >>> block.experts.down_proj = nn.Parameter(torch.zeros(4, 2, 3))
        >>> block.router = nn.Linear(2, 4, bias=False)
        >>> unadapted_experts_note(block)
        "Routed experts have 75% of the parameters and no adapter: they are no linear layers. ..."
    """
    total = sum(p.numel() for p in model.parameters())
    without = sum(p.numel() for p in _experts(model))
    if not without:
        return ""
    return (
        f"Routed experts have {without / total:.0%} of the parameters and no adapter: they are no "
        "linear layers. Linear methods reach them by target_parameters, as PEFT's LoraConfig."
    )


def _experts(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters of routed experts outside of adapted layers."""
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if inside and name.startswith(inside):
            continue
        if isinstance(module, BaseTunerLayer):
            inside = (*inside, f"{name}.")
        elif "expert" in name.rpartition(".")[2].lower():
            yield from (p for p in module.parameters(recurse=False) if p.dim() == 3)


log = logging.getLogger(__name__)


class AdapterModel(BaseTuner):
    """Model whose target layers have adapters of one of our methods."""

    target_module_mapping = TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    tuner_layer_cls: type[AdapterLayer]

    def _prepare_model(self, peft_config: AdapterConfig, model: nn.Module) -> None:
        blocks = [block_of(name) for name, _ in model.named_modules()]
        self._n_blocks = max((b for b in blocks if b is not None), default=-1) + 1
        self._sizes = self._sizes_by_name(peft_config, model)
        vars(peft_config).update(vars(peft_config.sized_for(tuple(self._sizes.values()))))
        is_silent = peft_config.target_parameters or any(p.is_meta for p in model.parameters())
        if not is_silent and (note := unadapted_experts_note(model)):
            log.warning("%s", note)
        self._owners: dict[str, AdapterLayer] = {}  # for the adapter that is being added

    def _sizes_by_name(
        self, peft_config: AdapterConfig, model: nn.Module
    ) -> dict[str, tuple[int, int]]:
        """Return (in_features, out_features) of every target layer, in the model's order."""
        config = copy.copy(peft_config)
        _maybe_include_all_linear_layers(config, model)
        modules, inside = {}, ()
        for name, module in model.named_modules():
            if name and not (inside and name.startswith(inside)):
                if isinstance(module, BaseTunerLayer):
                    inside = (*inside, f"{name}.")
                if self._check_target_module_exists(config, name):
                    modules[name] = module
        sizes = {name: layer_sizes(_base_of(module), name) for name, module in modules.items()}
        return sizes | expert_sizes(model, peft_config)

    def _create_and_replace(
        self,
        peft_config: AdapterConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
        **_: Any,
    ) -> None:
        sizes = self._sizes
        if current_key not in sizes:  # named only by the saved tensors
            sizes = {current_key: layer_sizes(_base_of(target), current_key)}
        layer = Layer(
            *sizes[current_key],
            name=current_key,
            block=block_of(current_key),
            n_blocks=self._n_blocks,
            index=list(sizes).index(current_key),
            sizes=tuple(sizes.values()),
        )
        name_of_target = getattr(target, "parameter_name", None)
        if isinstance(target, self.tuner_layer_cls) and name_of_target == parameter_name:
            target.update_layer(adapter_name, peft_config, layer, self._owners)
            return
        quantisation = get_quantization_kwargs(self)
        layer_class: Any = self.tuner_layer_cls
        if parameter_name:
            layer_class = getattr(layer_class, WRAPPER)
            quantisation["parameter_name"] = parameter_name
        new = layer_class(target, adapter_name, peft_config, layer, self._owners, **quantisation)
        if adapter_name not in self.active_adapters:
            new.requires_grad_(False)
        self._replace_module(parent, target_name, new, target)

    def _replace_module(
        self, parent: nn.Module, child_name: str, new_module: nn.Module, child: nn.Module
    ) -> None:
        """Replace a module; unwrapped experts have no weight that PEFT would set."""
        if isinstance(child, ExpertLayer) and not isinstance(new_module, BaseTunerLayer):
            setattr(parent, child_name, new_module)
        else:
            super()._replace_module(parent, child_name, new_module, child)

    def _cast_adapter_dtype(self, adapter_name: str, autocast_adapter_dtype: bool = True) -> None:
        """Keep adapters in float32 over a half-precision base.

        Without `autocast_adapter_dtype` they take the precision of the base.
        """
        super()._cast_adapter_dtype(adapter_name, autocast_adapter_dtype)
        if autocast_adapter_dtype:
            return
        for module in self.model.modules():
            if isinstance(module, self.tuner_layer_cls) and adapter_name in module.changes:
                _, dtype = module._get_base_layer_device_and_dtype(module.get_base_layer())
                module.cast_adapter(adapter_name, dtype or torch.float32)

    @contextlib.contextmanager
    def _enable_peft_forward_hooks(self, *args, **kwargs):
        """Hold products during PEFT's block around a forward pass or a generation."""
        if kwargs.get("adapter_names") is not None:
            raise Unsupported(
                f"adapter_names must be empty for {self.prefix.rstrip('_')} adapters, which "
                "cannot be mixed in a batch. Call set_adapter and run one batch per adapter."
            )
        with hold_products(self):
            yield

    def add_weighted_adapter(self, *_: Any, **__: Any) -> None:
        """Refuse to sum tensors, since a change is not linear in them.

        Raises:
            Unsupported: Always, with the remedy.
        """
        raise Unsupported(
            f"add_weighted_adapter must not be called for {self.prefix.rstrip('_')} adapters, "
            "whose change is not linear in their tensors. Use qtha_lab.adapters.weigh(model, "
            "{name: weight}), which sums the changes."
        )


def _base_of(module: nn.Module) -> nn.Module:
    return module.get_base_layer() if isinstance(module, BaseTunerLayer) else module
