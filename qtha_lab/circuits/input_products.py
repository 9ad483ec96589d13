"""Products with inputs as further inputs, so that all angles are affine."""

import functools

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.circuit import Circuit
from qtha_lab.circuits.gates import Gate

Products = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
"""Indices of the inputs and of the parameters of each product."""


@functools.lru_cache(maxsize=256)
def without_products(circuit: Circuit) -> tuple[Circuit, Products]:
    """Replace each product with an input by a further input.

    Returns:
        The circuit, and the inputs and parameters that each further input multiplies. A circuit
        without products is returned unchanged.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> circuit, products = without_products(Circuit(1, [Gate("RZ", 0, Angle.product([0, 1]))]))
        >>> print(circuit.draw(), products)
        0: ──RZ(x2)─┤ (((0, 1), ()),)
    """
    products = {_product(a): 0 for gate in circuit.gates for a in gate.angles if a.is_product}
    if not products:
        return circuit, ()
    places = {product: circuit.n_inputs + number for number, product in enumerate(products)}
    gates = [
        Gate(
            gate.name,
            gate.wires,
            [
                Angle.input(places[_product(a)], a.scale, a.offset) if a.is_product else a
                for a in gate.angles
            ],
            gate.matrix,
        )
        for gate in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates, circuit.start), tuple(products)


def _product(angle: Angle) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (angle.index, *angle.factors), angle.weights
