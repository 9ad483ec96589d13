"""LoRA-XS: a small square matrix between frozen singular vectors of the weight.

    W ≈ U Σ Vᵀ, the r largest singular values        Δy = s·U R Σ Vᵀ x

Only R is trained, r × r numbers per layer whatever its size. U and Σ Vᵀ are saved with the adapter.
R begins at zero, so the initial change is zero; the authors draw it with a standard deviation of
1e-5. On layers without a weight, such as in analyses, the frozen factors are random.

Trainable parameters of a layer:

    r²

Source:
    arXiv:2405.17604 and the authors' code: Σ on the input side, scaling alpha / r. Their alpha
    is 16 at every r; 2 r by default is our choice [R].
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.adapters.qtha_operators import uniform_
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting


@dataclasses.dataclass
class LoraXsConfig(RankConfig):
    """Settings of LoRA-XS.

    Example:
        >>> LoraXsConfig(r=16).n_parameters(4096, 4096)
        256
    """

    r: int = setting(16, "Singular vectors of the weight on each side.", ge=1, common=True)
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is 2 r.", gt=0, common=True
    )

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        return self.scaling(2 * self.r if self.alpha is None else self.alpha)


@method(
    "lora_xs",
    LoraXsConfig,
    summary="A trained square matrix between frozen singular vectors of the weight.",
    equation="ΔW = s·U R Σ Vᵀ, U Σ Vᵀ of W frozen",
    source="LoRA-XS, arXiv:2405.17604, and its authors' code",
    default_learning_rate=4e-3,
    style=MethodStyle("grey", "dash", "triangle-up"),
    examples={"default": {"r": 4}, "one": {"r": 1}},
)
class LoraXs(Change):
    """Tensors and formula of LoRA-XS at one layer."""

    def __init__(self, config: LoraXsConfig, layer: Layer):
        super().__init__(config, layer)
        layer.check_rank(config.r)

    def tensors(self) -> dict[str, TensorSpec]:
        r = self.config.r
        return {
            "A": TensorSpec((r, self.layer.in_features), trainable=False),
            "B": TensorSpec((self.layer.out_features, r), trainable=False),
            "R": TensorSpec((r, r)),
        }

    def n_parameters(self) -> int:
        return self.config.r**2

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        uniform_(tensors["A"], 1 / math.sqrt(self.layer.in_features))
        uniform_(tensors["B"], 1 / math.sqrt(self.config.r))
        if self.config.init_weights:
            tensors["R"].zero_()
        else:
            uniform_(tensors["R"], 1 / math.sqrt(self.config.r))

    def start_from_weight(
        self,
        tensors: Mapping[str, Tensor],
        weight: Callable[[], Float[Tensor, "out_features in_features"]],
    ) -> None:
        r = self.config.r
        left, values, right = torch.linalg.svd(weight(), full_matrices=False)
        tensors["A"].copy_(values[:r, None] * right[:r])
        tensors["B"].copy_(left[:, :r])

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        mixed = functional.linear(functional.linear(x, tensors["A"]), tensors["R"])
        return functional.linear(mixed, self.config.scale * tensors["B"])

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Return s · U, R and Σ Vᵀ; their product is the change."""
        return self.config.scale * tensors["B"], tensors["R"], tensors["A"]
