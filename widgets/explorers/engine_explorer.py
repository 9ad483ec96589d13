"""An explorer of simulator engines: microseconds per sample by qubits, layers and batch.

Times are measured live by `qtha_lab.simulators.speeds`, which caches them, and drawn by
`figures.engine_speeds`.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.figures.engine_speeds import engine_speeds, number
from qtha_lab.simulators import engine_costs

from ..kit import boxes
from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

MOST_QUBITS, MOST_LAYERS = 12, 8
BATCHES = tuple(2**k for k in range(13))
CODE = """from qtha_lab.simulators import explain, speeds

circuit = ansatze.build({ansatz!r}, {n_qubits}, {n_layers})
measured = speeds(circuit, {batch})
points = {{name: s.points for name, s in measured.items()}}
engine_speeds(points, explain(circuit, {batch}).engine)"""


class EngineModel(ExplorerModel):
    """Times of every available engine on one circuit and batch.

    All measurements together take a few tenths of a second.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Number of wires, up to 12.
        n_layers: Number of blocks, up to 8.
        batch: Number of samples, a power of two up to 4,096.

    Example:
        >>> explorer = EngineModel(n_qubits=2, batch=4)
        >>> explorer.code.splitlines()[-3]
        'measured = speeds(circuit, 4)'
        >>> explorer.speeds["cpu"].reason
        'chosen: the fastest on CPU tensors'
    """

    STATE = ("ansatz", "n_qubits", "n_layers", "batch")
    ansatz = Choice()
    n_qubits = Choice(range(1, MOST_QUBITS + 1), "qubits", slider=True)
    n_layers = Choice(range(1, MOST_LAYERS + 1), "layers", slider=True)
    batch = Choice(BATCHES, slider=True, text="{:,}".format)

    def __init__(self, name: str = "qtha", n_qubits: int = 4, n_layers: int = 2, batch: int = 256):
        values = {"ansatz": name, "n_qubits": n_qubits, "n_layers": n_layers, "batch": batch}
        super().__init__(values)

    @property
    def speeds(self) -> dict[str, engine_costs.Speed]:
        """The measured speed per engine for the current state."""
        return engine_costs.speeds(_circuit(self), self.batch)

    def offers(self, name: str) -> Sequence:
        return ansatze.names() if name == "ansatz" else super().offers(name)

    def settle(self) -> None:
        """Refuse an invalid circuit."""
        _circuit(self)

    def compute(self, state: SimpleNamespace) -> Drawing:
        measured = engine_costs.speeds(_circuit(state), state.batch)
        auto = next((n for n, s in measured.items() if s.reason.startswith("chosen")), "")
        plural = "s" * (state.n_layers > 1)
        of = f"{state.ansatz}, {state.n_qubits} qubits, {state.n_layers} layer{plural}"
        lines = {name: s.points for name, s in measured.items()}
        return Drawing(
            {"speeds": engine_speeds(lines, auto, of)},
            _rows(measured, state.batch),
            CODE.format(**vars(state)),
            [f"{name}: {s.reason}" for name, s in measured.items()],
        )

    def measure_again(self) -> None:
        """Measure the present circuit anew."""
        engine_costs.forget()
        self.redraw()


class EngineExplorer(Explorer, EngineModel):
    """Panel of the times of every available engine on one circuit and batch."""

    ROWS = (("ansatz", "n_qubits", "n_layers", "batch"),)

    def below_controls(self) -> list[Any]:
        again = boxes.button("Measure again")
        again.on_click(self.error.guard(lambda _: self.measure_again()))
        return [boxes.row([again])]


def _circuit(state) -> Circuit:
    return ansatze.build(state.ansatz, state.n_qubits, state.n_layers)


def _rows(measured: dict[str, engine_costs.Speed], batch: int) -> list[dict[str, str]]:
    """Return one row per engine, the fastest first; divide times at equal batches."""
    ends = sorted((s.points[-1][::-1], name) for name, s in measured.items() if s.points)
    fastest: dict[float, float] = dict(measured[ends[0][1]].points) if ends else {}
    return [
        {
            "engine": name,
            "µs per sample": number(microseconds),
            "of the fastest": (
                f"{microseconds / fastest[samples]:.1f} ×" if samples in fastest else "–"
            ),
            "measured at": "the batch" if samples == batch else f"{samples:,} of {batch:,}",
        }
        for (microseconds, samples), name in ends
    ]
