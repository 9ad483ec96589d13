"""Axes of a search: values or a range, points, sampler and trials.

Reads and writes the short text form of an axis. `sweep` assigns an axis to a setting; a comparison
contains a search for tuning.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.experiment.validated_model import Declared, option

MOST_VALUES = 10_000
"""Values of one axis of a grid."""
MOST_POINTS = 100_000
"""Points of a whole grid."""
LARGEST, LARGEST_WHOLE = 1e300, 2**53
"""Ends of a range of fractions, and of whole numbers."""
LONGEST = 200  # maximum number of characters of a range
NUMBER = r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
RANGE = re.compile(
    rf"\s*({NUMBER})\s*(?:…|\.\.\.?)\s*({NUMBER})(?:\s*(log|linear))?(?:\s*([0-9]+))?\s*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Axis:
    """List of values, or range from `low` to `high`.

    Attributes:
        listed: Values of a list; empty for a range.
        low: Lower end of a range.
        high: Upper end of a range.
        log: True if a range is evenly spaced in the logarithm.
        count: Number of grid values of a range; None leaves the range continuous.

    Example:
        >>> Axis.of("1e-4…1e-1 log 4").grid()
        [0.0001, 0.001, 0.01, 0.1]
        >>> Axis.of("1..8").grid()
        [1, 2, 3, 4, 5, 6, 7, 8]
        >>> Axis.of("cosine, linear").grid()
        ['cosine', 'linear']
    """

    listed: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    count: int | None = None

    @classmethod
    def of(cls, value: Any) -> Axis:
        """Parse a list, a text like `0.001, 0.003` or `1e-4…1e-1 log 5`, or one value.

        Raises:
            Refusal: If the value is neither a range nor a list of different plain values.
        """
        if isinstance(value, str):
            if match := RANGE.fullmatch(value):
                if len(value) > LONGEST:
                    raise Refusal(
                        f"A range must have at most {LONGEST} characters, got {len(value):,}."
                    )
                return cls._range(*match.groups())
            value = _listed(value)
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            raise Refusal("The axis has no value.")
        if len(values) > MOST_VALUES:
            raise Refusal(f"It must hold at most {MOST_VALUES:,} values, got {len(values):,}.")
        listed, seen = tuple(map(option, values)), set()
        for each in listed:
            if isinstance(each, list | dict):
                raise Refusal(f"The values of an axis must be plain, got {each!r:.60}.")
            if each in seen:
                raise Refusal(f"Values must differ, got {shortened(each)} twice.")
            seen.add(each)
        return cls(listed)

    @classmethod
    def _range(cls, low: str, high: str, scale: str | None, count: str | None) -> Axis:
        ends = [call_syntax.read_value(low), call_syntax.read_value(high)]
        log = (scale or "").lower() == "log"
        if not ends[0] < ends[1]:
            raise Refusal(f"A range must go upward, got {low} to {high}.")
        if log and ends[0] <= 0:
            raise Refusal(f"A logarithmic range must begin above 0, got {low}.")
        if count is not None and int(count) < 2:
            raise Refusal(f"A range must be cut into at least 2 values, got {count}.")
        axis = cls((), ends[0], ends[1], log, None if count is None else int(count))
        axis._check_ends(low, high)
        if count is not None:
            axis._check_size()
            _check_distinct(axis, int(count))
        return axis

    def _check_ends(self, low: str, high: str) -> None:
        largest = LARGEST_WHOLE if self.is_whole else LARGEST
        if max(abs(self.low), abs(self.high)) > largest:
            kind = "2^53 for whole numbers" if self.is_whole else f"{LARGEST:g}"
            raise Refusal(
                f"The ends of a range must be at most {kind}, got {shortened(low, 40)} to "
                f"{shortened(high, 40)}."
            )
        if self.log and self.high / self.low > LARGEST:
            raise Refusal(
                "The ends of a logarithmic range must differ by a factor of at most "
                f"{LARGEST:g}, got {shortened(low, 40)} to {shortened(high, 40)}."
            )

    def check_grid(self) -> None:
        """Refuse a range whose number of grid values is missing or too large."""
        if self.size is None:
            is_wide = self.low > 0 and self.high >= 10 * self.low
            spaced = replace(self, log=self.log or is_wide)
            raise Refusal(
                f"A grid from {self.low} to {self.high} has no number of values. Write "
                f"{spaced.written} 5."
            )
        self._check_size()

    def _check_size(self) -> None:
        if self.size is not None and self.size > MOST_VALUES:
            fewer = Axis((), self.low, self.high, self.log, 10).written
            raise Refusal(
                f"A range must have at most {MOST_VALUES:,} values, got {self.size:,}. Write "
                f"{fewer} for ten of them."
            )

    @property
    def size(self) -> int | None:
        """Number of grid values, computed without building the grid.

        None for a range of fractions without a number of values.

        Example:
            >>> Axis.of("1..1000000000").size, Axis.of("0.1..1").size
            (1000000000, None)
        """
        if self.listed:
            return len(self.listed)
        if self.count is not None:
            return self.count
        if not self.is_whole:
            return None
        return self._doublings() if self.log else int(self.high) - int(self.low) + 1

    @property
    def is_whole(self) -> bool:
        """True if both ends of a range are whole numbers."""
        return not self.listed and isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def written(self) -> list[Any] | str:
        """Value of the axis in a description, in a form that `of` can parse."""
        if self.listed:
            return list(self.listed)
        words = [f"{self.low!r}..{self.high!r}"]
        words += ["log"] if self.log else []
        words += [str(self.count)] if self.count else []
        return " ".join(words)

    def grid(self) -> list[Any]:
        """Return the values in order.

        Raises:
            Refusal: If a range of fractions has no number of values, or has more than
                `MOST_VALUES`.
        """
        self.check_grid()
        if self.listed:
            return list(self.listed)
        if self.count is None and not self.log:
            return list(range(int(self.low), int(self.high) + 1))
        return self._cut(self.count or self._doublings())

    def ends(self) -> list[Any]:
        """Return the first and last value, for validation before a random search."""
        return [self.low, self.high] if not self.listed else [self.listed[0], self.listed[-1]]

    def _doublings(self) -> int:
        return 1 + max(1, round(math.log2(self.high / self.low)))

    def _cut(self, count: int) -> list[Any]:
        shares = [k / (count - 1) for k in range(count)]
        if self.log:
            ratio = self.high / self.low
            values = [self.low * ratio**share for share in shares]
        else:
            values = [self.low + (self.high - self.low) * share for share in shares]
        if self.is_whole:
            return [round(value) for value in values]
        return [float(f"{value:.6g}") for value in values]


def count_points(axes: Iterable[Axis]) -> int:
    """Count the points of a grid without building it.

    A continuous range counts as one value.

    Raises:
        Refusal: If there are more than `MOST_POINTS` points.

    Example:
        >>> count_points([Axis.of("1..20"), Axis.of("8, 16")])
        40
    """
    axes = list(axes)
    for axis in axes:
        axis._check_size()
    count = math.prod(axis.size or 1 for axis in axes)
    if count > MOST_POINTS:
        raise Refusal(
            f"A grid must have at most {MOST_POINTS:,} points, got {count:,}. Give fewer "
            "values to an axis, or search at random with a number of trials."
        )
    return count


def _listed(text: str) -> list[Any]:
    try:
        return [call_syntax.read_value(part) for part in call_syntax.split_list(text.strip("[]"))]
    except RecursionError:
        raise Refusal(f"The values of an axis must be plain, got {text!r:.60}.") from None


def _check_distinct(axis: Axis, count: int) -> None:
    if len(set(axis.grid())) == count:
        return
    if axis.is_whole:
        raise Refusal(
            f"A range must hold {count} different whole numbers, got {axis.low} to {axis.high}. "
            f"Write {axis.low}.0 for fractions."
        )
    raise Refusal(
        f"A range must hold {count:,} numbers that differ in six digits, got {axis.low} to "
        f"{axis.high}."
    )


COMMON: dict[str, Any] = {"common": True}  # shown among the first settings of a form


class Search(Declared, init=False):
    """Search settings: axes, sampler and number of trials per method."""

    axes: dict[str, Any] = Field(
        default_factory=lambda: {"learning_rate": "0.001..0.1 log 5"}, min_length=1
    )
    """Settings to vary, with a list of values or a range such as 1e-4..1e-1 log 5. qtha.r belongs
    to one method, training.steps to the training."""
    search: Literal["grid", "random", "sobol", "tpe", "gp"] = Field(
        default="grid", json_schema_extra=COMMON
    )
    """Choice of the points: the whole grid, or an Optuna sampler."""
    trials: int | None = Field(default=None, ge=1, json_schema_extra=COMMON)
    """Trials per method; empty uses the whole grid."""
    pruner: Literal["none", "median", "halving"] = Field(default="none", json_schema_extra=COMMON)
    """Early stopping of trials at their evaluations."""
    search_seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of the sampler."""

    @field_validator("axes", mode="before")
    @classmethod
    def _axes_as_written(cls, axes: Any) -> Any:
        if not isinstance(axes, Mapping):
            raise Refusal(f"axes must be settings by name with their values, got {axes!r:.60}.")
        written = {}
        for name, values in axes.items():
            try:
                written[name] = Axis.of(values).written
            except Refusal as refused:
                raise Refusal(f"Axis {name}: {refused}") from None
        return written

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.search != "grid" and self.trials is None:
            raise Refusal(f"trials must be given with search={self.search}, such as trials=20.")
        return self
