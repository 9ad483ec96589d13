"""First columns of an orthogonal matrix from few numbers, by circuit or exponential.

Used by Quantum-PEFT. Maps sizes and angles to columns, independent of layers.
"""

import functools

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.circuits import Angle, Circuit, Gate

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
