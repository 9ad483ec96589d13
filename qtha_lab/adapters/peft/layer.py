"""A layer with adapters of one of our methods beside it: PEFT's tuner layer.

Holds no mathematics: a method file gives tensors, their start and `delta`.

Trained tensors live in one flat `nn.ParameterDict` per name, frozen ones in a dictionary of buffers, keyed
by adapter name: nested modules would lose their weights in transformers' own `model.load_adapter`.
"""

import contextlib
import warnings
from typing import Any, ClassVar

import torch
from peft.tuners._buffer_dict import BufferDict
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from qtha_lab.adapters.method import Change, Layer
from qtha_lab.adapters.peft.base_layer import quantised_kind
from qtha_lab.adapters.peft.config import AdapterConfig
from qtha_lab.errors import Refusal, Unsupported


class AdapterLayer(nn.Module, BaseTunerLayer):
    """A linear layer with adapters of one method of ours beside it."""

    prefix: ClassVar[str]
    other_param_names: tuple[str, ...] = ("changes", "dropouts", "factors")

    def __init__(self, base_layer: nn.Module, adapter_name: str, config, layer: Layer, **quantised):
        super().__init__()
        self.base_layer = base_layer
        self.quantization_backend = resolve_quantization_backend(self.get_base_layer(), **quantised)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.adapter_layer_names = ()
        self.tensor_names: dict[str, str] = {}  # of what holds them, by the attribute's name
        self.changes: dict[str, Change] = {}
        self.dropouts: dict[str, float] = {}
        self.factors: dict[str, float] = {}  # of the changes, 1 unless weighed; never saved
        self._disable_adapters = False
        self.merged_adapters = []
        self._weight_before: Tensor | None = None  # while adapters are merged
        self._active_adapter = adapter_name
        self.train(base_layer.training)
        self.update_layer(adapter_name, config, layer)

    def update_layer(self, adapter_name: str, config: AdapterConfig, layer: Layer) -> None:
        """Add an adapter (or replace the one of that name) with freshly drawn tensors."""
        if adapter_name in self.prefix or "." in adapter_name:
            raise Refusal(
                f"adapter name {adapter_name!r} would be confused with the tensor names "
                f"'{self.prefix}…': choose a name without a dot that is no part of {self.prefix!r}"
            )
        change = config.change(layer)
        for held in self._stores(adapter_name).values():
            del held[adapter_name]
        device, dtype = self._device_and_dtype()
        for name, spec in change.tensors().items():
            start = torch.empty(
                spec.shape, dtype=dtype, device="meta" if device.type == "meta" else "cpu"
            )
            held = self._store(name, spec.trainable)
            held[adapter_name] = nn.Parameter(start) if spec.trainable else start
        self.changes[adapter_name] = change
        self.dropouts[adapter_name] = config.dropout
        self.factors[adapter_name] = 1.0
        tensors = self.adapter_tensors(adapter_name)
        if not any(tensor.is_meta for tensor in tensors.values()):
            with torch.no_grad():
                change.initialise(tensors)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def _store(self, name: str, trainable: bool) -> nn.ParameterDict | BufferDict:
        """Where the tensors of that name are, one an adapter; made when first asked for."""
        attribute = f"{self.prefix}{'' if trainable else 'frozen_'}{name}"
        if attribute not in self._modules:
            setattr(self, attribute, nn.ParameterDict() if trainable else BufferDict(None, True))
            self.tensor_names[attribute] = name
            kind = "adapter_layer_names" if trainable else "other_param_names"
            setattr(self, kind, (*getattr(self, kind), attribute))
        return self._modules[attribute]

    def _stores(self, adapter_name: str) -> dict[str, nn.ParameterDict | BufferDict]:
        """Where an adapter's tensors are, by the names its method gave them."""
        held = ((name, self._modules[attribute]) for attribute, name in self.tensor_names.items())
        return {name: holder for name, holder in held if adapter_name in holder}

    def adapter_tensors(self, adapter_name: str) -> dict[str, Tensor]:
        """The tensors of an adapter by the names its method gave them."""
        return {name: held[adapter_name] for name, held in self._stores(adapter_name).items()}

    def set_scale(self, adapter: str, scale: float) -> None:
        """Multiply an adapter's change by a factor (not on top of an earlier one), as LoRA's does."""
        if adapter in self.factors:
            self.factors[adapter] = float(scale)

    def cast_adapter(self, adapter_name: str, dtype: torch.dtype) -> None:
        """Keep an adapter's tensors in another precision."""
        for held in self._stores(adapter_name).values():
            old = held[adapter_name]
            new = old.detach().to(dtype)
            trained = isinstance(old, nn.Parameter)
            held[adapter_name] = nn.Parameter(new, old.requires_grad) if trained else new

    def _device_and_dtype(self) -> tuple[torch.device, torch.dtype]:
        """Device of the base weight; float64 where it is float64, else the float32 island."""
        device, dtype = self._get_base_layer_device_and_dtype(self.get_base_layer())
        return device or torch.device("cpu"), compute_dtype(dtype)

    def _move_adapter_to_device_of_base_layer(self, adapter_name, device=None) -> None:
        """Move to the base layer's device; unlike PEFT's, never down to its half precision."""
        home = device or self._device_and_dtype()[0]
        for held in self._stores(adapter_name).values():
            if not held[adapter_name].is_meta:
                held[adapter_name] = held[adapter_name].to(home)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._disable_adapters and self.merged_adapters:
            self.unmerge()
        result = self.base_layer(x, *args, **kwargs)
        if self._disable_adapters or self.merged_adapters:
            return result
        active = [name for name in self.active_adapters if name in self.changes]
        return (result + self._change(x, active)).to(result.dtype) if active else result

    def _change(self, x: Tensor, active: list[str]) -> Tensor:
        """The sum of the active adapters' changes, computed in float32 with autocast off."""
        with without_autocast(x.device.type):
            total = None
            for name in active:
                tensors = self.adapter_tensors(name)
                dtype = compute_dtype(x.dtype, *(tensor.dtype for tensor in tensors.values()))
                x = x if x.dtype == dtype else x.to(dtype)
                tensors = {k: t if t.dtype == dtype else t.to(dtype) for k, t in tensors.items()}
                rate = self.dropouts[name]
                dropped = nn.functional.dropout(x, rate) if rate and self.training else x
                delta = self._weighed(name, self.changes[name].delta(tensors, dropped))
                total = delta if total is None else total + delta
            return total

    def _weighed(self, name: str, change: Tensor) -> Tensor:
        return change if self.factors[name] == 1 else change * self.factors[name]

    @torch.no_grad()
    def delta_weight(self, adapter: str) -> Tensor:
        """The change of weight of a linear adapter, times its factor, (out_features, in_features)."""
        self._refuse_unless_linear(adapter)
        tensors = self.adapter_tensors(adapter)
        dtype = compute_dtype(*(tensor.dtype for tensor in tensors.values()))
        with without_autocast(self._device_and_dtype()[0].type):
            tensors = {k: t.to(dtype) for k, t in tensors.items()}
            return self._weighed(adapter, self.changes[adapter].delta_weight(tensors))

    def get_delta_weight(self, adapter: str) -> Tensor:
        """PEFT's name for the change of weight, laid out as the base weight is."""
        change = self.delta_weight(adapter)
        return change.mT if isinstance(self.get_base_layer(), Conv1D) else change

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        change = self.changes.get(adapter_name)
        return change is not None and change.is_linear(change.config)

    def _refuse_unless_linear(self, adapter: str) -> None:
        change = self.changes[adapter]
        if not change.is_linear(change.config):
            raise Unsupported(
                f"adapter {adapter!r} cannot be merged: {change.not_mergeable(change.config)}"
            )

    def _refuse_if_quantised(self) -> None:
        base = self.get_base_layer()
        kind = quantised_kind(base)
        if kind is not None:
            raise Unsupported(
                f"the base weight is quantised ({kind}), and a sum would be rounded to it again, so "
                "merging would not be exact. Keep the adapter beside the model (save_pretrained), or "
                "load the base without quantisation, put the adapter on it and merge there"
            )

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add linear adapters into the base weight, which is kept to be put back by `unmerge`.

        Raises:
            Unsupported: If an adapter's change is not one matrix; says what to do instead.
            ValueError: If `safe_merge` finds values that are not finite.
        """
        wanted = check_adapters_to_merge(self, adapter_names)
        wanted = [name for name in wanted if name in self.changes]
        for name in wanted:
            self._refuse_unless_linear(name)
        if wanted:
            self._refuse_if_quantised()
        for name in wanted:
            weight = self.get_base_weight()
            merged = (weight + self.get_delta_weight(name)).to(weight.dtype)
            if safe_merge and not torch.isfinite(merged).all():
                raise Refusal(
                    f"NaNs detected in the merged weights. The adapter {name} seems to be broken: it would "
                    f"make the weights of {self.changes[name].layer.name!r} infinite or not a number, so "
                    "it was not merged"
                )
            if not self.merged_adapters:
                self._weight_before = weight  # a tensor of its own: merging makes a new one
            self.set_base_weight(merged)
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Put the base weight back, bit by bit as it was before `merge`."""
        if not self.merged:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
            return
        weight = self.get_base_weight()
        self.set_base_weight(self._weight_before.to(weight.device, weight.dtype))
        self._weight_before = None
        self.merged_adapters.clear()

    def __repr__(self) -> str:
        return self.prefix.rstrip("_") + "." + super().__repr__()


def compute_dtype(*dtypes: torch.dtype | None) -> torch.dtype:
    """The precision adapters compute in: float64 if any input is, else float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def without_autocast(device_type: str):
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()
