"""A circuit as plain rows, one per gate: what figures and tables take instead of our objects."""

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
    """Name, wires and angles of every gate, in the order of time.

    Args:
        circuit: What to read.
        inputs: One sample, (n_inputs,); without it the angles of inputs have no value.
        params: Trainable angles, (n_params,), in radians; without them those have no value.
        gradients: Of anything with respect to `params`, (n_params,), beside each angle that reads one.

    Returns:
        One dictionary per gate: `name`, `wires`, and in `angles` one dictionary per angle with its
        `source`, `value` in radians and `gradient`, None where they are not known.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> rotation = Gate("RY", 0, Angle.param(0))
        >>> gate_rows(Circuit(1, [rotation]), params=[0.5])
        [{'name': 'RY', 'wires': [0], 'angles': [{'source': 'p0', 'value': 0.5, 'gradient': None}]}]
    """
    values = {"input": inputs, "param": params, "const": ()}

    def row(angle) -> dict[str, Any]:
        numbers = values[angle.source]
        offset = angle.offset
        value = offset if angle.source == "const" else None
        if angle.source != "const" and numbers is not None:
            value = angle.scale * float(numbers[angle.index]) + offset
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
