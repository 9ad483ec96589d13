"""Conversion of a circuit to plain rows, one per gate, for figures and tables."""

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
    numbers = {"input": inputs, "param": params}

    def row(angle) -> dict[str, Any]:
        known = all(numbers[source] is not None for source, _ in angle.variables)
        value = float(angle.value(np.asarray(inputs), np.asarray(params))) if known else None
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
