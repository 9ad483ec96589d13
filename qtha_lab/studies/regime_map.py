"""Map of regimes: leaders of one comparison at several numbers of steps.

A cell is a (model, task) pair at a number of steps. Every method is tuned in each cell, as the
comparison describes. Another call with the same folder continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import write_json
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.figures.regimes import Regime
from qtha_lab.studies.comparison.comparison_study import run_comparison
from qtha_lab.studies.work import OnProgress

LEAST_CELLS = 2


@dataclass(frozen=True)
class RegimeMap:
    """Comparison that is repeated at several numbers of steps.

    Attributes:
        comparison: Comparison over models and tasks; the first method is the reference.
        steps: Numbers of steps.

    Example:
        >>> grid = RegimeMap(Comparison(methods="lora,qtha", tasks=["qa", "recall"]), (100, 1000))
        >>> [comparison.training.steps for comparison in grid.comparisons()]
        [100, 1000]
    """

    comparison: Comparison
    steps: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(set(self.steps)) < len(self.steps) or min(self.steps, default=0) < 1:
            raise Refusal(f"steps must be different numbers of at least 1, got {list(self.steps)}.")
        cells = len(self.comparison.model_tasks) * len(self.steps)
        if cells < LEAST_CELLS:
            raise Refusal(
                f"A map must have at least {LEAST_CELLS} cells, got {cells}. Add tasks, models or "
                "steps, or use `qtha-lab compare`."
            )
        if len(self.comparison.methods) < 2:
            raise Refusal("A map must have at least 2 methods, got 1.")
        if self.comparison.training.epochs is not None:
            raise Refusal("epochs must be empty in a map, whose steps are given.")

    def comparisons(self) -> list[Comparison]:
        """Return the comparison at each number of steps.

        Evaluation and checkpoint are at the last step.
        """
        training = self.comparison.training
        return [
            self.comparison.replace(
                training=training.replace(steps=n, eval_every=n, checkpoint_every=n)
            )
            for n in self.steps
        ]

    def check(self, out: Path) -> None:
        """Refuse comparisons that cannot run, before any starts."""
        for comparison in self.comparisons():
            comparison.check(out)

    def run(self, out: Path, on_progress: OnProgress | None = None) -> list[Regime]:
        """Run the comparisons in folders of their own, and write `map.json`."""
        self.check(out)
        found: list[Regime] = []
        for steps, comparison in zip(self.steps, self.comparisons(), strict=True):
            summary = run_comparison(comparison, out / f"steps-{steps}", on_progress)
            found += regimes_of(summary["claims"], steps)
            write_json(out / "map.json", {"steps": list(self.steps), "cells": found})
        return found


def regimes_of(claims: Sequence[dict[str, Any]], steps: int) -> Iterator[Regime]:
    """Yield the cell of each (model, task) pair from the claims against the first method.

    The leader is another method that is shown to be lower than the first, or the first if all
    others are shown to be higher. Else no leader is decided.
    """
    pairs = by_model_task(claims)
    for model_task, of in pairs.items():
        best = min(of, key=lambda claim: claim["mean"])
        leader = ""
        if best["verdict"] == "shown" and best["mean"] < 0:
            leader = best["first"]
        elif all(claim["verdict"] == "shown" for claim in of):
            leader = best["second"]
        yield {
            "place": _place(model_task, pairs),
            "steps": steps,
            "leader": leader,
            "against": best["second"] if leader == best["first"] else best["first"],
            "mean": best["mean"],
            "low": best["low"],
            "high": best["high"],
        }


def _place(model_task: ModelTask, among: Sequence[ModelTask] | dict[ModelTask, Any]) -> str:
    """Return the task with its options, and its model where there are several."""
    several = len({other.model for other in among}) > 1
    task = str(model_task).partition(", ")[2]
    return f"{task} on {model_task.model}" if several else task
