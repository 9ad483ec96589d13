"""Gate-by-gate trace of a circuit: state, ⟨Z⟩, entanglement and gradients.

For the circuit explorer, whose angles the user changes. Computes one sample at given angles.
Engines are faster, but fuse gates.
"""

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Complex, Float

from qtha_lab.analysis.circuits.entanglement import cut_entropies, meyer_wallach
from qtha_lab.analysis.circuits.gate_gradients import (
    GateGradients,
    Numbers,
    gate_gradients,
    one_sample,
)
from qtha_lab.circuits import Circuit
from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.core.errors import Refusal

MOST_QUBITS = 12


@dataclasses.dataclass(frozen=True)
class CircuitTrace:
    """States of a circuit: step 0 is initial, step k follows gate k - 1.

    Wire 0 is the most significant bit. States are up to a global phase. Entanglement and ⟨Z⟩ inside
    a circuit are those of a measurement at that step, which the circuit does not perform. Both are
    computed on request.

    Attributes:
        states: States, (steps, amplitudes).
        gradients: Gradients of one final read-out, at every gate.
    """

    circuit: Circuit
    inputs: Float[np.ndarray, " n_inputs"]
    params: Float[np.ndarray, " n_params"]
    states: Complex[np.ndarray, "steps amplitudes"]
    gradients: GateGradients

    @property
    def probs(self) -> Float[np.ndarray, "steps amplitudes"]:
        """Probability of every basis state."""
        return np.abs(self.states) ** 2

    @functools.cached_property
    def z(self) -> Float[np.ndarray, "steps n_qubits"]:
        """Expectation ⟨Z⟩ of every wire."""
        n_qubits = self.circuit.n_qubits
        return self.probs @ np.stack([parity_signs(n_qubits, (w,)) for w in range(n_qubits)]).T

    @functools.cached_property
    def cut_entropy_bits(self) -> Float[np.ndarray, "steps cuts"]:
        """Entanglement entropy in bits between wires k and k + 1."""
        return cut_entropies(torch.from_numpy(self.states)).numpy()

    @functools.cached_property
    def meyer_wallach(self) -> Float[np.ndarray, " steps"]:
        """Meyer-Wallach measure of the entanglement of all wires."""
        return meyer_wallach(torch.from_numpy(self.states)).numpy()

    def at_the_end(self) -> dict:
        """Return the final state's values as arguments of `qtha_lab.figures.circuit_state`."""
        gradients, end = self.gradients, dataclasses.replace(self, states=self.states[-1:])
        by_name = {f"x{k}": float(gradient) for k, gradient in enumerate(gradients.inputs)}
        by_name |= {f"p{k}": float(gradient) for k, gradient in enumerate(gradients.params)}
        return {
            "probs": end.probs[0],
            "phases": np.angle(end.states[0]),
            "z": end.z[0],
            "cut_entropy_bits": end.cut_entropy_bits[0],
            "gradients": by_name,
            "observable": gradients.observable,
        }

    def rows(self) -> list[dict]:
        """Return gate rows for `figures.circuit_diagram`, each angle with its own gradient."""
        rows = gate_rows(self.circuit, self.inputs, self.params)
        for row, gradients in zip(rows, self.gradients.gates, strict=True):
            for angle, gradient in zip(row["angles"], gradients, strict=True):
                angle["gradient"] = gradient
        return rows


def trace_circuit(
    circuit: Circuit, inputs: Numbers, params: Numbers, observable: str = "Z0"
) -> CircuitTrace:
    """Trace a circuit gate by gate at one sample.

    Args:
        circuit: Circuit to trace.
        inputs: One sample, (n_inputs,).
        params: Trainable angles, (n_params,).
        observable: Pauli string whose gradient is computed at every gate.

    Raises:
        Refusal: If the numbers do not fit, or there are too many qubits.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> bell = trace_circuit(Circuit(2, [Gate("H", 0), Gate("CNOT", (0, 1))]), [], [])
        >>> bell.cut_entropy_bits.ravel().round(6)  # start, H, CNOT
        array([0., 0., 1.])
        >>> bell.probs[-1].round(6)
        array([0.5, 0. , 0. , 0.5])
    """
    if circuit.n_qubits > MOST_QUBITS:
        raise Refusal(f"A trace must have at most {MOST_QUBITS} qubits, got {circuit.n_qubits}.")
    x = one_sample("inputs", inputs, circuit.n_inputs).numpy()
    p = one_sample("params", params, circuit.n_params).numpy()
    states = np.stack(list(steps(circuit, x, p)))
    return CircuitTrace(circuit, x, p, states, gate_gradients(circuit, x, p, observable))


def steps(circuit: Circuit, inputs: np.ndarray, params: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the initial state and the state after every gate.

    Args:
        circuit: Circuit to run, gate by gate.
        inputs: One sample, (n_inputs,), in radians; amplitudes are normalised.
        params: Trainable angles, (n_params,), in radians.

    Yields:
        len(circuit.gates) + 1 complex states of 2^n_qubits amplitudes, up to a global phase; wire 0
        is the most significant bit.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> flip = Circuit(1, [Gate("X", 0)])
        >>> [np.abs(state).tolist() for state in steps(flip, np.empty(0), np.empty(0))]
        [[1.0, 0.0], [0.0, 1.0]]
    """
    state = np.zeros(2**circuit.n_qubits, dtype=complex)
    state[0] = 1.0
    if circuit.start == "amplitudes":
        state = (inputs / np.linalg.norm(inputs)).astype(complex)
    yield state
    for gate in circuit.gates:
        for kind, wires, angle in gate.parts():
            half = 0.0 if angle is None else 0.5 * float(angle.value(inputs, params))
            state = _applied(state, circuit.n_qubits, kind, wires, half)
        yield state


def _applied(
    state: np.ndarray, n_qubits: int, kind: str, wires: tuple[int, ...], half: float
) -> np.ndarray:
    """Apply one part of a gate (see `GateKind`)."""
    if kind == "Z":
        return state * np.exp(-1j * half * parity_signs(n_qubits, wires))
    if kind == "CNOT":
        axes = np.moveaxis(state.reshape([2] * n_qubits), wires, (0, 1))
        flipped = np.stack([axes[0], axes[1][::-1]])
        return np.moveaxis(flipped, (0, 1), wires).reshape(-1)
    zero, one = state.reshape(2 ** wires[0], 2, -1).swapaxes(0, 1)
    if kind == "Y":
        cos, sin = np.cos(half), np.sin(half)
        zero, one = cos * zero - sin * one, sin * zero + cos * one
    else:
        zero, one = one, zero
    return np.stack([zero, one], 1).reshape(-1)


def parity_signs(n_qubits: int, wires: tuple[int, ...]) -> np.ndarray:
    """Return the value of Z⊗…⊗Z on these wires in every basis state.

    Example:
        >>> parity_signs(2, (0, 1))
        array([ 1., -1., -1.,  1.])
    """
    mask = sum(1 << (n_qubits - 1 - wire) for wire in wires)
    return 1.0 - 2.0 * (np.bitwise_count(np.arange(2**n_qubits) & mask) % 2)
