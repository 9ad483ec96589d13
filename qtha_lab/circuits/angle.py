"""Angle of a gate: constant, or affine in a parameter or a product of inputs."""

import dataclasses
import math
from typing import Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

PI = math.pi
MOST = 100_000
"""Inputs or parameters of a circuit."""


@dataclasses.dataclass(frozen=True)
class Angle:
    """Gate angle in radians: `scale · source + offset`.

    `factors` are indices of further inputs that multiply an input, as in an IQP circuit, and
    `weights` of parameters that do, as in a trained frequency. A gate with a sum of such angles is
    written as several gates.

    Example:
        >>> str(Angle.input(0)), str(Angle.param(3, scale=2.0)), str(Angle.const(PI / 2))
        ('x0', '2·p3', 'π/2')
        >>> str(Angle.product([0, 1], scale=2.0)), str(Angle.product([0], weights=[3]))
        ('2·x0·x1', 'x0·p3')
    """

    source: Literal["input", "param", "const"]
    index: int = 0
    scale: float = 1.0
    offset: float = 0.0
    factors: tuple[int, ...] = ()
    weights: tuple[int, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "factors", tuple(self.factors))
        object.__setattr__(self, "weights", tuple(self.weights))
        if self.source not in ("input", "param", "const"):
            raise Refusal(
                f'The source of an angle must be "input", "param" or "const", got {self.source!r}.'
            )
        for index in (self.index, *self.factors, *self.weights):
            if not isinstance(index, int) or not 0 <= index < MOST:
                got = shortened(repr(index))
                raise Refusal(f"The index of an angle must be from 0 to {MOST - 1:,}, got {got}.")
        if self.is_product and self.source != "input":
            raise Refusal(f"A product in an angle must have an input, got a {self.source}.")
        if not (math.isfinite(self.scale) and math.isfinite(self.offset)):
            value = f"{self.scale}·{self.source}+{self.offset}"
            raise Refusal(f"An angle must be finite, got {value}.")

    @classmethod
    def input(cls, index: int, scale: float = 1.0, offset: float = 0.0) -> "Angle":
        """Return the angle `scale · x + offset` of one data feature x.

        Args:
            index: Index of the feature, from 0.
            scale: Factor of the feature.
            offset: Added to it, in radians.

        Example:
            >>> str(Angle.input(2, scale=2.0, offset=PI / 2))
            '2·x2+π/2'
        """
        return cls("input", index, float(scale), float(offset))

    @classmethod
    def product(cls, indices, scale: float = 1.0, offset: float = 0.0, weights=()) -> "Angle":
        """Return the angle `scale · x_i · x_j ⋯ p_k + offset` of several features.

        Args:
            indices: Indices of the features, at least one; a repeated index is a power.
            scale: Factor of the product.
            offset: Added to it, in radians.
            weights: Indices of parameters in the product.
        """
        first, *factors = sorted(indices)
        weights = tuple(sorted(weights))
        return cls("input", first, float(scale), float(offset), tuple(factors), weights)

    @classmethod
    def param(cls, index: int, scale: float = 1.0, offset: float = 0.0) -> "Angle":
        """Return the angle `scale · p + offset` of one trainable parameter p.

        Args:
            index: Index of the parameter, from 0; gates with the same index share it.
            scale: Factor of the parameter, which is in radians.
            offset: Added to it, in radians.

        Example:
            >>> str(Angle.param(0, scale=-1.0))
            '-p0'
        """
        return cls("param", index, float(scale), float(offset))

    @classmethod
    def const(cls, value: float) -> "Angle":
        """Return a constant angle."""
        return cls("const", 0, 0.0, float(value))

    def times(self, factor: float) -> "Angle":
        """Return the angle multiplied by a factor."""
        return dataclasses.replace(self, scale=self.scale * factor, offset=self.offset * factor)

    def shifted(self, offset: float) -> "Angle":
        """Return the angle with an offset added."""
        return dataclasses.replace(self, offset=self.offset + offset)

    def plus(self, other: "Angle") -> "Angle | None":
        """Return the sum as one angle; None for a sum of two different sources.

        Example:
            >>> str(Angle.input(0).plus(Angle.const(PI))), Angle.input(0).plus(Angle.param(0))
            ('x0+π', None)
        """
        if "const" not in (self.source, other.source):
            if self.variables != other.variables:
                return None
            scale = self.scale + other.scale
            return dataclasses.replace(self, scale=scale, offset=self.offset + other.offset)
        variable = other if self.source == "const" else self
        return dataclasses.replace(variable, offset=self.offset + other.offset)

    @property
    def is_product(self) -> bool:
        """True if several inputs or parameters are multiplied."""
        return bool(self.factors or self.weights)

    @property
    def variables(self) -> tuple[tuple[str, int], ...]:
        """Source and index of each input or parameter in the product; empty for a constant."""
        if self.source == "const":
            return ()
        inputs = ((self.source, index) for index in (self.index, *self.factors))
        return (*inputs, *(("param", index) for index in self.weights))

    @property
    def names(self) -> list[str]:
        """Names of the variables, such as x0 and p3."""
        return [f"{'x' if source == 'input' else 'p'}{index}" for source, index in self.variables]

    def value(self, inputs, params):
        """Evaluate the angle in radians for `inputs` (..., n_inputs) and `params` (n_params,)."""
        if self.source == "const":
            return self.offset
        of = {"input": inputs, "param": params}
        return self.scale * math.prod(of[s][..., i] for s, i in self.variables) + self.offset

    def __str__(self) -> str:
        if self.source == "const":
            return _number(self.offset)
        name = "·".join(self.names)
        if abs(self.scale) != 1.0:
            name = f"{_number(self.scale)}·{name}"
        elif self.scale < 0:
            name = f"-{name}"
        if self.offset == 0.0:
            return name
        return f"{name}{'+' if self.offset > 0 else '-'}{_number(abs(self.offset))}"


def _number(value: float) -> str:
    """Format a number briefly, such as `0.5`, `2` or `π/2`."""
    for denominator in (1, 2, 3, 4, 6, 8):
        times = value / PI * denominator
        if value and abs(times) < 4 * denominator and abs(times - round(times)) < 1e-9:
            top = {1: "π", -1: "-π"}.get(round(times), f"{round(times)}π")
            return top if denominator == 1 else f"{top}/{denominator}"
    return f"{value:.3g}"
