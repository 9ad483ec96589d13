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
import functools
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.basis_states import n_qubits_for
from qtha_lab.adapters.change import Change, Layer, TensorSpec
from qtha_lab.adapters.initialisation.angles import angles_setting, check_angle_setting, draw_angles
from qtha_lab.adapters.peft import RankConfig, method
from qtha_lab.circuits import Angle, Circuit, Gate
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
        circuits = [two_design_circuit(2, 1)] if self.mapping == "pauli" else []
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
            return n_skew_numbers(size, self.config.r)
        return n_two_design_angles(n_qubits_for(size), self.config.n_layers)

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
        return two_design_circuit(n_qubits_for(size), self.config.n_layers)

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
            columns = taylor_columns(numbers, size, config.r, config.taylor_order)
        else:
            qubits = n_qubits_for(size)
            columns = two_design_columns(numbers, qubits, config.n_layers, config.r)[:size]
        return orthonormalised(columns) if config.orthonormalise else columns

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


# Number of wires whose rotations form one matrix of 2^4 rows.
MOST_WIRES = 4


def n_two_design_angles(n_qubits: int, n_layers: int) -> int:
    """Count the angles of the two-design.

    The number is q + 2 L (q − 1) = (2 L + 1) q − 2 L.
    """
    return n_qubits + 2 * n_layers * (n_qubits - 1)


def two_design_circuit(n_qubits: int, n_layers: int) -> Circuit:
    """Build the simplified two-design.

    The circuit has RY on all qubits, then per layer CZ and two RY on even pairs, then on odd pairs.

    Source:
        Cerezo et al. 2021, Nat. Commun. 12, 1791; as PennyLane's SimplifiedTwoDesign.
    """
    angles = map(Angle.param, range(n_two_design_angles(n_qubits, n_layers)))
    gates = [Gate("RY", wire, next(angles)) for wire in range(n_qubits)]
    for _ in range(n_layers):
        for first in (0, 1):
            for wire in range(first, n_qubits - 1, 2):
                gates.append(Gate("CZ", (wire, wire + 1)))
                gates += [Gate("RY", w, next(angles)) for w in (wire, wire + 1)]
    return Circuit(n_qubits, gates)


def two_design_columns(
    angles: Float[Tensor, "n_angles"], n_qubits: int, n_layers: int, n_columns: int
) -> Float[Tensor, "two_to_the_n_qubits n_columns"]:
    """Compute the first columns of `two_design_circuit`, a real orthogonal matrix.

    Uses real tensors: the rotations of all wires form a Kronecker product, and the CZ gates are
    signs.

    Example:
        >>> two_design_columns(torch.zeros(4), 2, n_layers=1, n_columns=1).flatten()
        tensor([1., 0., 0., 0.])
    """
    cos, sin = (0.5 * angles).cos(), (0.5 * angles).sin()
    rotations = torch.stack([cos, -sin, sin, cos], -1).reshape(-1, 2, 2)
    columns = torch.eye(2**n_qubits, n_columns, dtype=angles.dtype, device=angles.device)
    columns = _rotation(columns, rotations[:n_qubits], 0, n_qubits)
    start = n_qubits
    for _ in range(n_layers):
        for first in (0, 1):
            wires = (n_qubits - first) // 2 * 2
            if wires:
                signs = _cz_signs(n_qubits, first, angles.device, angles.dtype)
                angles = rotations[start : start + wires]
                columns = _rotation(signs * columns, angles, first, n_qubits)
                start += wires
    return columns


def _rotation(
    columns: Float[Tensor, "rows k"],
    rotations: Float[Tensor, "wires 2 2"],
    first: int,
    n_qubits: int,
) -> Float[Tensor, "rows k"]:
    """Rotate neighbouring wires from `first` on, up to `MOST_WIRES` at a time."""
    k = columns.shape[1]
    for begin in range(0, len(rotations), MOST_WIRES):
        matrix = functools.reduce(torch.kron, rotations[begin : begin + MOST_WIRES].unbind())
        columns = matrix @ columns.reshape(2 ** (first + begin), len(matrix), -1)
    return columns.reshape(2**n_qubits, k)


@functools.lru_cache(maxsize=256)
def _cz_signs(
    n_qubits: int, first: int, device: torch.device, dtype: torch.dtype
) -> Float[Tensor, "rows 1"]:
    """Compute the signs of CZ gates on neighbouring pairs from `first` on.

    The pairs are (first, first + 1), (first + 2, first + 3), … The sign is −1 to the number of
    pairs with two ones.
    """
    with torch.inference_mode(False):
        rows = torch.arange(2**n_qubits, device=device)
        signs = torch.ones(len(rows), dtype=dtype, device=device)
        for wire in range(first, n_qubits - 1, 2):
            bits = rows >> (n_qubits - 2 - wire) & 3
            signs[bits == 3] *= -1
        return signs.unsqueeze(1)


def n_skew_numbers(size: int, n_columns: int) -> int:
    """Count the entries below the diagonal in the first columns.

    The number is N K − K (K + 1) / 2.
    """
    return size * n_columns - n_columns * (n_columns + 1) // 2


def taylor_columns(
    numbers: Float[Tensor, "n_numbers"], size: int, n_columns: int, order: int
) -> Float[Tensor, "size n_columns"]:
    """Compute the first K columns of a truncated matrix exponential.

    The series is Σ_{p ≤ order} A^p / p! with A = [L 0] − [L 0]ᵀ. L (N × K) is strictly lower
    triangular. Since A is skew-symmetric, exp(A) is orthogonal. Truncation leaves an orthogonality
    error of up to ‖A‖^(order+1) / (order+1)!.

    Example:
        >>> taylor_columns(torch.tensor([torch.pi / 6]), 2, 1, order=12).flatten()
        tensor([0.8660, 0.5000])
    """
    rows, cols = _below_diagonal(size, n_columns, numbers.device)
    lower = numbers.new_zeros(size, n_columns).index_put((rows, cols), numbers)
    term = torch.eye(size, n_columns, dtype=numbers.dtype, device=numbers.device)
    total = term
    for power in range(1, order + 1):
        back = torch.nn.functional.pad(lower.mT @ term, (0, 0, 0, size - n_columns))
        term = (lower @ term[:n_columns] - back) / power
        total = total + term
    return total


@functools.lru_cache(maxsize=256)
def _below_diagonal(size: int, n_columns: int, device: torch.device) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(False):
        rows, cols = torch.tril_indices(size, n_columns, offset=-1, device=device)
        return rows.clone(), cols.clone()


def orthonormalised(columns: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """Orthonormalise columns by Gram–Schmidt.

    The result is the QR factor Q for a positive diagonal of R.

    Example:
        >>> orthonormalised(torch.tensor([[-2.0, 1.0], [0.0, 3.0]]))
        tensor([[-1.,  0.],
                [ 0.,  1.]])
    """
    q, r = torch.linalg.qr(columns)
    signs = torch.where(r.diagonal() < 0, -1.0, 1.0)
    return q * signs
