"""The part of a two-qubit gate that entangles: turns about XX, YY and ZZ, as few CNOTs as needed."""

from collections.abc import Callable

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.parts import Part, Rotation, cnot, rotation_y, rotation_z

Terms = tuple[Angle | None, Angle | None, Angle | None]  # of XX, YY, ZZ; None is none


def interaction(terms: Terms, a: int, b: int) -> list[Part]:
    """exp(-i/2 (x XX + y YY + z ZZ)): two CNOTs for one or two terms, three for three.

    ("Z", (a, b), …), which stands for one term, counts as two CNOTs.

    Args:
        terms: The angles x, y and z in radians; None for a term that is absent.
        a: The first wire.
        b: The second wire.

    Returns:
        Turns about Y and Z, and CNOTs, in the order of time; equal to the interaction up to a global
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
        if z is None:  # a turn by π/2 about X makes YY of ZZ
            return _around_x([rotation_z((a, b), y)], a, b)
        return _between(
            rotation_z, PI / 2, _xx_zz(y, z, a, b), a, b
        )  # as one about Z makes YY of XX
    if y is None:
        if z is None:  # a turn by π/2 about Y makes XX of ZZ
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
    """Between two CNOTs XX is X on the control and ZZ is Z on the target."""
    about_x = [rotation_z(a, PI / 2), rotation_y(a, x), rotation_z(a, -PI / 2)]
    return [cnot(a, b), *about_x, rotation_z(b, z), cnot(a, b)]


def _between(
    rotation: Callable[[int, float], Rotation], angle: float, parts: list[Part], a: int, b: int
) -> list[Part]:
    """The parts between turns of both wires there and back."""
    before, after = ([rotation(wire, sign * angle) for wire in (a, b)] for sign in (-1, 1))
    return [*before, *parts, *after]


def _around_x(parts: list[Part], a: int, b: int) -> list[Part]:
    """The parts between two turns by π/2 about X, which are turns about Y between turns about Z."""
    about_y = _between(rotation_y, PI / 2, _between(rotation_z, PI / 2, parts, a, b), a, b)
    return _between(rotation_z, -PI / 2, about_y, a, b)
