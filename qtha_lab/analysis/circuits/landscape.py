"""Landscape of an expectation over two trained angles, the others fixed at random values."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.analysis.circuits.random_angles import draw_angles, free_angles
from qtha_lab.analysis.circuits.trainability import gradient_variance_of
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval

POINTS = 25
DRAWS = 50  # of the gradients that select the two angles
READ_OUTS = ("one wire", "all wires")


@dataclasses.dataclass(frozen=True)
class Landscape2D:
    """Expectation over two angles.

    Attributes:
        angles: Values of both angles, in radians.
        values: Expectation by second and first angle.
        observable: Pauli string that was measured.
    """

    angles: Float[np.ndarray, " points"]
    values: Float[np.ndarray, "points points"]
    observable: str


def observable_of(read_out: str, n_qubits: int) -> str:
    """Return the Pauli string of a read-out.

    Args:
        read_out: One of `READ_OUTS`.
        n_qubits: Number of qubits.

    Example:
        >>> observable_of("all wires", 3)
        'Z0 Z1 Z2'
    """
    if read_out not in READ_OUTS:
        raise Refusal(f"read_out must be one of {', '.join(READ_OUTS)}, got {read_out!r}.")
    wires = range(1 if read_out == READ_OUTS[0] else n_qubits)
    return " ".join(f"Z{wire}" for wire in wires)


def landscape_of(circuit: Circuit, observable: str = "Z0", seed: int = 0) -> Landscape2D:
    """Evaluate an expectation over the two trained angles with the largest gradients.

    The data are zero.

    Args:
        circuit: Circuit with at least two trained angles.
        observable: Pauli string, such as "Z0".
        seed: Seed of the other angles, uniform in ±π.

    Example:
        >>> from qtha_lab.circuits import ansatze
        >>> found = landscape_of(ansatze.build("product", 2, 1), "Z0 Z1")
        >>> found.values.shape, bool(abs(found.values).max() <= 1)
        ((25, 25), True)
    """
    if circuit.n_params < 2:
        raise Refusal(f"A landscape must have two trained angles, got {circuit.n_params}.")
    free, others = free_angles(circuit), draw_angles(circuit, 1, "zeros", seed)
    line = torch.linspace(-torch.pi, torch.pi, POINTS, dtype=torch.float64)
    first, last = torch.meshgrid(line, line, indexing="xy")
    params = others.params.double().repeat(POINTS**2, 1)
    variances = gradient_variance_of(circuit, observable, DRAWS, seed=seed).variances
    one, other = sorted(np.argsort(-variances, kind="stable")[:2].tolist())
    params[:, one], params[:, other] = first.flatten(), last.flatten()
    inputs = others.inputs.double().repeat(POINTS**2, 1)
    data = torch.cat([inputs, params], 1)[:, : free.n_inputs]
    values = expval(free, [observable], data, data.new_zeros(0))
    return Landscape2D(line.numpy(), values.reshape(POINTS, POINTS).numpy(), observable)
