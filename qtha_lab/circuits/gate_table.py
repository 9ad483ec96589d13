"""Conversion of a circuit to plain rows, one per gate, for figures and tables."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from qtha_lab.circuits.circuit import Circuit

Numbers = Sequence[float] | np.ndarray


def gate_rows(
    circuit: Circuit,
    inputs: Numbers | None = None,
    params: Numbers | None = None,
    gradients: Numbers | None = None,
) -> list[dict[str, Any]]:
    """Return name, wires and angles of every gate, in order of application.

    Args:
        circuit: Circuit to convert.
        inputs: One sample, (n_inputs,); without it, input angles have no value.
        params: Trainable angles, (n_params,), in radians; without them, they have no value.
        gradients: Gradient of any value by `params`, (n_params,), added to each trained angle.

    Returns:
        One dictionary per gate: `name`, `wires`, and in `angles` one dictionary per angle with its
        `source`, `value` in radians and `gradient`, None where unknown.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> rotation = Gate("RY", 0, Angle.param(0))
        >>> gate_rows(Circuit(1, [rotation]), params=[0.5])
        [{'name': 'RY', 'wires': [0], 'angles': [{'source': 'p0', 'value': 0.5, 'gradient': None}]}]
    """
    values = {"input": inputs, "param": params, "const": ()}

    def row(angle) -> dict[str, Any]:
        numbers = values[angle.source]
        value = angle.offset if angle.source == "const" else None
        if angle.source != "const" and numbers is not None:
            product = math.prod(float(numbers[index]) for index in angle.indices)
            value = angle.scale * product + angle.offset
        gradient = None
        if angle.source == "param" and gradients is not None:
            gradient = float(gradients[angle.index])
        return {
            "source": str(angle),
            "value": value,
            "gradient": gradient,
        }

    return [
        {"name": gate.name, "wires": list(gate.wires), "angles": [row(a) for a in gate.angles]}
        for gate in circuit.gates
    ]
