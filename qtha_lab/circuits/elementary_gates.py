"""Elementary gates: rotations and flips, which engines implement, and two-qubit interactions."""

from collections.abc import Callable
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


Terms = tuple[
    Angle | None, Angle | None, Angle | None
]  # angles of XX, YY and ZZ; None for an absent term


def interaction(terms: Terms, a: int, b: int) -> list[Part]:
    """Decompose exp(-i/2 (x XX + y YY + z ZZ)) into parts with few CNOTs.

    One or two terms take two CNOTs, three terms take three. ("Z", (a, b), …), which stands for one
    term, counts as two CNOTs.

    Args:
        terms: The angles x, y and z in radians; None for a term that is absent.
        a: First wire.
        b: Second wire.

    Returns:
        Y and Z rotations and CNOTs, in order; equal to the interaction up to a global
        phase. Empty if there is no term.

    Example:
        >>> half = Angle.const(PI / 2)
        >>> [kind for kind, _, _ in interaction((half, half, half), 0, 1)]
        ['Z', 'CNOT', 'Z', 'Y', 'CNOT', 'Y', 'CNOT', 'Z']

    Source:
        Vatan and Williams 2004, arXiv:quant-ph/0308006, figure 6.
    """
    x, y, z = terms
    if x is None:
        if y is None:
            return [] if z is None else [rotation_z((a, b), z)]
        if z is None:  # a rotation by π/2 about X maps ZZ to YY
            return _around_x([rotation_z((a, b), y)], a, b)
        return _between(
            rotation_z, PI / 2, _xx_zz(y, z, a, b), a, b
        )  # and one about Z maps XX to YY
    if y is None:
        if z is None:  # a rotation by π/2 about Y maps ZZ to XX
            return _between(rotation_y, PI / 2, [rotation_z((a, b), x)], a, b)
        return _xx_zz(x, z, a, b)
    if z is None:
        return _around_x(_xx_zz(x, y, a, b), a, b)
    return [
        rotation_z(b, -PI / 2),
        cnot(b, a),
        rotation_z(a, z.shifted(PI / 2)),
        rotation_y(b, x.shifted(PI / 2).times(-1.0)),
        cnot(a, b),
        rotation_y(b, y.shifted(PI / 2)),
        cnot(b, a),
        rotation_z(a, PI / 2),
    ]


def _xx_zz(x: Angle, z: Angle, a: int, b: int) -> list[Part]:
    """Return XX and ZZ rotations as X on the control and Z on the target.

    Two CNOTs conjugate them.
    """
    about_x = [rotation_z(a, PI / 2), rotation_y(a, x), rotation_z(a, -PI / 2)]
    return [cnot(a, b), *about_x, rotation_z(b, z), cnot(a, b)]


def _between(
    rotation: Callable[[int, float], Rotation], angle: float, parts: list[Part], a: int, b: int
) -> list[Part]:
    """Return the parts conjugated by a rotation of both wires."""
    before, after = ([rotation(wire, sign * angle) for wire in (a, b)] for sign in (-1, 1))
    return [*before, *parts, *after]


def _around_x(parts: list[Part], a: int, b: int) -> list[Part]:
    """Return the parts conjugated by π/2 rotations about X.

    These are rotations about Y between rotations about Z.
    """
    about_y = _between(rotation_y, PI / 2, _between(rotation_z, PI / 2, parts, a, b), a, b)
    return _between(rotation_z, -PI / 2, about_y, a, b)
