"""Products of inputs as further inputs, so that all angles are affine in inputs."""

import dataclasses
import functools

from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate

Products = tuple[tuple[int, ...], ...]


@functools.lru_cache(maxsize=256)
def without_products(circuit: Circuit) -> tuple[Circuit, Products]:
    """Replace each product of inputs by a further input.

    Returns:
        The circuit, and the indices that each further input multiplies. A circuit without products
        is returned unchanged.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> circuit, products = without_products(Circuit(1, [Gate("RZ", 0, Angle.product([0, 1]))]))
        >>> print(circuit.draw(), products)
        0: ──RZ(x2)─┤ ((0, 1),)
    """
    products = {a.indices: 0 for gate in circuit.gates for a in gate.angles if a.factors}
    if not products:
        return circuit, ()
    places = {indices: circuit.n_inputs + number for number, indices in enumerate(products)}
    gates = [
        Gate(
            gate.name,
            gate.wires,
            [
                dataclasses.replace(a, index=places[a.indices], factors=()) if a.factors else a
                for a in gate.angles
            ],
            gate.matrix,
        )
        for gate in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates, circuit.start), tuple(products)
