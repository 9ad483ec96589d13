"""Angle encoding of data: RY(x_i) on qubit i."""

from qtha_lab.circuits import Angle, Gate


def encoded(n_qubits: int, layer: int, reupload: bool) -> list[Gate]:
    """Return the gates that encode the data at the start of a layer, if any.

    Args:
        n_qubits: Number of qubits; feature i, in radians, is the RY angle of qubit i.
        layer: Index of the layer, from 0.
        reupload: Encode the data in every layer, not only in layer 0.

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
