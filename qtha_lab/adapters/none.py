"""Training of the head alone, without an adapter.

    Δy = 0

`none` is not in the list of methods or in `all`, which contain only methods that change a layer. It
has no setting. The features of the frozen model are computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Change, TensorSpec
from qtha_lab.adapters.method import Method
from qtha_lab.adapters.peft import AdapterConfig
from qtha_lab.adapters.peft.registration import register_with_peft
from qtha_lab.core.method_styles import METHOD_STYLES, MethodStyle
from qtha_lab.core.settings import Setting

NAME = "none"
STYLE = MethodStyle("grey", "longdash", "circle")


class Nothing(Change):
    """Change without tensors and without effect."""

    def tensors(self) -> dict[str, TensorSpec]:
        return {}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill nothing."""

    def n_parameters(self) -> int:
        return 0

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        return x.new_zeros(*x.shape[:-1], self.layer.out_features)

    def delta_weight(self, tensors: Mapping[str, Tensor], base: Any = None) -> Tensor:
        """Return zeros."""
        return torch.zeros(self.layer.out_features, self.layer.in_features)


class NoneConfig(AdapterConfig):
    """PEFT config without an adapter."""

    method_name = NAME
    change_class = Nothing


class HeadAlone(Method):
    """Method entry for training without an adapter."""

    name = NAME
    summary = "No adapter: the head is trained alone, on features that are computed once."
    equation = "Δy = 0"
    source = "the usual control: linear probing"
    ours = True
    default_learning_rate = 1e-2
    config_class = NoneConfig
    style = STYLE
    sized_by = ()

    def settings(self) -> dict[str, Setting]:
        """Return no settings."""
        return {}

    def config_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options unchanged."""
        return dict(options)

    def check_sizes(self, config: Any, sizes: Iterable[tuple[int, int]]) -> None:
        """Accept every size."""

    def owns(self, config: Any) -> bool:
        """Return True if a config is that of no adapter."""
        return type(config) is NoneConfig


HEAD_ALONE = HeadAlone()
METHOD_STYLES.add(NAME, STYLE, __name__)
register_with_peft(NAME, NoneConfig)
