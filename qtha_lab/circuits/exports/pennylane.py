"""Export of a circuit as PennyLane operations.

The import is `imports.pennylane`.
"""

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.gates import Gate
from qtha_lab.circuits.protocol import CircuitLike


def to_pennylane(circuit: CircuitLike, inputs, params) -> list:
    """Return the circuit's gates as PennyLane operations.

    Inside a quantum function, the operations are queued.

    Args:
        circuit: Circuit to export.
        inputs: Data, (n_inputs,) or a batch (batch, n_inputs), which PennyLane broadcasts.
        params: Trainable angles, (n_params,), in radians.

    Returns:
        The operations in order, on wires 0, 1, …; first an `AmplitudeEmbedding` if the
        circuit starts in amplitudes.

    Example:
        >>> import numpy as np
        >>> from qtha_lab.circuits import Circuit
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.input(0, scale=2.0))])
        >>> to_pennylane(rotation, np.array([0.25]), np.array([]))
        [RY(np.float64(0.5), wires=[0])]
    """
    import numpy as np
    import pennylane as qml

    def value(angle: Angle):
        number = angle.value(inputs, params)
        # PennyLane's Rot cannot mix plain numbers with tensors
        return params.new_tensor(number) if isinstance(number, float) and is_torch else number

    def operation(gate: Gate):
        if gate.matrix is not None:
            return qml.QubitUnitary(np.array(gate.matrix), wires=gate.wires)
        return getattr(qml, gate.name)(*map(value, gate.angles), wires=gate.wires)

    def operations(gate: Gate) -> list:
        return [
            operation(part) for part in ([gate] if gate.kind.in_pennylane else gate.taken_apart())
        ]

    is_torch = hasattr(params, "new_tensor")
    start = []
    if circuit.start == "amplitudes":
        start = [qml.AmplitudeEmbedding(inputs, range(circuit.n_qubits), normalize=True)]
    return start + [operation for gate in circuit.gates for operation in operations(gate)]
