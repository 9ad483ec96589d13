"""A gate in one file: XY(θ) = exp(iθ/4 (X⊗X + Y⊗Y)), which exchanges excitations of two qubits.

qtha-lab check-plugin examples/exchange.py
"""

from math import pi

from qtha_lab.plugins import GateKind, cnot, gate_kind, rotation_x, rotation_z


def parts(wires, angles):
    """Rotations by −θ/2 about XX and about YY, which commute."""
    half = angles[0].times(-0.5)
    about_xx = [cnot(*wires), *rotation_x(wires[0], half), cnot(*wires)]
    before, after = ([rotation_z(wire, angle) for wire in wires] for angle in (-pi / 2, pi / 2))
    return [*about_xx, *before, *about_xx, *after]


# The generator has the eigenvalues 0 and ±1/2, and their differences are the frequencies.
gate_kind(
    GateKind("XY", ("XY", "XY"), parts, n_angles=1, frequencies=(0.5, 1.0), in_pennylane=False)
)
