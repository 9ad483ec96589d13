"""Facts of an ansatz, tried at a few sizes."""

import logging

import pennylane as qml
import torch
from pennylane.tape import QuantumScript

from qtha_lab.circuits import to_pennylane
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal, describe_error
from qtha_lab.simulators import expval_z
from qtha_lab.testing.facts import Broken, are_equal, expect, expect_text, fact

log = logging.getLogger(__name__)

SIZES = [(2, 1), (3, 2), (4, 2), (5, 1), (8, 2)]


def _sizes(info):
    return [(max(n, info.min_qubits), layers) for n, layers in SIZES]


@fact("ansatz", "it is built for 2 to 8 qubits, twice the same, and more layers make it longer")
def ansatz_built(info) -> None:
    """Check that builds succeed, repeat, and differ from a build with one layer more."""
    for n, layers in _sizes(info):
        try:
            first, second, longer = (info.make(n, m, True) for m in (layers, layers, layers + 1))
        except Exception as problem:
            raise Broken(
                f"{n} qubits and {layers} layers raise {describe_error(problem)}"
            ) from problem
        expect(first == second, f"two builds differ for {n} qubits and {layers} layers")
        expect(
            len(longer.gates) > len(first.gates),
            f"{layers + 1} layers give the circuit of {layers} layers for {n} qubits",
        )


@fact("ansatz", "every option changes the circuit")
def ansatz_effective(info) -> None:
    """Check that another number or truth value of each option gives another circuit."""
    n = max(4, info.min_qubits)
    for name, default in info.options.items():
        if isinstance(default, bool | int):
            values = [not default] if isinstance(default, bool) else [default + 1, default + 2]
            before = info.make(n, 2, True)
            try:
                others = [info.make(n, 2, True, **{name: value}) for value in values]
            except Refusal as reason:
                log.debug("option %s has no other value here: %s", name, reason)
                continue
            expect(
                not all(are_equal(before, other) for other in others),
                f"option {name} must change the circuit, but no value does",
            )


@fact("ansatz", "its summary and source have text")
def ansatz_texts(info) -> None:
    """Check that summary and source have text."""
    expect_text(info, "summary", "source")


@fact("ansatz", "its angles are numbered from 0 and as many as it states")
def counted(info) -> None:
    """Check that the parameters are 0 to n_params - 1, each used once."""
    for n, layers in _sizes(info):
        circuit = build(info.name, n, layers)
        read = sorted(a.index for g in circuit.gates for a in g.angles if a.source == "param")
        stated = info.n_params(n, layers)
        expect(
            read == list(range(stated)),
            f"{len(read)} angles for {n} qubits and {layers} layers, n_params gives {stated}",
        )


@fact("ansatz", "it reads one input per qubit, in every layer only with reupload")
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
        far = (expval_z(circuit, x, p, "torch") - torch.as_tensor(expected)).abs().max().item()
        expect(far < 1e-9, f"⟨Z⟩ differs by {far:.3g} for {n} qubits and {layers} layers")
