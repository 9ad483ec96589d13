"""Entangling part of two-qubit gates: XX, YY and ZZ rotations with few CNOTs."""

from collections.abc import Callable

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.parts import Part, Rotation, cnot, rotation_y, rotation_z

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
