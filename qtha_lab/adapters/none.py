"""No adapter: the model stays as it is, and the head that reads it is trained alone.

    Δy = 0

Stands beside the methods, not among them: lists of methods and `all` are of those that change a
layer. It has no setting, and the features that the head reads are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.method import Change, Method, TensorSpec
from qtha_lab.adapters.peft import AdapterConfig
from qtha_lab.adapters.peft.registration import register_with_peft
from qtha_lab.core.method_styles import METHOD_STYLES, MethodStyle
from qtha_lab.core.settings import Setting

NAME = "none"
LOOK = MethodStyle("grey", "longdash", "circle")


class Nothing(Change):
    """No tensor and no change."""

    def tensors(self) -> dict[str, TensorSpec]:
        return {}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """There is nothing to fill."""

    def n_parameters(self) -> int:
        return 0

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        return x.new_zeros(*x.shape[:-1], self.layer.out_features)

    def delta_weight(self, tensors: Mapping[str, Tensor], base: Any = None) -> Tensor:
        """Zeros."""
        return torch.zeros(self.layer.out_features, self.layer.in_features)


class NoneConfig(AdapterConfig):
    """PEFT's config of an adapter that is none."""

    method_name = NAME
    change_class = Nothing


class HeadAlone(Method):
    """The choice of no adapter, as a way to fine-tune."""

    name = NAME
    summary = "No adapter: the head is trained alone, on features that are computed once."
    equation = "Δy = 0"
    source = "the usual control: linear probing"
    ours = True
    default_learning_rate = 1e-2
    config_class = NoneConfig
    style = LOOK
    sized_by = ()

    def settings(self) -> dict[str, Setting]:
        """None."""
        return {}

    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """As they are, which is none."""
        return dict(options)

    def check_sizes(self, config: Any, sizes: Iterable[tuple[int, int]]) -> None:
        """Every size will do."""

    def owns(self, config: Any) -> bool:
        """Whether a config is that of no adapter."""
        return type(config) is NoneConfig


HEAD_ALONE = HeadAlone()
METHOD_STYLES.add(NAME, LOOK, __name__)
register_with_peft(NAME, NoneConfig)
