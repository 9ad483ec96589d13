"""Reduced copy of a large circuit on fewer wires, for time estimates.

Gates keep their order, angles and kinds; only the number of amplitudes per gate is smaller.
"""

import functools

from qtha_lab.circuits import Circuit, Gate

LARGEST = 2**25  # rotations times amplitudes: a few tenths of a second on one core


@functools.lru_cache(maxsize=256)
def smaller_copy(circuit: Circuit) -> tuple[Circuit, int]:
    """Return a reduced copy of a circuit and the ratio of state sizes.

    A circuit that is small enough is returned unchanged, with ratio 1.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> small, times = smaller_copy(build("qtha", n_qubits=20, n_layers=20))
        >>> small.n_qubits, times
        (13, 128)
    """
    widest = max((len(gate.wires) for gate in circuit.gates), default=1)
    rotations = sum(kind in "YZ" for gate in circuit.gates for kind, _, _ in gate.parts())
    wires = circuit.n_qubits
    while wires > max(widest, 2) and rotations * 2**wires > LARGEST:
        wires -= 1
    if wires == circuit.n_qubits:
        return circuit, 1
    gates = [_moved(gate, wires) for gate in circuit.gates]
    return Circuit(wires, gates, circuit.start), 2 ** (circuit.n_qubits - wires)


def _moved(gate: Gate, wires: int) -> Gate:
    """Map a gate to wires modulo `wires`; on a collision take the next free wire."""
    places: list[int] = []
    for wire in gate.wires:
        place = wire % wires
        while place in places:
            place = (place + 1) % wires
        places.append(place)
    return Gate(gate.name, tuple(places), gate.angles, gate.matrix)
