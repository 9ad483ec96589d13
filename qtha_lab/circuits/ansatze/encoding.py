"""How data enter a circuit of angles: RY(x_i) on qubit i."""

from qtha_lab.circuits import Angle, Gate


def encoded(n_qubits: int, layer: int, reupload: bool) -> list[Gate]:
    """The gates that encode the data at the start of a layer; none where they are not wanted.

    Args:
        n_qubits: Qubits; feature i, in radians, turns qubit i.
        layer: The layer, counted from 0.
        reupload: Whether the data are encoded in every layer, or in layer 0 only.

    Returns:
        RY(x_i) on every qubit i, or no gates.

    Example:
        >>> [str(gate) for gate in encoded(2, layer=0, reupload=False)]
        ['RY(x0) on 0', 'RY(x1) on 1']
        >>> encoded(2, layer=1, reupload=False)
        []
    """
    if layer > 0 and not reupload:
        return []
    return [Gate("RY", i, Angle.input(i)) for i in range(n_qubits)]
