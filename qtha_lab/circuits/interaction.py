"""The part of a two-qubit gate that entangles: turns about XX, YY and ZZ, as few CNOTs as needed."""

from qtha_lab.circuits.angle import PI, Angle
from qtha_lab.circuits.parts import Part

Terms = tuple[Angle | None, Angle | None, Angle | None]  # of XX, YY, ZZ; None is none


def interaction(terms: Terms, a: int, b: int) -> list[Part]:
    """exp(-i/2 (x XX + y YY + z ZZ)): two CNOTs for one or two terms, three for three.

    ("Z", (a, b), …), which stands for one term, counts as two CNOTs.

    Example:
        >>> half = Angle.const(PI / 2)
        >>> [kind for kind, _, _ in interaction((half, half, half), 0, 1)]
        ['Z', 'CNOT', 'Z', 'Y', 'CNOT', 'Y', 'CNOT', 'Z']

    Source:
        Vatan and Williams 2004, arXiv:quant-ph/0308006, figure 6.
    """
    x, y, z = terms
    match [term is not None for term in terms]:
        case False, False, False:
            return []
        case False, False, True:
            return [("Z", (a, b), z)]
        case True, False, False:  # a turn by π/2 about Y makes XX of ZZ
            return _between("Y", PI / 2, [("Z", (a, b), x)], a, b)
        case False, True, False:  # a turn by π/2 about X makes YY of ZZ
            return _around_x([("Z", (a, b), y)], a, b)
        case True, False, True:
            return _xx_zz(x, z, a, b)
        case True, True, False:
            return _around_x(_xx_zz(x, y, a, b), a, b)
        case False, True, True:  # a turn by π/2 about Z makes YY of XX
            return _between("Z", PI / 2, _xx_zz(y, z, a, b), a, b)
    quarter, flip = Angle.const(PI / 2), ("CNOT", (b, a), None)
    return [
        _turn("Z", b, -PI / 2),
        flip,
        ("Z", (a,), z.plus(quarter)),
        ("Y", (b,), x.plus(quarter).times(-1.0)),
        ("CNOT", (a, b), None),
        ("Y", (b,), y.plus(quarter)),
        flip,
        _turn("Z", a, PI / 2),
    ]


def _xx_zz(x: Angle, z: Angle, a: int, b: int) -> list[Part]:
    """Between two CNOTs XX is X on the control and ZZ is Z on the target."""
    flip: Part = ("CNOT", (a, b), None)
    about_x: list[Part] = [_turn("Z", a, PI / 2), ("Y", (a,), x), _turn("Z", a, -PI / 2)]
    return [flip, *about_x, ("Z", (b,), z), flip]


def _between(kind: str, angle: float, parts: list[Part], a: int, b: int) -> list[Part]:
    before, after = ([_turn(kind, wire, sign * angle) for wire in (a, b)] for sign in (-1, 1))
    return [*before, *parts, *after]


def _around_x(parts: list[Part], a: int, b: int) -> list[Part]:
    """The parts between two turns by π/2 about X, which are turns about Y between turns about Z."""
    about_y = _between("Y", PI / 2, _between("Z", PI / 2, parts, a, b), a, b)
    return _between("Z", -PI / 2, about_y, a, b)


def _turn(kind: str, wire: int, angle: float) -> Part:
    return (kind, (wire,), Angle.const(angle))
