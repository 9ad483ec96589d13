"""Methods of layers that a reader wrote: the base of the plugin files of `own_method`."""

import dataclasses
import functools
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.adapters import QthaConfig
from qtha_lab.adapters.change import Change, TensorSpec
from qtha_lab.adapters.peft import AdapterConfig
from qtha_lab.core.settings import setting
from qtha_lab.lessons.package_layer import layer_parts


@dataclasses.dataclass
class LayerConfig(AdapterConfig):
    """Settings of every method of a reader's layer."""

    r: int = setting(2, "Bottleneck size, or bond dimension of a chain.", ge=1)
    alpha: float = setting(4.0, "Scaling: the change is times alpha / r.", gt=0)


class LayerChange(Change):
    """Change of a reader's layer: its output around a base of zeros.

    Its trained parameters are the tensors of the method. `has_matrix` is False for a nonlinear one.
    """

    has_matrix = True

    @classmethod
    def is_linear(cls, config: Any) -> bool:
        return cls.has_matrix

    @abstractmethod
    def make_layer(self, base: nn.Linear) -> nn.Module:
        """Return the reader's layer around a base."""

    @functools.cached_property
    def module(self) -> nn.Module:
        """The reader's layer; random numbers after it are as if it was not built."""
        with torch.random.fork_rng(devices=[]):
            return self._built()

    def _built(self) -> nn.Module:
        sizes = self.layer.in_features, self.layer.out_features
        base = nn.Linear(*sizes, bias=False, device="meta").to_empty(device="cpu")
        nn.init.zeros_(base.weight)
        return self.make_layer(base)

    def _trained(self, module: nn.Module) -> dict[str, nn.Parameter]:
        named = module.named_parameters()
        return {name: weight for name, weight in named if weight.requires_grad}

    def n_parameters(self) -> int:
        return sum(weight.numel() for weight in self._trained(self.module).values())

    def tensors(self) -> dict[str, TensorSpec]:
        return {
            name.replace(".", "_"): TensorSpec(tuple(weight.shape))
            for name, weight in self._trained(self.module).items()
        }

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        for name, weight in self._trained(self._built()).items():
            tensor = tensors[name.replace(".", "_")]
            tensor.copy_(weight)
            if not self.config.init_weights and not tensor.any():
                tensor.normal_(std=0.1)

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        module = self.module.to(x)
        given = {name: tensors[name.replace(".", "_")] for name in self._trained(module)}
        rows = torch.func.functional_call(module, given, (x.reshape(-1, x.shape[-1]),))
        return rows.reshape(*x.shape[:-1], -1)


def qtha_start(change: Change, r: int, waist: int = 16, bond_dim: int = 3) -> dict[str, Any]:
    """Return the package's initial parts of a QTHA layer, for a reader's `QthaLinear`.

    Args:
        change: Change of the layer, which has its sizes.
        r: Bottleneck size.
        waist: Size between the chains and the bottleneck.
        bond_dim: Bond dimension of both chains.
    """
    start: Any = QthaConfig(r=r, waist=waist, bond_dim=bond_dim).change(change.layer)
    return layer_parts(start, start.start())
