"""Facts of a kind of gate: its declaration agrees with its matrix."""

import itertools

import numpy as np
import pennylane as qml
from pennylane.tape import QuantumScript

from qtha_lab.circuits import GATES, Angle, Circuit, Gate, GateKind, to_pennylane
from qtha_lab.testing.facts import expect, fact

ANGLES = (0.7, -1.9, 2.6, 0.4, -0.8)
PAULIS = {
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def _matrix(kind: GateKind, angles: tuple[float, ...]) -> np.ndarray:
    """Return the product of its parts, (2^n_wires, 2^n_wires)."""
    gate = Gate(kind.name, range(kind.n_wires), angles)
    circuit = Circuit(kind.n_wires, gate.taken_apart())
    script = QuantumScript(to_pennylane(circuit, np.empty(0), np.empty(0)))
    wires = range(kind.n_wires)
    return np.asarray(qml.matrix(script, wire_order=wires))  # pyright: ignore[reportArgumentType]


@fact("gate", "its parts are rotations and flips on its own wires")
def of_parts(kind: GateKind) -> None:
    """Check the wires of the parts, and that only "Y" and "Z" have angles."""
    wires, angles = (5, 3)[: kind.n_wires], tuple(map(Angle.const, ANGLES[: kind.n_angles]))
    for name, on, angle in kind.parts(wires, angles):
        stray = set(on) - set(wires)
        expect(not stray, f"a part acts on wire {min(stray, default=0)}, and it on {wires}")
        rotation = isinstance(angle, Angle)
        expect(rotation == (name in ("Y", "Z")), f"part {name!r} has angle {angle!r}")


@fact("gate", "it equals PennyLane's operation of its name, if in_pennylane is True")
def equals_pennylane(kind: GateKind) -> None:
    """Check that the matrix is PennyLane's, up to a global phase."""
    if not kind.in_pennylane:
        return
    angles = ANGLES[: kind.n_angles]
    expect(hasattr(qml, kind.name), f"PennyLane has no {kind.name}: say in_pennylane=False")
    operation = getattr(qml, kind.name)(*angles, wires=range(kind.n_wires))
    overlap = np.vdot(_matrix(kind, angles), qml.matrix(operation)) / 2**kind.n_wires
    expect(abs(abs(overlap) - 1) < 1e-9, f"they overlap by {abs(overlap):.6f}, not 1")


@fact("gate", "it commutes with the Paulis that it names")
def commutes(kind: GateKind) -> None:
    """Check that the matrix commutes with the letters of `commutes_with` on their wires."""
    matrix = _matrix(kind, ANGLES[: kind.n_angles])
    for wire, letter in enumerate(kind.commutes_with):
        on_wires = [PAULIS[letter] if w == wire else np.eye(2) for w in range(kind.n_wires)]
        pauli = on_wires[0] if kind.n_wires == 1 else np.kron(*on_wires)
        expect(np.allclose(matrix @ pauli, pauli @ matrix), f"not with {letter} on wire {wire}")


@fact("gate", "its values have no other frequencies than it names")
def has_frequencies(kind: GateKind) -> None:
    """Check that sines and cosines of `frequencies` fit an expectation to 10⁻⁸.

    The expectation is a function of each angle.
    """
    points = np.linspace(0, 4 * np.pi, 41)[:-1]
    waves = [wave(f * points) for f, wave in itertools.product(kind.frequencies, (np.cos, np.sin))]
    design = np.stack([np.ones_like(points), *waves], 1)
    generator = np.random.default_rng(0)
    size = 2**kind.n_wires
    state = generator.normal(size=size) + 1j * generator.normal(size=size)
    observable = generator.normal(size=(size, size))
    for place in range(kind.n_angles):
        values = []
        for point in points:
            angles = list(ANGLES[: kind.n_angles])
            angles[place] = float(point)
            after = _matrix(kind, tuple(angles)) @ state
            values.append((after.conj() @ (observable + observable.T) @ after).real)
        fitted = design @ np.linalg.lstsq(design, np.array(values), rcond=None)[0]
        far = abs(fitted - values).max()
        expect(far < 1e-8, f"in angle {place} waves of {kind.frequencies} miss it by {far:.3g}")


@fact("gate", "its interaction and its local rotation agree with its parts")
def gate_interacts(kind: GateKind) -> None:
    """Check that rotations by the angles of `interaction` equal the gate up to a phase."""
    if kind.local is not None:
        known = kind.local in GATES and GATES[kind.local].n_wires == 1
        same = known and GATES[kind.local].n_angles == kind.n_angles
        expect(same, f"local must be a gate of one wire and as many angles, got {kind.local!r}")
    if kind.interaction is None:
        return
    angles = ANGLES[: kind.n_angles]
    terms = kind.interaction(tuple(map(Angle.const, angles)))
    gates = [
        Gate(name, (0, 1), angle)
        for name, angle in zip(("IsingXX", "IsingYY", "IsingZZ"), terms, strict=True)
        if angle is not None
    ]
    script = QuantumScript(to_pennylane(Circuit(2, gates), np.empty(0), np.empty(0)))
    wires = list(range(2))
    matrix = np.asarray(qml.matrix(script, wire_order=wires))  # pyright: ignore[reportArgumentType]
    overlap = abs(np.vdot(_matrix(kind, angles), matrix)) / 4
    expect(bool(abs(overlap - 1) < 1e-9), f"interaction and parts overlap by {overlap:.6f}, not 1")
