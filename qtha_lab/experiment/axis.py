"""The values that a setting takes in a sweep: a list of them, or a range.

Reads and writes their short text; which setting it is, and whether the values suit it, is `sweeping`'s to know.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from qtha_lab import calls
from qtha_lab.errors import Refusal
from qtha_lab.experiment.declared import option

NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
RANGE = re.compile(
    rf"\s*({NUMBER})\s*(?:…|\.\.\.?)\s*({NUMBER})\s*(log|linear)?\s*(\d+)?\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class Axis:
    """A list of values, or a range from `low` to `high`.

    Attributes:
        listed: The values of a list; empty for a range.
        low: The least value of a range.
        high: The largest.
        log: Whether a range is even in the logarithm.
        count: How many values a grid takes of a range; None leaves it continuous.

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
        """Read a list, a text such as `0.001, 0.003` or `1e-4…1e-1 log 5`, or one value.

        Raises:
            Refusal: If it is no range and no list of different plain values.
        """
        if isinstance(value, str):
            if match := RANGE.fullmatch(value):
                return cls._range(*match.groups())
            value = [calls.read_value(part) for part in calls.split_list(value.strip("[]"))]
        values = value if isinstance(value, list | tuple) else [value]
        if not values:
            raise Refusal("it must hold at least one value")
        listed = tuple(map(option, values))
        for number, each in enumerate(listed):
            if isinstance(each, list | dict):
                raise Refusal(f"its values must be plain ones, not {each!r:.60}")
            if each in listed[:number]:
                raise Refusal(f"{each} is given twice")
        return cls(listed)

    @classmethod
    def _range(cls, low: str, high: str, scale: str | None, count: str | None) -> Axis:
        ends = [calls.read_value(low), calls.read_value(high)]
        log = (scale or "").lower() == "log"
        if not ends[0] < ends[1]:
            raise Refusal(f"a range must go upward, not from {low} to {high}")
        if log and ends[0] <= 0:
            raise Refusal(f"a logarithmic range must begin above 0, not at {low}")
        if count is not None and int(count) < 2:
            raise Refusal(f"a range must be cut into at least 2 values, not {count}")
        axis = cls((), ends[0], ends[1], log, None if count is None else int(count))
        if axis.is_whole and count and len(set(axis.grid())) < int(count):
            raise Refusal(
                f"there are no {count} different whole numbers so from {low} to {high}: "
                f"write {ends[0]}.0 for fractions"
            )
        return axis

    @property
    def is_whole(self) -> bool:
        """Whether a range holds whole numbers only: both of its ends are written as such."""
        return not self.listed and isinstance(self.low, int) and isinstance(self.high, int)

    @property
    def written(self) -> list[Any] | str:
        """The form in which a description holds it, which `of` reads back."""
        if self.listed:
            return list(self.listed)
        words = [f"{self.low!r}..{self.high!r}"]
        words += ["log"] if self.log else []
        words += [str(self.count)] if self.count else []
        return " ".join(words)

    def grid(self) -> list[Any]:
        """Its values in order.

        Raises:
            Refusal: If it is a range of fractions that does not say how many.
        """
        if self.listed:
            return list(self.listed)
        if self.count is None and not self.is_whole:
            raise Refusal(
                f"a grid must know how many values to take from {self.low} to {self.high}: "
                f"write {self.written} 5"
            )
        if self.count is None and not self.log:
            return list(range(int(self.low), int(self.high) + 1))
        return self._cut(self.count or self._doublings())

    def ends(self) -> list[Any]:
        """The first and the last value: what is checked before a sampler chooses between them."""
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
