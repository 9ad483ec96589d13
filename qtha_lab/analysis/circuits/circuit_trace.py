"""A circuit gate by gate at given angles: the state, ⟨Z⟩, entanglement, and each gate's gradient.

What an explorer shows while angles are turned. One sample; engines are faster, but fuse gates.
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
from qtha_lab.circuits.rows import gate_rows
from qtha_lab.core.errors import Refusal

MOST_QUBITS = 12


@dataclasses.dataclass(frozen=True)
class CircuitTrace:
    """Step 0 is the start, step k is after gate k - 1; wire 0 is the most significant bit.

    States are up to a global phase. Entanglement and ⟨Z⟩ in the middle of a circuit are what a
    measurement there would show; nothing measures there. Both are worked out when they are asked for.

    Attributes:
        states: (steps, amplitudes).
        gradients: Of one read-out at the end, at every gate.
    """

    circuit: Circuit
    inputs: Float[np.ndarray, " n_inputs"]
    params: Float[np.ndarray, " n_params"]
    states: Complex[np.ndarray, "steps amplitudes"]
    gradients: GateGradients

    @property
    def probs(self) -> Float[np.ndarray, "steps amplitudes"]:
        """The chance of every basis state."""
        return np.abs(self.states) ** 2

    @functools.cached_property
    def z(self) -> Float[np.ndarray, "steps n_qubits"]:
        """⟨Z⟩ of every wire."""
        n_qubits = self.circuit.n_qubits
        return self.probs @ np.stack([parity_signs(n_qubits, (w,)) for w in range(n_qubits)]).T

    @functools.cached_property
    def cut_entropy_bits(self) -> Float[np.ndarray, "steps cuts"]:
        """Entanglement between wires k and k + 1."""
        return cut_entropies(torch.from_numpy(self.states)).numpy()

    @functools.cached_property
    def meyer_wallach(self) -> Float[np.ndarray, " steps"]:
        """Entanglement of all wires."""
        return meyer_wallach(torch.from_numpy(self.states)).numpy()

    def at_the_end(self) -> dict:
        """What is left after the last gate, as `qtha_lab.figures.circuit_state` takes it."""
        slopes, end = self.gradients, dataclasses.replace(self, states=self.states[-1:])
        by_name = {f"x{k}": float(slope) for k, slope in enumerate(slopes.inputs)}
        by_name |= {f"p{k}": float(slope) for k, slope in enumerate(slopes.params)}
        return {
            "probs": end.probs[0],
            "phases": np.angle(end.states[0]),
            "z": end.z[0],
            "cut_entropy_bits": end.cut_entropy_bits[0],
            "gradients": by_name,
            "observable": slopes.observable,
        }

    def rows(self) -> list[dict]:
        """Gates for `qtha_lab.figures.circuit`, each angle with its own gradient."""
        rows = gate_rows(self.circuit, self.inputs, self.params)
        for row, slopes in zip(rows, self.gradients.gates, strict=True):
            for angle, slope in zip(row["angles"], slopes, strict=True):
                angle["gradient"] = slope
        return rows


def trace_circuit(
    circuit: Circuit, inputs: Numbers, params: Numbers, observable: str = "Z0"
) -> CircuitTrace:
    """Walk through a circuit at one sample.

    Args:
        circuit: What to walk through.
        inputs: One sample, (n_inputs,).
        params: Trainable angles, (n_params,).
        observable: Whose gradient is told at every gate.

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
        raise Refusal(f"a trace is kept for {MOST_QUBITS} qubits at most, not {circuit.n_qubits}")
    x = one_sample("inputs", inputs, circuit.n_inputs).numpy()
    p = one_sample("params", params, circuit.n_params).numpy()
    states = np.stack(list(steps(circuit, x, p)))
    return CircuitTrace(circuit, x, p, states, gate_gradients(circuit, x, p, observable))


def steps(circuit: Circuit, inputs: np.ndarray, params: np.ndarray) -> Iterator[np.ndarray]:
    """The state at the start and after every gate.

    Args:
        circuit: What to run, gate by gate.
        inputs: One sample, (n_inputs,), in radians; where amplitudes are the data, they are normalised.
        params: Trainable angles, (n_params,), in radians.

    Yields:
        len(circuit.gates) + 1 complex states of 2^n_qubits amplitudes, up to a global phase; wire 0 is
        the most significant bit.

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
    """One part of a gate (see `GateKind`)."""
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
    """The value of Z⊗…⊗Z on these wires in every basis state.

    Example:
        >>> parity_signs(2, (0, 1))
        array([ 1., -1., -1.,  1.])
    """
    mask = sum(1 << (n_qubits - 1 - wire) for wire in wires)
    return 1.0 - 2.0 * (np.bitwise_count(np.arange(2**n_qubits) & mask) % 2)
