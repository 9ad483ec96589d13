"""Tuner layer of PEFT for one of our methods.

Holds no mathematics: a method file gives tensors, their initialisation and `delta`. Trained tensors
are in one flat `nn.ParameterDict` per name, frozen ones in a dictionary of buffers, keyed by
adapter name. Nested modules would lose their weights in transformers' own `model.load_adapter`.
Tensors that several layers share are stored at the first of them; the others refer to that layer.
The layers of PEFT's LoRA hold two matrices, A and B, and no other tensors.
"""

import contextlib
import functools
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from peft.tuners._buffer_dict import BufferDict
from peft.tuners.tuners_utils import BaseTunerLayer, check_adapters_to_merge
from peft.utils import resolve_quantization_backend
from torch import Tensor, nn

from qtha_lab.adapters.change import Base, Change, Layer, TensorSpec
from qtha_lab.adapters.peft.config import (
    CONVOLUTIONS,
    AdapterConfig,
    as_matrix,
    as_weight,
    inputs_of,
    output_rows,
    outputs_of,
    quantised_kind,
)
from qtha_lab.adapters.peft.generation import with_change
from qtha_lab.adapters.peft.shared_products import with_products
from qtha_lab.core.errors import Refusal, Unsupported


class AdapterLayer(nn.Module, BaseTunerLayer):
    """Linear layer or convolution with adapters of one of our methods."""

    prefix: ClassVar[str]
    other_param_names: tuple[str, ...] = ("changes", "dropouts", "factors", "owners")

    def __init__(
        self,
        base_layer: nn.Module,
        adapter_name: str,
        config: AdapterConfig,
        layer: Layer,
        owners: dict[str, "AdapterLayer"] | None = None,
        **quantisation: Any,
    ):
        super().__init__()
        self.base_layer = base_layer
        base = self.get_base_layer()
        self.quantization_backend = resolve_quantization_backend(base, **quantisation)
        self.in_features, self.out_features = layer.in_features, layer.out_features
        self.adapter_layer_names = ()
        self.tensor_names: dict[str, str] = {}  # tensor name by attribute name of its store
        self.changes: dict[str, Change] = {}
        self.dropouts: dict[str, float] = {}
        self.factors: dict[str, float] = {}  # on the changes, 1 unless weighed; never saved
        # Layers that store the shared tensors of an adapter; in dictionaries, so that torch does
        # not register them as submodules.
        self.owners: dict[str, dict[str, AdapterLayer]] = {}
        self._disable_adapters = False
        self.merged_adapters = []
        self._weight_before: Tensor | None = None  # while adapters are merged
        # a base that rounds its weight in each pass rounds it with the changes
        self._rounds_changes = bool(getattr(base, "rounds_changes", False))
        self._active_adapter = adapter_name
        self.train(base_layer.training)
        self.update_layer(adapter_name, config, layer, owners)

    def update_layer(
        self,
        adapter_name: str,
        config: AdapterConfig,
        layer: Layer,
        owners: dict[str, "AdapterLayer"] | None = None,
    ) -> None:
        """Add or replace an adapter, with newly drawn tensors.

        Args:
            adapter_name: Name of the adapter.
            config: Settings of the adapter.
            layer: Sizes and position of this layer.
            owners: Layers that store the adapter's shared tensors so far; extended by this layer's
                new ones.
        """
        check_adapter_name(adapter_name, self.prefix)
        change = config.change(layer)
        change.all_tensors()  # refuses duplicate names
        for store in self._stores(adapter_name).values():
            del store[adapter_name]
        self._add_tensors(adapter_name, change.tensors())
        new = self._share(adapter_name, change, {} if owners is None else owners)
        self.changes[adapter_name] = change
        self.dropouts[adapter_name] = config.dropout
        self.factors[adapter_name] = 1.0
        self._fill(adapter_name, new)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def _add_tensors(
        self, adapter_name: str, specs: Mapping[str, TensorSpec], infix: str = ""
    ) -> None:
        device, dtype = self._device_and_dtype()
        device = torch.device("meta" if device.type == "meta" else "cpu")
        for name, spec in specs.items():
            start = torch.empty(spec.shape, dtype=dtype, device=device)
            store = self._store(name, spec.trainable, infix)
            store[adapter_name] = nn.Parameter(start) if spec.trainable else start

    def _share(
        self, adapter_name: str, change: Change, owners: dict[str, "AdapterLayer"]
    ) -> list[str]:
        """Store the shared tensors without an owner, and record the owners of the others."""
        specs = change.shared_tensors()
        new = {name: spec for name, spec in specs.items() if name not in owners}
        for name in specs.keys() - new:
            before = owners[name].changes[adapter_name].shared_tensors()[name]
            if before != specs[name]:
                raise Refusal(
                    f"Shared tensor {name!r} must have one shape, got {before} at "
                    f"{owners[name].changes[adapter_name].layer.name} and {specs[name]} at "
                    f"{change.layer.name}. Give other shapes other names."
                )
        self.owners[adapter_name] = {name: owners[name] for name in specs.keys() - new}
        owners.update(dict.fromkeys(new, self))
        self._add_tensors(adapter_name, new, infix="shared_")
        return list(new)

    def _fill(self, adapter_name: str, shared: list[str]) -> None:
        change, tensors = self.changes[adapter_name], self.adapter_tensors(adapter_name)
        if any(tensor.is_meta for tensor in tensors.values()):
            return
        with torch.no_grad():
            if shared:
                change.initialise_shared({name: tensors[name] for name in shared})
            own = {name: tensors[name] for name in change.tensors()}
            self._initialise(change, own)

    def _initialise(self, change: Change, own: dict[str, Tensor]) -> None:
        change.initialise(own)
        change.start_from_weight(own, lambda: self.base_matrix(torch.float32))

    def _store(self, name: str, trainable: bool, infix: str) -> nn.ParameterDict | BufferDict:
        """Return the store of a tensor name, one entry per adapter; create it if missing."""
        attribute = f"{self.prefix}{infix}{'' if trainable else 'frozen_'}{name}"
        if attribute not in self._modules:
            setattr(self, attribute, nn.ParameterDict() if trainable else BufferDict(None, True))
            self.tensor_names[attribute] = name
            kind = "adapter_layer_names" if trainable else "other_param_names"
            setattr(self, kind, (*getattr(self, kind), attribute))
        return getattr(self, attribute)

    def _stores(self, adapter_name: str) -> dict[str, nn.ParameterDict | BufferDict]:
        """Return the stores of an adapter's tensors at this layer, by the method's names."""
        stores = ((name, getattr(self, attribute)) for attribute, name in self.tensor_names.items())
        return {name: store for name, store in stores if adapter_name in store}

    def adapter_tensors(self, adapter_name: str) -> dict[str, Tensor]:
        """Return own and shared tensors of an adapter, by the method's names."""
        tensors = {}
        for (
            attribute,
            name,
        ) in self.tensor_names.items():  # runs in every pass, so avoids `__getattr__`
            store = cast("nn.ParameterDict | BufferDict", self._modules[attribute])
            tensor = store._parameters.get(adapter_name)
            if tensor is not None:
                tensors[name] = tensor
            elif adapter_name in store:  # a buffer, or torch's replacement of a parameter
                tensors[name] = _tensor(store, adapter_name)
        for name, owner in self.owners.get(adapter_name, {}).items():
            tensors[name] = _tensor(owner._stores(adapter_name)[name], adapter_name)
        return tensors

    def set_scale(self, adapter: str, scale: float) -> None:
        """Set the factor on an adapter's change, as LoRA's method does.

        Replaces an earlier factor.
        """
        if adapter in self.factors:
            self.factors[adapter] = float(scale)

    def cast_adapter(self, adapter_name: str, dtype: torch.dtype) -> None:
        """Cast an adapter's tensors to another precision."""
        for store in self._stores(adapter_name).values():
            before = _tensor(store, adapter_name)
            after = before.detach().to(dtype)
            trained = isinstance(before, nn.Parameter)
            store[adapter_name] = nn.Parameter(after, before.requires_grad) if trained else after

    def _device_and_dtype(self) -> tuple[torch.device, torch.dtype]:
        """Return the base weight's device, and float64 for a float64 base, else float32."""
        device, dtype = self._get_base_layer_device_and_dtype(self.get_base_layer())
        return device or torch.device("cpu"), compute_dtype(dtype)

    def _move_adapter_to_device_of_base_layer(self, adapter_name, device=None) -> None:
        """Move to the base layer's device, without PEFT's cast to half precision."""
        device = device or self._device_and_dtype()[0]
        for store in self._stores(adapter_name).values():
            tensor = _tensor(store, adapter_name)
            if not tensor.is_meta:
                store[adapter_name] = tensor.to(device)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute base output plus changes of the active adapters.

        The result has the precision of the base output.
        """
        if self._disable_adapters and self.merged_adapters:
            self.unmerge()
        if self._rounds_changes and not (self._disable_adapters or self.merged_adapters):
            return self._rounded_with_changes(x)
        result = self.base_layer(x, *args, **kwargs)
        if self._disable_adapters or self.merged_adapters:
            return result
        if (whole := with_change(self, x, result)) is not None:
            return whole
        active = [name for name in self.active_adapters if name in self.changes]
        return (result + self._changes(x, result, active)).to(result.dtype) if active else result

    def _rounded_with_changes(self, x: Tensor) -> Tensor:
        """Compute the output of a base that rounds its weight plus the changes."""
        total = None
        for name in self.active_adapters:
            if name in self.changes:
                change = self._matrix(name)
                total = change if total is None else total + change
        return cast(Any, self.get_base_layer()).with_change(x, total)

    def _changes(self, x: Tensor, result: Tensor, active: list[str]) -> Tensor:
        """Sum the active adapters' changes, at least in float32 and with autocast off."""
        layer = self.get_base_layer()
        with without_autocast(x.device.type):
            total = None
            for name in active:
                tensors = self.adapter_tensors(name)
                dtype = compute_dtype(x.dtype, *(tensor.dtype for tensor in tensors.values()))
                x = x if x.dtype == dtype else x.to(dtype)
                tensors = with_products(self, name, tensors, dtype)
                tensors = {key: t.to(x.device, dtype) for key, t in tensors.items()}
                rate = self.dropouts[name]
                dropped = nn.functional.dropout(x, rate) if rate and self.training else x
                rows, base = inputs_of(dropped, layer), self._base(result, dtype)
                delta = self._scaled(name, self.changes[name].output(tensors, rows, base))
                total = delta if total is None else total + delta
            if total is None:
                raise ValueError("no adapter is active")
            return outputs_of(total, layer)

    def _base(self, result: Tensor, dtype: torch.dtype) -> Base:
        """Return the layer without adapters, for the input of this result."""

        def output() -> Tensor:
            rows, bias = output_rows(result, self.get_base_layer()).to(dtype), self.bias
            return rows if bias is None else rows - bias.to(dtype)

        return Base(lambda: self.base_matrix(dtype), output)

    def base_matrix(self, dtype: torch.dtype) -> Float[Tensor, "out_features in_features"]:
        """Return the frozen weight as a matrix; a quantised weight is dequantised."""
        layer = self.get_base_layer()
        weight = self._weight_before
        if weight is None:
            try:
                weight = self.get_base_weight()
            except (TypeError, NotImplementedError) as problem:
                raise Unsupported(
                    f"quantization must be none for {self.prefix.rstrip('_')}, which reads the "
                    f"base weight, got {quantised_kind(layer)}. Load the base without "
                    "quantisation."
                ) from problem
        matrix = as_matrix(weight, layer)
        if matrix.shape != (self.out_features, self.in_features):
            raise Unsupported(
                f"quantization must be none for {self.prefix.rstrip('_')}, which reads the base "
                f"weight, got {quantised_kind(layer)} of shape {tuple(matrix.shape)}, not "
                f"{(self.out_features, self.in_features)}. Load the base without quantisation."
            )
        return matrix.detach().to(dtype)

    def _scaled(self, name: str, change: Tensor) -> Tensor:
        return change if self.factors[name] == 1 else change * self.factors[name]

    @torch.no_grad()
    def delta_weight(self, adapter: str) -> Float[Tensor, "out_features in_features"]:
        """Compute the change of weight of a linear adapter, times its factor."""
        return self._matrix(adapter, check_zeros=True)

    def _matrix(
        self, adapter: str, check_zeros: bool = False
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute the differentiable change of weight of a linear adapter, times its factor."""
        self._check_linear(adapter)
        tensors = self.adapter_tensors(adapter)
        dtype = compute_dtype(*(tensor.dtype for tensor in tensors.values()))
        device = self._device_and_dtype()[0]
        with without_autocast(device.type):
            tensors = {name: t.to(device, dtype) for name, t in tensors.items()}
            weight = functools.partial(self.base_matrix, dtype)
            return self._scaled(adapter, self._matrix_of(adapter, tensors, weight, check_zeros))

    def _matrix_of(
        self,
        adapter: str,
        tensors: Mapping[str, Tensor],
        weight: Callable[[], Tensor],
        check_zeros: bool,
    ) -> Tensor:
        if check_zeros:
            self._check_not_affine(adapter, tensors, weight)
        return self.changes[adapter].matrix(tensors, Base(weight, lambda: weight().mT))

    def get_delta_weight(self, adapter: str) -> Tensor:
        """Compute the change of weight in the layout of the base weight (PEFT's interface)."""
        return as_weight(self.delta_weight(adapter), self.get_base_layer())

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Return True if PEFT can convert an adapter to LoRA.

        The change must be linear in the input, and the layer no convolution.
        """
        change = self.changes.get(adapter_name)
        plain = not isinstance(self.get_base_layer(), CONVOLUTIONS)
        return plain and change is not None and change.is_linear(change.config)

    def _check_linear(self, adapter: str) -> None:
        change = self.changes[adapter]
        if not change.is_linear(change.config):
            raise Unsupported(
                f"Adapter {adapter!r} cannot be merged: {change.nonlinear_reason(change.config)}"
            )

    def _check_not_affine(
        self, adapter: str, tensors: Mapping[str, Tensor], weight: Callable[[], Tensor]
    ) -> None:
        """Refuse a change with a nonzero output at zero input."""
        some = next(iter(tensors.values()))
        zeros = torch.zeros(1, self.in_features, dtype=some.dtype, device=some.device)
        nothing = torch.zeros(1, self.out_features, dtype=some.dtype, device=some.device)
        base = Base(weight, lambda: nothing)
        change = self.changes[adapter].output(tensors, zeros, base)
        if change.isfinite().all() and change.any():  # PEFT reports non-finite values
            raise Unsupported(
                f"Adapter {adapter!r} must change no input of zeros to be merged, got a change as "
                "of a bias. Keep it beside the model (save_pretrained), or declare the method "
                "with is_linear False."
            )

    def _check_not_quantised(self) -> None:
        layer = self.get_base_layer()
        kind = quantised_kind(layer)
        if not self._rounds_changes:
            kind = kind or getattr(layer, "rounding", None)  # marks fake quantisation
        if kind is not None:
            raise Unsupported(
                f"The base weight must not be quantised to merge an adapter exactly, got {kind}. "
                "Keep the adapter beside the model (save_pretrained), or merge it into a base "
                "without quantisation."
            )

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Add linear adapters to the base weight, and store it for `unmerge`.

        Raises:
            Unsupported: If an adapter's change is not one matrix, with a remedy.
            Refusal: If `safe_merge` finds values that are not finite.
        """
        names = check_adapters_to_merge(self, adapter_names)
        names = [name for name in names if name in self.changes]
        for name in names:
            self._check_linear(name)
        if names:
            self._check_not_quantised()
        for name in names:
            weight = self.get_base_weight()
            merged = (weight + self.get_delta_weight(name)).to(weight.dtype)
            if safe_merge and not torch.isfinite(merged).all():
                raise Refusal(
                    f"NaNs detected in the merged weights. The adapter {name} seems to be "
                    f"broken: weights to merge into {self.changes[name].layer.name!r} must be "
                    "finite, got infinite ones or NaN."
                )
            if self._weight_before is None:
                self._weight_before = weight  # unchanged: merging allocates a new tensor
            self.set_base_weight(merged)
            self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Restore the base weight from before `merge`, bit for bit."""
        if self._weight_before is None:
            warnings.warn("Already unmerged. Nothing to do.", stacklevel=2)
            return
        weight = self.get_base_weight()
        self.set_base_weight(self._weight_before.to(weight.device, weight.dtype))
        self._weight_before = None
        self.merged_adapters.clear()

    def __repr__(self) -> str:
        return self.prefix.rstrip("_") + "." + super().__repr__()


def _tensor(store: nn.ParameterDict | BufferDict, adapter_name: str) -> Tensor:
    tensor = store[adapter_name]
    assert isinstance(tensor, Tensor)  # stores hold tensors only
    return tensor


def check_adapter_name(name: str, prefix: str) -> None:
    """Refuse adapter names with which PEFT would lose tensors of a prefix."""
    if name in prefix or "." in name:
        raise Refusal(
            f"The adapter name must have no dot and be no part of {prefix!r}, got {name!r}. Choose "
            "another name."
        )


def compute_dtype(*dtypes: torch.dtype | None) -> torch.dtype:
    """Return the precision of adapters: float64 if any input has it, else float32."""
    return torch.float64 if torch.float64 in dtypes else torch.float32


def without_autocast(device_type: str) -> contextlib.AbstractContextManager:
    """Return a context without autocast."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return contextlib.nullcontext()
