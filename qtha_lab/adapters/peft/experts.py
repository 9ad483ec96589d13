"""Adapters of routed experts: one change per matrix of a parameter (experts, rows, columns).

PEFT's own wrapper of parameters holds A and B of LoRA, and no other tensors. In each pass the
experts run with their weight plus the change, so methods must be linear.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from peft.tuners.lora.layer import ParamWrapper as LoraParameter
from torch import Tensor, nn

from qtha_lab.adapters.change import Change, TensorSpec
from qtha_lab.adapters.peft.config import AdapterConfig
from qtha_lab.adapters.peft.layer import AdapterLayer, compute_dtype
from qtha_lab.core.errors import Refusal

WRAPPER = "ParamWrapper"  # PEFT recognises a wrapped parameter by this name of its class


def expert_sizes(model: nn.Module, config: AdapterConfig) -> dict[str, tuple[int, int]]:
    """Return (in_features, out_features) of the matrices of each target parameter, by its name."""
    sizes = {}
    for name, parameter in model.named_parameters():
        key = name.replace(".base_layer.", ".")
        if any(f".{key}".endswith(f".{target}") for target in config.target_parameters or ()):
            if parameter.dim() != 3 or isinstance(model.get_submodule(_parent(name)), nn.Conv1d):
                raise Refusal(
                    "target_parameters must name stacks of matrices (experts, rows, columns), got "
                    f"{key!r} of shape {tuple(parameter.shape)}. Name layers in target_modules."
                )
            rows, columns = parameter.shape[1:]
            transposed = getattr(model.get_submodule(_parent(name)), "is_transposed", False)
            sizes[key] = (rows, columns) if transposed else (columns, rows)
    return sizes


def _parent(name: str) -> str:
    return name.rpartition(".")[0]


class ExpertLayer(AdapterLayer):
    """Module of routed experts with adapters on one of its parameters."""

    def __init__(self, base_layer: nn.Module, *args: Any, parameter_name: str, **kwargs: Any):
        self.parameter_name = parameter_name
        super().__init__(base_layer, *args, **kwargs)

    @property
    def parameter(self) -> nn.Parameter:
        """The adapted parameter, (experts, rows, columns)."""
        return getattr(self.get_base_layer(), self.parameter_name)

    def _add_tensors(
        self, adapter_name: str, specs: Mapping[str, TensorSpec], infix: str = ""
    ) -> None:
        if not infix:  # shared tensors are those of all experts
            experts = len(self.parameter)
            specs = {n: TensorSpec((experts, *s.shape), s.trainable) for n, s in specs.items()}
        super()._add_tensors(adapter_name, specs, infix)

    def _initialise(self, change: Change, own: dict[str, Tensor]) -> None:
        for expert, tensors in enumerate(self._of_experts(change, own)):
            change.initialise(tensors)
            weight = self.base_matrix(torch.float32)
            change.start_from_weight(tensors, lambda weight=weight, i=expert: weight[i])

    def _of_experts(
        self, change: Change, tensors: Mapping[str, Tensor]
    ) -> Iterator[dict[str, Tensor]]:
        """Yield the tensors of each expert, with the shared ones."""
        own = change.tensors()
        for expert in range(len(self.parameter)):
            yield {n: t[expert] if n in own else t for n, t in tensors.items()}

    def _matrix_of(
        self,
        adapter: str,
        tensors: Mapping[str, Tensor],
        weight: Callable[[], Tensor],
        check_zeros: bool,
    ) -> Tensor:
        matrix = super()._matrix_of
        experts = enumerate(self._of_experts(self.changes[adapter], tensors))
        return torch.stack(
            [matrix(adapter, own, lambda i=i: weight()[i], check_zeros) for i, own in experts]
        )

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Run the experts with their weight plus the changes of the active adapters."""
        if self._disable_adapters and self.merged_adapters:
            self.unmerge()
        active = [name for name in self.active_adapters if name in self.changes]
        if self._disable_adapters or self.merged_adapters or not active:
            return self.base_layer(*args, **kwargs)
        change = self._as_parameter(sum(map(self._matrix, active[1:]), self._matrix(active[0])))
        path: str = self.parameter_name
        module: Any = self.base_layer
        while isinstance(module, ExpertLayer | LoraParameter):  # another parameter
            path, module = f"base_layer.{path}", module.base_layer
        weight = (self.parameter + change).to(self.parameter.dtype)
        return torch.func.functional_call(self.base_layer, {path: weight}, args, kwargs)

    def base_matrix(self, dtype: torch.dtype) -> Tensor:
        """Return the frozen weights, (experts, out_features, in_features)."""
        weight = self.parameter if self._weight_before is None else self._weight_before
        return self._as_parameter(weight).detach().to(dtype)

    def _as_parameter(self, matrices: Tensor) -> Tensor:
        """Transpose matrices of the experts, if the parameter is stored so."""
        return matrices.mT if getattr(self.get_base_layer(), "is_transposed", False) else matrices

    def get_delta_weight(self, adapter: str) -> Tensor:
        """Compute the change in the layout of the parameter (PEFT's interface)."""
        return self._as_parameter(self.delta_weight(adapter))

    def supports_lora_conversion(self, adapter_name: str = "default") -> bool:
        """Return False: PEFT converts layers only."""
        return False

    def get_base_weight(self) -> Tensor:
        """Return the parameter's data."""
        return self.parameter.data

    def set_base_weight(self, weight_data: Tensor) -> None:
        """Replace the parameter's data."""
        self.parameter.data = weight_data

    def _device_and_dtype(self) -> tuple[torch.device, torch.dtype]:
        return self.parameter.device, compute_dtype(self.parameter.dtype)

    def _check_not_quantised(self) -> None:
        """Accept all parameters, since a quantised one has no three axes."""

    def unload_and_optionally_merge_module(
        self, merge: bool, safe_merge: bool, adapter_names: list[str] | None
    ) -> nn.Module:
        """Return the experts without wrappers, which may be nested (PEFT's interface)."""
        layer: Any = self
        while merge and isinstance(layer, ExpertLayer):
            layer.merge(safe_merge=safe_merge, adapter_names=adapter_names)
            layer = layer.base_layer
        return self.get_base_layer()
