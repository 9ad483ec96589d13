"""Elementary parts of gates: Y rotations, Z-string rotations and basis-state flips.

Engines implement only these. `gate_kinds` declares the parts of each gate.
"""

from typing import Literal

from qtha_lab.circuits.angle import PI, Angle

Wires = tuple[int, ...]
Rotation = tuple[Literal["Y", "Z"], Wires, Angle]
Flip = tuple[Literal["X", "CNOT"], Wires, None]
Part = Rotation | Flip
Matrix = tuple[tuple[complex, ...], ...]


def rotation_y(wire: int, angle: Angle | float) -> Rotation:
    """Return RY(angle) on a wire."""
    return ("Y", (wire,), _as_angle(angle))


def rotation_z(wires: int | Wires, angle: Angle | float) -> Rotation:
    """Return exp(-i angle/2 Z⊗…⊗Z): RZ on one wire, a Z-string rotation on several.

    Example:
        >>> kind, wires, angle = rotation_z((0, 2), PI)
        >>> kind, wires, str(angle)
        ('Z', (0, 2), 'π')
    """
    return ("Z", wires if isinstance(wires, tuple) else (wires,), _as_angle(angle))


def rotation_x(wire: int, angle: Angle) -> list[Part]:
    """Return RX(angle) as a Y rotation between Z rotations by ±π/2."""
    return [rotation_z(wire, PI / 2), rotation_y(wire, angle), rotation_z(wire, -PI / 2)]


def flip_wire(wire: int) -> Flip:
    """Return X on a wire."""
    return ("X", (wire,), None)


def cnot(control: int, target: int) -> Flip:
    """Return X on the target where the control is 1."""
    return ("CNOT", (control, target), None)


def _as_angle(angle: Angle | float) -> Angle:
    return angle if isinstance(angle, Angle) else Angle.const(angle)
