"""An explorer of QTHA's circuit on a chip: signal left, circuit runs and hours.

Estimates come from `experiment.cost.chip`, the picture from `figures.signal_by_layers`.
"""

from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.experiment.cost.chip import ChipBudget, chip_budget
from qtha_lab.figures.signal_by_layers import SignalLeft, signal_by_layers

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

TOPOLOGIES = ("all-to-all", "ring", "line")
ERRORS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
SHOTS = (100, 300, 1000, 3000, 10_000, 100_000)
PROCESSORS = ("superconducting", "superconducting-fast-reset", "trapped-ion")
START = {
    "topology": "ring",
    "n_qubits": 4,
    "n_layers": 4,
    "cz_error": 0.1,
    "shots": 1000,
    "processor": "superconducting",
}


class ChipModel(ExplorerModel):
    """One training step of QTHA's circuit on a chip.

    Args:
        options: Initial values of its state, such as cz_error=0.01.

    Example:
        >>> chip = ChipModel(n_qubits=4, n_layers=1, cz_error=0.1)
        >>> round(chip.budget.signal, 2), chip.budget.hardware.two_qubit_gates
        (0.23, 16)
    """

    STATE = ("topology", "n_qubits", "n_layers", "cz_error", "shots", "processor")
    PRESETS: ClassVar = {
        "What is left of the published circuit?": START,
        "Do more shots bring the signal back?": START | {"shots": 100_000},
        "What does a line cost against a ring?": START
        | {"topology": "line", "n_layers": 2, "cz_error": 0.01},
    }
    topology = Choice(TOPOLOGIES)
    n_qubits = Choice((2, 3, 4, 5, 6), "qubits", slider=True)
    n_layers = Choice((1, 2, 3, 4), "layers", slider=True)
    cz_error = Choice(ERRORS, "error of a CZ", slider=True, text="{:g}".format)
    shots = Choice(SHOTS, slider=True, text="{:,}".format)
    processor = Choice(PROCESSORS, "durations of")

    def __init__(self, **options: Any):
        super().__init__(START | options)

    @property
    def budget(self) -> ChipBudget:
        """Budget of the current state."""
        return self._budget(self)

    def compute(self, state: SimpleNamespace) -> Drawing:
        points: list[SignalLeft] = [
            {"topology": name, "n_layers": layers, "signal": budget.signal}
            for name in TOPOLOGIES
            for layers in range(1, state.n_layers + 1)
            for budget in (self._budget(state, topology=name, n_layers=layers),)
        ]
        budget = self._budget(state)
        row = {
            "CZ": str(budget.hardware.two_qubit_gates),
            "depth": str(budget.hardware.depth),
            "signal left": f"{budget.signal:.2%}",
            "scatter of the shots / signal": f"{budget.scatter:.2g}",
            "runs a step": f"{budget.runs:,}",
            "hours a step": "too few qubits" if budget.hours is None else f"{budget.hours:,.0f}",
        }
        figure = signal_by_layers(points, budget.scatter * budget.signal)
        options = ", ".join(f"{name}={value!r}" for name, value in _options(state).items())
        code = f"chip_budget({state.n_qubits}, {state.n_layers}, {options})"
        return Drawing({"signal": figure}, [row], code)

    def _budget(self, state: Any, **changes: Any) -> ChipBudget:
        sizes = {"n_qubits": state.n_qubits, "n_layers": state.n_layers}
        return chip_budget(**{**sizes, **_options(state), **changes})


class Chip(Explorer, ChipModel):
    """Panel of one training step of QTHA's circuit on a quantum processor."""

    ROWS = (("topology", "n_qubits", "n_layers"), ("cz_error", "shots", "processor"))


def _options(state: Any) -> dict[str, Any]:
    return {name: getattr(state, name) for name in ("topology", "cz_error", "shots", "processor")}
