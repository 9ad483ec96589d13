"""Quantum-PEFT: a singular value decomposition with two bases from very few numbers.

    ΔW = s · U Λ Vᵀ        U (out × r), V (in × r) first columns of orthogonal matrices, Λ diagonal

Two maps give the columns, both on classical hardware:

* "pauli": the simplified two-design, a circuit of RY and CZ gates, on q = ⌈log₂ N⌉ qubits. If N is
  no power of two, the 2^q rows are cropped to N, so the columns lose some norm and orthogonality.
  `orthonormalise` corrects this by Gram–Schmidt. The paper uses a quantum Shannon decomposition
  for such sizes, which is not implemented here [R].
* "taylor": the exponential of a skew-symmetric matrix with r free columns, truncated after
  `taylor_order`; any N. Orthonormal up to ‖A‖^(order+1) / (order+1)!.

The change is one matrix, so it can be merged. The initial change is zero because Λ = 0 [R]. The
setting `angles` gives the initial angles; the skew-symmetric matrix is normal with variance 1/N
[R]. s = alpha / r, 1 by default [R].

Trainable parameters of a layer, L = n_layers, K = r:

    pauli:   (2L + 1)(⌈log₂ in⌉ + ⌈log₂ out⌉) − 4L + K
    taylor:  (in + out) K − K²

Source:
    Quantum-PEFT, arXiv:2503.05431 (ICLR 2025), no code released. The maps and counts are published;
    r, L, the order of the series and the initialisation are unknown to us.
"""

import dataclasses
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters import orthogonal_maps
from qtha_lab.adapters.basis_states import n_qubits_for
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.initialisation.angles import angles_setting, check_angle_setting, draw_angles
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.circuits import Circuit
from qtha_lab.core.method_styles import MethodStyle
from qtha_lab.core.settings import setting


@dataclasses.dataclass
class QuantumPeftConfig(RankConfig):
    """Settings of Quantum-PEFT.

    Example:
        >>> QuantumPeftConfig(r=1, n_layers=1).n_parameters(4096, 4096)
        69
    """

    r: int = setting(
        8, "Singular values, and columns of the two bases.", ge=1, le=4096, common=True
    )
    alpha: float | None = setting(
        None, "Scaling: the change is times alpha / r; None is r.", gt=0, common=True
    )
    mapping: str = setting(
        "pauli",
        "Source of the bases: a circuit, or a truncated exponential.",
        choices=("pauli", "taylor"),
        common=True,
    )
    n_layers: int = setting(1, "Layers of the circuit (pauli).", ge=1, le=64, common=True)
    taylor_order: int = setting(12, "Highest power in the exponential (taylor).", ge=1, le=40)
    orthonormalise: bool = setting(
        False, "Make cropped or truncated columns exactly orthonormal (ours)."
    )
    angles: str = angles_setting()

    def __post_init__(self):
        super().__post_init__()
        circuits = [orthogonal_maps.two_design_circuit(2, 1)] if self.mapping == "pauli" else []
        check_angle_setting(self.angles, circuits, f"mapping={self.mapping!r}")

    @property
    def scale(self) -> float:
        """Factor alpha / r, or alpha / √r."""
        return self.scaling(self.r if self.alpha is None else self.alpha)


@method(
    "quantum_peft",
    QuantumPeftConfig,
    summary="U Λ Vᵀ with both bases from a circuit or a matrix exponential of few numbers.",
    equation="ΔW = s·U Λ Vᵀ, U and V from RY/CZ circuits",
    source="Quantum-PEFT, arXiv:2503.05431",
    default_learning_rate=5e-2,
    style=MethodStyle("sky", "dash", "diamond"),
    examples={
        "pauli": {"r": 4, "n_layers": 2},
        "pauli-orthonormal": {"r": 3, "orthonormalise": True},
        "taylor": {"r": 3, "mapping": "taylor"},
    },
)
class QuantumPeft(Change):
    """Tensors and formula of Quantum-PEFT at one layer."""

    def __init__(self, config: QuantumPeftConfig, layer: Layer):
        super().__init__(config, layer)
        layer.check_rank(config.r)

    def n_parameters(self) -> int:
        config, sides = self.config, (self.layer.in_features, self.layer.out_features)
        if config.mapping == "taylor":
            return sum(sides) * config.r - config.r**2
        qubits = sum(map(n_qubits_for, sides))
        return (2 * config.n_layers + 1) * qubits - 4 * config.n_layers + config.r

    def tensors(self) -> dict[str, TensorSpec]:
        sides = {"U": self.layer.out_features, "V": self.layer.in_features}
        specs = {name: TensorSpec((self._n_numbers(size),)) for name, size in sides.items()}
        return specs | {"values": TensorSpec((self.config.r,))}

    def _n_numbers(self, size: int) -> int:
        if self.config.mapping == "taylor":
            return orthogonal_maps.n_skew_numbers(size, self.config.r)
        return orthogonal_maps.n_two_design_angles(n_qubits_for(size), self.config.n_layers)

    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        for name, size in (("U", self.layer.out_features), ("V", self.layer.in_features)):
            if self.config.mapping == "taylor":
                tensors[name].normal_(std=size**-0.5)
            else:
                draw_angles(tensors[name], self.config.angles, [self._circuit(size)])
        if self.config.init_weights:
            tensors["values"].zero_()
        else:
            tensors["values"].normal_()

    def _circuit(self, size: int) -> Circuit:
        return orthogonal_maps.two_design_circuit(n_qubits_for(size), self.config.n_layers)

    def angle_circuits(self):
        if self.config.mapping == "taylor":
            return {}
        sides = {"U": self.layer.out_features, "V": self.layer.in_features}
        return {name: [self._circuit(size)] for name, size in sides.items()}

    def bases(
        self, tensors: Mapping[str, Tensor]
    ) -> tuple[Float[Tensor, "out_features r"], Float[Tensor, "in_features r"]]:
        """Compute U and V."""
        return (
            self._columns(tensors["U"], self.layer.out_features),
            self._columns(tensors["V"], self.layer.in_features),
        )

    def _columns(self, numbers: Tensor, size: int) -> Tensor:
        config = self.config
        if config.mapping == "taylor":
            columns = orthogonal_maps.taylor_columns(numbers, size, config.r, config.taylor_order)
        else:
            qubits = n_qubits_for(size)
            columns = orthogonal_maps.two_design_columns(
                numbers, qubits, config.n_layers, config.r
            )[:size]
        return orthogonal_maps.orthonormalised(columns) if config.orthonormalise else columns

    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        left, right = self.linear_factors(tensors)
        return torch.nn.functional.linear(x, right) @ left.mT

    def delta_weight(
        self, tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "out_features in_features"]:
        left, right = self.linear_factors(tensors)
        return left @ right

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return s U Λ and Vᵀ, at a cost independent of the token count."""
        u, v = self.bases(tensors)
        return u * (self.config.scale * tensors["values"]), v.mT
