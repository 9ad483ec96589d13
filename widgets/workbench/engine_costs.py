"""The engine of each method's circuits, and the seconds per step on each engine.

A button switches a method to Lightning. Shows `qtha_lab.experiment.cost.sizes`; measures nothing.
"""

from collections.abc import Callable, Mapping
from typing import Any

from qtha_lab.core.method_styles import shown

from ..kit import boxes, styles

LIGHTNING = "lightning"


class EngineCosts:
    """A table of engines per method; show `engines.panel`.

    Args:
        run_on: Called with a method's label and its new engine.
        copy_on: Called with a method's label and the engine of a second card of the method.
    """

    def __init__(self, run_on: Callable[[str, str], None], copy_on: Callable[[str, str], None]):
        self.run_on, self.copy_on = run_on, copy_on
        self.box = boxes.column()
        self.panel = boxes.column([boxes.heading("Engines of the circuits"), self.box])
        self.show({})

    def show(self, costs: Mapping[str, list]) -> None:
        """Draw the engines of each method with a circuit, by method label."""
        costs = {label: engines for label, engines in costs.items() if engines}
        boxes.show(self.panel, bool(costs))
        boxes.put(self.box, [self._method(label, engines) for label, engines in costs.items()])

    def _method(self, label: str, engines: list) -> Any:
        table = styles.html_table([_row(label, cost) for cost in engines])
        absent = [
            f"{cost.engine} does not run here: {cost.reason.rstrip('.')}."
            for cost in engines
            if cost.seconds is None
        ]
        why = [f"auto takes {cost.engine}, {cost.reason}." for cost in engines if cost.automatic]
        words = boxes.text(styles.lines([*why, *absent]))
        buttons = boxes.row(self._buttons(label, engines))
        return boxes.column([boxes.text(table, "qtha-table"), words, buttons])

    def _buttons(self, label: str, engines: list) -> list[Any]:
        lightning = next((cost for cost in engines if cost.engine == LIGHTNING), None)
        if lightning is None or lightning.seconds is None:
            return []
        run = boxes.button(
            "Run this on Lightning",
            icon="bolt",
            tooltip=f"Set engine={LIGHTNING} for {label}",
            disabled=lightning.chosen,
        )
        second = boxes.button(
            "Add a second on Lightning",
            icon="clone",
            tooltip=f"Keep {label} and add it once more with engine={LIGHTNING}",
            disabled=lightning.chosen,
        )
        run.on_click(lambda _: self.run_on(label, LIGHTNING))
        second.on_click(lambda _: self.copy_on(label, LIGHTNING))
        return [run, second]


def _row(label: str, cost) -> dict[str, str]:
    return {
        f"engine of {shown(label)}": f"{cost.engine} ✓" if cost.chosen else cost.engine,
        "circuits, s / step": _seconds(cost.seconds),
        "whole step, s": _seconds(cost.step_seconds),
    }


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "does not run here"
    return f"{seconds:.2g}" if seconds < 100 else f"{seconds:,.0f}"
