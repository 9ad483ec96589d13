"""PreQuant: trained outlier weights, and a trained scale per row of the other weights.

    ΔW = M ⊙ θ + diag(σ) (W ⊙ (1 − M)),   θ = σ = 0 initially

The mask M selects the `fraction` of a layer's weights that are farthest from the mean of their row,
in standard deviations of the row. The codes of the other weights do not change: (1 + σ) times a row
is its grid with another step s. On a base with `quantization="outliers(w=4)"` the mask selects the
unrounded weights; on another base it selects that base's outliers. M is computed from the rounded
base: about one selected weight in ten differs from the selection before rounding. With fraction 1
every weight is trained, ΔW = θ: full fine-tuning of the layer.

Trainable parameters of a layer, k = ⌊fraction · in · out⌉:

    k + out

Source:
    PreQuant, arXiv:2306.00014: outlier-aware fine-tuning of about half a percent of the weights.
    The outlier rule and the training of s are our reconstruction [R]; no code is public.
"""

import dataclasses
import zlib
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from qtha_lab.adapters.change import Base, Change, Layer, TensorSpec
from qtha_lab.adapters.method import Control
from qtha_lab.adapters.peft import AdapterConfig, method
from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting

START = 1e-2  # standard deviation with init_weights=False


@dataclasses.dataclass
class PrequantConfig(AdapterConfig):
    """Settings of PreQuant's outlier-aware fine-tuning.

    Example:
        >>> PrequantConfig(fraction=0.01).n_parameters(100, 50)  # 50 of 5,000 weights, 50 rows
        100
    """

    fraction: float = setting(
        0.005, "Share of a layer's weights that is trained.", ge=0, le=1, common=True
    )
    chosen: str = setting(
        "farthest",
        "Trained weights: the farthest from their row's mean, or a random choice.",
        choices=("farthest", "random"),
    )
    w: int | None = setting(
        None,
        "Bits of the base's other weights, by its quantization; null accepts any base.",
        ge=2,
        le=16,
    )

    def check_base(self, bits: int | None) -> None:
        """Refuse a base whose weights have other bits than `w`.

        Example:
            >>> PrequantConfig(w=4).check_base(None)
            Traceback (most recent call last):
            qtha_lab.core.errors.Refusal: The base must have 4 bits for prequant(w=4), got ...
        """
        if self.w not in (None, bits):
            base = "an unquantised one" if bits is None else str(bits)
            raise Refusal(
                f"The base must have {self.w} bits for prequant(w={self.w}), got {base}. Set "
                f"quantization to outliers(w={self.w},fraction={self.fraction:g})."
            )


def selected_indices(
    matrix: Float[Tensor, "out_features in_features"], fraction: float, chosen: str, name: str
) -> Int[Tensor, "marked"]:
    """Return the flat indices of the selected weights, ascending.

    Example:
        >>> matrix = torch.tensor([[1.0, 1.1, 0.9, 1.0], [0.0, 0.1, 9.0, 0.1]])
        >>> selected_indices(matrix, 0.125, "farthest", "")
        tensor([6])
    """
    count = n_selected(fraction, *matrix.shape)
    if chosen == "random":
        generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
        random_places = torch.randperm(matrix.numel(), generator=generator)[:count]
        return random_places.sort().values.to(matrix.device)
    deviation, mean = torch.std_mean(matrix, dim=1, keepdim=True, correction=0)
    distance = (matrix - mean).abs() / deviation.clamp_min(torch.finfo(matrix.dtype).tiny)
    return distance.flatten().topk(count, sorted=False).indices.sort().values


def outlier_mask(
    matrix: Float[Tensor, "out_features in_features"], fraction: float, chosen: str, name: str
) -> Bool[Tensor, "out_features in_features"]:
    """Compute the mask M of selected weights."""
    mask = torch.zeros(matrix.numel(), dtype=torch.bool, device=matrix.device)
    mask[selected_indices(matrix, fraction, chosen, name)] = True
    return mask.view(matrix.shape)


def n_selected(fraction: float, out_features: int, in_features: int) -> int:
    """Compute the number k of selected weights."""
    return round(fraction * out_features * in_features)


@method(
    "prequant",
    PrequantConfig,
    summary="The outliers of a rounded weight are trained, and the step of each row's grid.",
    equation="ΔW = M⊙θ + diag(σ) (W⊙(1 − M)), M the outliers",
    source="PreQuant, arXiv:2306.00014",
    default_learning_rate=2e-2,
    style=MethodStyle("vermillion", "dashdot", "diamond"),
    controls=[
        Control("random weights", "effect of choosing outliers", {"chosen": "random"}),
        Control("scales alone", "effect of training the outliers", {"fraction": 0.0}),
    ],
    examples={
        "half-a-percent": {"fraction": 0.005},
        "random": {"fraction": 0.02, "chosen": "random"},
        "scales": {"fraction": 0.0},
        "all": {"fraction": 1.0},
    },
)
class Prequant(Change):
    """Tensors and formula of PreQuant at one layer."""

    def __init__(self, config: PrequantConfig, layer: Layer):
        super().__init__(config, layer)
        self.count = n_selected(config.fraction, layer.out_features, layer.in_features)
        self.n_rows = (
            layer.out_features if self.count < layer.out_features * layer.in_features else 0
        )

    def n_parameters(self) -> int:
        return self.count + self.n_rows

    def tensors(self) -> dict[str, TensorSpec]:
        sizes = {"theta": self.count, "sigma": self.n_rows}
        return {name: TensorSpec((size,)) for name, size in sizes.items() if size}

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        for tensor in tensors.values():
            if self.config.init_weights:
                tensor.zero_()
            else:
                tensor.normal_(std=START)

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"], base: Base
    ) -> Float[Tensor, "*batch out_features"]:
        return torch.nn.functional.linear(x, self.delta_weight(tensors, base))

    def delta_weight(
        self, tensors: Mapping[str, Tensor], base: Base
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute M ⊙ θ + diag(σ) (W ⊙ (1 − M))."""
        weight, config = base.weight, self.config
        if "sigma" not in tensors:  # every weight is selected
            return tensors["theta"].view(weight.shape)
        change = tensors["sigma"][:, None] * weight
        if "theta" not in tensors:
            return change
        at = selected_indices(weight, config.fraction, config.chosen, self.layer.name)
        return change.flatten().index_copy(0, at, tensors["theta"]).view(weight.shape)
