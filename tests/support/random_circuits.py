"""Circuits of any gates for hypothesis, their matrices by PennyLane, and engines compared."""

import numpy as np
import pennylane as qml
import torch
from hypothesis import strategies as st
from scipy.stats import unitary_group

from qtha_lab.circuits import GATES, Angle, Circuit, Gate, to_pennylane
from qtha_lab.simulators import expval_z


@st.composite
def circuits(draw, max_inputs=3, products=False):
    n_qubits = draw(st.integers(1, 4))
    angle = st.one_of(
        st.builds(
            Angle,
            st.sampled_from(["input", "param"] if max_inputs else ["param"]),
            st.integers(0, 2),
            st.sampled_from([1.0, 2.0, -0.5]),
            st.sampled_from([0.0, 0.3]),
        ),
        st.floats(-4, 4).map(Angle.const),
    )
    if products:
        indices = st.lists(st.integers(0, 2), min_size=2, max_size=2)
        angle = angle | st.builds(Angle.product, indices, st.sampled_from([1.0, -0.5]))
    kinds = [k for k in GATES.values() if k.n_wires <= n_qubits]
    unitaries = [1, 2][:n_qubits]  # by their number of wires
    gates = []
    for _ in range(draw(st.integers(0, 16))):
        kind = draw(st.sampled_from(kinds + unitaries))
        order = draw(st.permutations(range(n_qubits)))
        if kind in unitaries:
            matrix = unitary_group.rvs(2**kind, random_state=draw(st.integers(0, 2**32 - 1)))
            gates.append(Gate.unitary(matrix, order[:kind]))
            continue
        wires = order[: kind.n_wires]
        gates.append(Gate(kind.name, wires, [draw(angle) for _ in range(kind.n_angles)]))
    return Circuit(n_qubits, gates)


def matrix_of(circuit: Circuit) -> np.ndarray:
    """The circuit's matrix at `numbers_for` its inputs and parameters."""
    return matrix_of_operations(to_pennylane(circuit, *numbers_for(circuit)), circuit.n_qubits)


def numbers_for(circuit: Circuit) -> tuple[np.ndarray, np.ndarray]:
    """Some inputs and parameters, always the same."""
    return np.linspace(-2, 1, circuit.n_inputs), np.linspace(0.4, 3, circuit.n_params)


def matrix_of_operations(operations, n_qubits: int) -> np.ndarray:
    return qml.matrix(qml.tape.QuantumScript(list(operations)), wire_order=range(n_qubits))


def assert_same_up_to_phase(matrix: np.ndarray, expected: np.ndarray) -> None:
    overlap = np.trace(expected.conj().T @ matrix)
    np.testing.assert_allclose(matrix, expected * overlap / abs(overlap), atol=1e-12)


def values_and_gradients(function, operands):
    """Return the values of a function, and the gradients of a sum of them with fixed weights."""
    values = function(*operands)
    weights = torch.linspace(-1, 2, values.numel(), dtype=values.real.dtype).reshape(values.shape)
    total = (values.real * weights).sum()
    return values, *torch.autograd.grad(total, operands, materialize_grads=True)


def assert_agree(circuit, engines, batch=3, read=expval_z, oracle="device:default.qubit"):
    """Compare values and both gradients of engines with those of an oracle.

    The bound is 1e-10 in float64; it is 1e-5 in float32, relative to the largest.
    """
    generator = torch.Generator().manual_seed(0)
    shapes = [(batch, circuit.n_inputs), (circuit.n_params,)]
    numbers = [torch.randn(s, dtype=torch.float64, generator=generator) for s in shapes]

    def computed(engine, dtype):
        operands = [t.to(dtype, copy=True).requires_grad_() for t in numbers]
        return values_and_gradients(lambda x, p: read(circuit, x, p, engine), operands)

    truth = computed(oracle, torch.float64)
    for engine in engines:
        for dtype, bound in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
            for a, b in zip(computed(engine, dtype), truth, strict=True):
                scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
                torch.testing.assert_close(a.double(), b, atol=bound * scale, rtol=0)
