"""Polynomials of inputs and parameters, from which imported angles are made."""

import dataclasses
from collections.abc import Sequence

from qtha_lab.circuits.angle import Angle
from qtha_lab.circuits.gate_kinds import GATES
from qtha_lab.circuits.gates import Gate
from qtha_lab.core.errors import Refusal

Variable = tuple[str, int]  # source and index, as in `Angle`
_NEGLIGIBLE = 1e-14  # coefficients that rounding leaves


@dataclasses.dataclass(frozen=True)
class Polynomial:
    """Sum of products of inputs and parameters, by the variables of each product.

    Example:
        >>> x, y = Polynomial.variable("input", 0), Polynomial.variable("input", 1)
        >>> [str(angle) for angle in ((x - 1.0) * (y - 1.0)).angles()]
        ['-x0+1', '-x1', 'x0·x1']
    """

    terms: dict[tuple[Variable, ...], float]

    @classmethod
    def variable(cls, source: str, index: int) -> "Polynomial":
        """Return an input or a parameter."""
        return cls({((source, index),): 1.0})

    @classmethod
    def const(cls, value: float) -> "Polynomial":
        """Return a constant."""
        return cls({(): float(value)})

    @property
    def constant(self) -> float | None:
        """Value of a constant; None if a variable occurs."""
        return None if any(self.terms) else self.terms.get((), 0.0)

    @property
    def degree(self) -> int:
        """Most factors of a term."""
        return max(map(len, self.terms), default=0)

    def __add__(self, other: "Polynomial | float") -> "Polynomial":
        terms = dict(self.terms)
        for variables, scale in _as_polynomial(other).terms.items():
            terms[variables] = terms.get(variables, 0.0) + scale
        return Polynomial({key: scale for key, scale in terms.items() if scale or not key})

    def __mul__(self, other: "Polynomial | float") -> "Polynomial":
        terms: dict[tuple[Variable, ...], float] = {}
        for variables, scale in _as_polynomial(other).terms.items():
            for key, factor in self.terms.items():
                both = tuple(sorted(key + variables))
                terms[both] = terms.get(both, 0.0) + factor * scale
        return Polynomial({key: scale for key, scale in terms.items() if scale or not key})

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> "Polynomial":
        return self * -1.0

    def __sub__(self, other: "Polynomial | float") -> "Polynomial":
        return self + _as_polynomial(other) * -1.0

    def angles(self) -> list[Angle]:
        """Return the terms as angles, the constant as offset of the first.

        Raises:
            Refusal: If a term multiplies parameters alone.
        """
        angles = []
        for variables, scale in sorted(
            self.terms.items(), key=lambda term: (len(term[0]), term[0])
        ):
            if not variables or abs(scale) < _NEGLIGIBLE:
                continue
            inputs = [index for source, index in variables if source == "input"]
            params = [index for source, index in variables if source == "param"]
            if len(params) > 1 and not inputs:
                raise Refusal(
                    "An angle must be a sum of parameters and of products with an input, each "
                    f"with a factor, got {'·'.join(f'p{index}' for index in params)}."
                )
            if inputs:
                angles.append(Angle.product(inputs, scale, 0.0, params))
            else:
                angles.append(Angle.param(params[0], scale))
        offset = self.terms.get((), 0.0)
        if not angles:
            return [Angle.const(offset)]
        return [angles[0].shifted(offset), *angles[1:]]


def _as_polynomial(value: "Polynomial | float") -> Polynomial:
    return value if isinstance(value, Polynomial) else Polynomial.const(value)


def polynomial_of(value: float, gradient, hessian, point) -> dict[tuple[int, ...], float]:
    """Return the coefficients of a polynomial of degree 2 from its derivatives at a point.

    Returns:
        Coefficients by the numbers of the variables of each term.
    """
    terms: dict[tuple[int, ...], float] = {}
    constant, n = value, len(point)
    for i in range(n):
        derivative = gradient[i] - sum(hessian[i][j] * point[j] for j in range(n))
        constant -= gradient[i] * point[i]
        constant += 0.5 * sum(hessian[i][j] * point[i] * point[j] for j in range(n))
        terms[(i,)] = derivative
        for j in range(i, n):
            terms[i, j] = hessian[i][j] * (0.5 if i == j else 1.0)
    terms[()] = constant
    return {key: _tidy(scale) for key, scale in terms.items() if abs(scale) > _NEGLIGIBLE}


def _tidy(number: float) -> float:
    """Round a number such as 0.30000000000000004 to 0.3."""
    rounded = round(number, 12)
    return rounded if abs(rounded - number) < 1e-14 else number


def gates_of(name: str, wires: Sequence[int], angles: Sequence[Polynomial]) -> list[Gate]:
    """Return one gate per term of an angle, since rotations about one axis add.

    Args:
        name: Name of a gate.
        wires: Wires of the gate.
        angles: Its angles.

    Raises:
        Refusal: If an angle multiplies parameters alone, or a sum in a gate whose angles do not
            add.

    Example:
        >>> x, p = Polynomial.variable("input", 0), Polynomial.variable("param", 0)
        >>> [str(gate) for gate in gates_of("RZ", [0], [x + p])]
        ['RZ(x0) on 0', 'RZ(p0) on 0']
    """
    terms = [angle.angles() for angle in angles]
    if all(len(each) == 1 for each in terms):
        return [Gate(name, wires, [angle for (angle,) in terms])]
    if name == "Rot":
        rotations = zip(("RZ", "RY", "RZ"), terms, strict=True)
        return [Gate(rotation, wires, angle) for rotation, each in rotations for angle in each]
    if len(terms) == 1 and GATES[name].parts.__module__ == GATES["RX"].parts.__module__:
        return [Gate(name, wires, angle) for angle in terms[0]]
    raise Refusal(f"The angles of {name} must each have one term, got {len(terms[0])}.")
