"""Block-diagonal ansatz: groups of qubits without gates between them."""

import dataclasses

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.registry import ansatz, build, get
from qtha_lab.core.errors import Refusal


def _sizes(n_qubits: int, n_blocks: int | None, inner: str) -> list[int]:
    """Return the qubits of each block, as equal as possible."""
    least = get(inner).min_qubits
    if n_blocks is None:
        n_blocks = 2 if n_qubits >= 2 * least else 1
    if not isinstance(n_blocks, int) or isinstance(n_blocks, bool) or n_blocks < 1:
        raise Refusal(f"n_blocks must be a whole number of at least 1, got {n_blocks!r}.")
    if n_qubits < n_blocks * least:
        raise Refusal(
            f"n_qubits must be at least {n_blocks * least} for {n_blocks} blocks of {inner!r}, "
            f"got {n_qubits}."
        )
    size, remainder = divmod(n_qubits, n_blocks)
    return [size + (block < remainder) for block in range(n_blocks)]


def _n_params(
    n_qubits: int, n_layers: int, n_blocks: int | None = None, inner: str = "qtha"
) -> int:
    sizes = _sizes(n_qubits, n_blocks, inner)
    return sum(get(inner).n_params(size, n_layers) for size in sizes)


@ansatz(
    "block_diagonal",
    summary="Two or more blocks of qubits without a gate between them, a QTHA circuit in each.",
    source="the distributed ansatz of Quantum-Train with tensor networks, arXiv:2409.06992, "
    "rebuilt "
    "[R]: how that paper cuts its circuit is not known to us",
    n_params=_n_params,
    min_qubits=2,
)
def block_diagonal(
    n_qubits: int,
    n_layers: int,
    reupload: bool = True,
    n_blocks: int | None = None,
    inner: str = "qtha",
) -> Circuit:
    """Build one inner circuit per block; outputs of a block depend on its inputs only.

    Args:
        n_qubits: Qubits of all blocks; blocks are contiguous, larger ones first.
        n_layers: Layers of every block.
        reupload: Encode the inputs in every layer, not only in the first.
        n_blocks: Number of blocks; None is 2, or 1 where the qubits do not suffice for 2.
        inner: Ansatz of a block.

    Raises:
        Refusal: If the inner ansatz is unknown or this one, or the qubits do not suffice for the
            blocks.
    """
    if inner == "block_diagonal":
        raise Refusal(f"The inner ansatz of 'block_diagonal' must be another one, got {inner!r}.")
    gates: list[Gate] = []
    wire = param = 0
    for size in _sizes(n_qubits, n_blocks, inner):
        block = build(inner, size, n_layers, reupload)
        gates += [_moved(gate, wire, param) for gate in block.gates]
        wire, param = wire + size, param + block.n_params
    return Circuit(n_qubits, gates)


def _moved(gate: Gate, wire: int, param: int) -> Gate:
    """Shift the wires and inputs of a gate by `wire`, and its parameters by `param`."""
    further = {"input": wire, "param": param, "const": 0}

    def move(angle: Angle) -> Angle:
        return dataclasses.replace(
            angle,
            index=angle.index + further[angle.source],
            factors=tuple(index + wire for index in angle.factors),
            weights=tuple(index + param for index in angle.weights),
        )

    wires = tuple(w + wire for w in gate.wires)
    return dataclasses.replace(gate, wires=wires, angles=tuple(map(move, gate.angles)))
