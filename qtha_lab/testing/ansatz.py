"""Facts of an ansatz, tried at a few sizes."""

import pennylane as qml
import torch
from pennylane.tape import QuantumScript

from qtha_lab.circuits import to_pennylane
from qtha_lab.circuits.ansatze import build
from qtha_lab.simulators import expval_z
from qtha_lab.testing.facts import expect, fact

SIZES = [(2, 1), (3, 2), (4, 2)]


def _sizes(info):
    return [(max(n, info.min_qubits), layers) for n, layers in SIZES]


@fact("ansatz", "it says what it is and where it is from")
def described(info) -> None:
    """Check that summary and source have text."""
    for name in ("summary", "source"):
        expect(bool(getattr(info, name).strip()), f"its {name} is empty")


@fact("ansatz", "its angles are numbered from 0 and as many as it states")
def counted(info) -> None:
    """Check that the parameters are 0 to n_params - 1, each used once."""
    for n, layers in _sizes(info):
        circuit = build(info.name, n, layers)
        read = sorted(a.index for g in circuit.gates for a in g.angles if a.source == "param")
        stated = info.n_params(n, layers)
        expect(
            read == list(range(stated)),
            f"{len(read)} angles for {n} qubits and {layers} layers, n_params says {stated}",
        )


@fact("ansatz", "it reads one input per qubit, in every layer only where asked to")
def encoded(info) -> None:
    """Check that each qubit has one input, encoded per layer with reupload, else once."""
    for n, layers in _sizes(info):
        for reupload in (True, False):
            circuit = build(info.name, n, layers, reupload)
            uploads = sum(a.source == "input" for g in circuit.gates for a in g.angles)
            expected = n * (layers if reupload else 1)
            expect(
                circuit.n_inputs == n and uploads == expected,
                f"{uploads} encodings of {circuit.n_inputs} inputs, {n} qubits, {layers} layers, "
                f"reupload={reupload}",
            )


@fact("ansatz", "its values equal PennyLane's")
def equals_pennylane(info) -> None:
    """Check that ⟨Z⟩ at random angles is within 10⁻⁹ of PennyLane's default.qubit."""
    for n, layers in _sizes(info):
        circuit = build(info.name, n, layers)
        generator = torch.Generator().manual_seed(n)
        x, p = (
            torch.rand(size, generator=generator, dtype=torch.float64) * 3
            for size in (circuit.n_inputs, circuit.n_params)
        )
        read = [qml.expval(qml.PauliZ(wire)) for wire in range(n)]
        tape = QuantumScript(to_pennylane(circuit, x.numpy(), p.numpy()), read)
        (expected,) = qml.execute([tape], qml.device("default.qubit"))
        far = (expval_z(circuit, x, p) - torch.as_tensor(expected)).abs().max().item()
        expect(far < 1e-9, f"⟨Z⟩ differs by {far:.3g} for {n} qubits and {layers} layers")
