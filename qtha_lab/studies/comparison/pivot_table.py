"""Pivot table of a comparison: methods as rows, (model, task) pairs as columns.

A row is a declared method, although its size or settings may differ between pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtha_lab.experiment.comparison import MARGIN
from qtha_lab.experiment.description import ModelTask, by_model_task

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.pooled import PooledDifference

Record = Mapping[str, Any]
UNKNOWN = "no interval"


@dataclass(frozen=True)
class PivotTable:
    """Differences of all methods to the first, over (model, task) pairs.

    Attributes:
        reference: Label of the first method, which is subtracted from every other.
        model_tasks: The (model, task) pairs in order.
        claims: Claims with an interval, by declared method and (model, task) pair (see
            `claims.Claim.plain`).
        methods: Labels of the declared methods, without the first.
    """

    reference: str
    model_tasks: tuple[ModelTask, ...]
    methods: tuple[str, ...]
    claims: Mapping[tuple[str, ModelTask], Record]

    @classmethod
    def of(cls, summary: Record) -> PivotTable | None:
        """Build the table of a summary; None for one pair or one method."""
        contenders = by_model_task(summary.get("contenders", ()))
        methods = list(dict.fromkeys(r["declared"] for of in contenders.values() for r in of))
        if len(contenders) < 2 or len(methods) < 2:
            return None
        by_name = {(ModelTask.of(c), c["first"]): c for c in summary.get("claims", ())}
        claims = {
            (record["declared"], model_task): claim
            for model_task, records in contenders.items()
            for record in records[1:]
            if (claim := by_name.get((model_task, record["method"])))
        }
        return cls(methods[0], tuple(contenders), tuple(methods[1:]), claims)

    def rows(self) -> list[tuple[str, ...]]:
        """Return a heading and one text row per method: difference, interval, verdict."""
        heading = ("method", *map(str, self.model_tasks))
        return [heading, *(self._row(method) for method in self.methods)]

    def _row(self, method: str) -> tuple[str, ...]:
        claims = (self.claims.get((method, model_task)) for model_task in self.model_tasks)
        return method, *(f"{difference_text(c)} {c['verdict']}" if c else UNKNOWN for c in claims)

    def counts(self) -> list[str]:
        """Count per method the pairs with a verdict of better or worse."""
        return [self._count(method) for method in self.methods]

    def _count(self, method: str) -> str:
        known = [claim for (name, _), claim in self.claims.items() if name == method]
        means = [claim["mean"] for claim in known if claim["verdict"] == "shown"]
        lower, higher = sum(mean < 0 for mean in means), sum(mean > 0 for mean in means)
        equivalent = sum(claim["verdict"] == "equivalent" for claim in known)
        rest = len(self.model_tasks) - len(known)
        missing = f", without an interval on {rest}" if rest else ""
        count = len(self.model_tasks)
        return (
            f"{method} against {self.reference}: shown to be lower on {lower} of {count},"
            f" higher on {higher}, equivalent on {equivalent}, inconclusive on"
            f" {len(known) - len(means) - equivalent}{missing}."
        )

    def pooled(self) -> list[PooledDifference]:
        """Pool the differences of each method over the pairs."""
        from qtha_lab.studies.comparison.pooled import pool_by_method

        margin = next((claim["margin"] for claim in self.claims.values()), MARGIN)
        return pool_by_method(self.claims, self.reference, margin)


def difference_text(claim: Record) -> str:
    """Write a difference with its interval.

    Example:
        >>> difference_text({"mean": 0.031, "low": -0.01, "high": 0.072})
        '+0.031 [-0.010, +0.072]'
    """
    return f"{claim['mean']:+.3f} [{claim['low']:+.3f}, {claim['high']:+.3f}]"
