"""One table across the cells of a comparison: a row for each method, a column for each model and task.

A method is the one that was declared, whatever size or setting it came to in each cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.experiment.model_task_pairs import Cell, by_cell

Record = Mapping[str, Any]
UNKNOWN = "no interval"


@dataclass(frozen=True)
class PivotTable:
    """The differences of methods to the first one, across cells.

    Attributes:
        reference: The first method, which is taken away from each of the others.
        cells: In their order.
        claims: By the method as declared and the cell, where an interval is known (see
            `claims.Claim.plain`).
        methods: As declared, without the first.
    """

    reference: str
    cells: tuple[Cell, ...]
    methods: tuple[str, ...]
    claims: Mapping[tuple[str, Cell], Record]

    @classmethod
    def of(cls, summary: Record) -> PivotTable | None:
        """The table of a summary; None where it has one cell, or one method."""
        contenders = by_cell(summary.get("lineup", ()))
        methods = list(dict.fromkeys(r["declared"] for of in contenders.values() for r in of))
        if len(contenders) < 2 or len(methods) < 2:
            return None
        by_name = {(Cell.of(c), c["first"]): c for c in summary.get("claims", ())}
        claims = {
            (record["declared"], cell): claim
            for cell, records in contenders.items()
            for record in records[1:]
            if (claim := by_name.get((cell, record["method"])))
        }
        return cls(methods[0], tuple(contenders), tuple(methods[1:]), claims)

    def rows(self) -> list[tuple[str, ...]]:
        """A heading and a row per method, as text: difference, interval and verdict."""
        heading = ("method", *map(str, self.cells))
        return [heading, *(self._row(method) for method in self.methods)]

    def _row(self, method: str) -> tuple[str, ...]:
        return method, *(text(self.claims.get((method, cell))) for cell in self.cells)

    def counts(self) -> list[str]:
        """Of each method, in how many cells it is shown to be better or worse than the first."""
        return [self._count(method) for method in self.methods]

    def _count(self, method: str) -> str:
        known = [claim for (name, _), claim in self.claims.items() if name == method]
        means = [claim["mean"] for claim in known if claim["shown"]]
        lower, higher = sum(mean < 0 for mean in means), sum(mean > 0 for mean in means)
        rest = len(self.cells) - len(known)
        missing = f", without an interval on {rest}" if rest else ""
        return (
            f"{method} against {self.reference}: shown to be lower on {lower} of {len(self.cells)}, higher on {higher}, "
            f"inconclusive on {len(known) - len(means)}{missing}."
        )


def text(claim: Record | None) -> str:
    """A difference in a cell of the table.

    Example:
        >>> text({"mean": 0.031, "low": -0.01, "high": 0.072, "shown": False})
        '+0.031 [-0.010, +0.072] inconclusive'
    """
    if claim is None:
        return UNKNOWN
    verdict = "shown" if claim["shown"] else "inconclusive"
    return f"{claim['mean']:+.3f} [{claim['low']:+.3f}, {claim['high']:+.3f}] {verdict}"
