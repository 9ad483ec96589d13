"""A circuit's twin on fewer wires, planned and measured in place of one that is too large to try.

Gates keep their order, angles and kinds; only how many amplitudes each of them touches differs.
"""

import functools

from qtha_lab.circuits import Circuit, Gate

LARGEST = 2**25  # turns times amplitudes: some tenths of a second of one core to plan and to run


@functools.lru_cache(maxsize=256)
def twin(circuit: Circuit) -> tuple[Circuit, int]:
    """The twin, and by how much its states are smaller; a circuit that can be tried is its own.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> small, times = twin(build("qtha", n_qubits=20, n_layers=20))
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
    """The gate on the same wires counted in a ring of fewer; the next free one where two fall together."""
    places: list[int] = []
    for wire in gate.wires:
        place = wire % wires
        while place in places:
            place = (place + 1) % wires
        places.append(place)
    return Gate(gate.name, tuple(places), gate.angles, gate.matrix)
