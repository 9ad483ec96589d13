"""An explorer of a circuit: state, ⟨Z⟩, entanglement and gradients follow its angles.

Ties a `CircuitAtAngles` and the figures of a circuit to controls; up to eight qubits.
"""

import functools
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import ipywidgets as ipw
import traitlets

from qtha_lab.circuits import ansatze
from qtha_lab.figures.circuit_diagram import GateRow, circuit_diagram
from qtha_lab.figures.circuit_state import circuit_state

from ..kit import boxes
from ..kit.choice import Choice
from .circuit_at_angles import DIGITS, CircuitAtAngles, rounded
from .explorer import Explorer
from .explorer_model import Drawing, ExplorerModel

MOST = 8  # maximum number of qubits, and of layers
ROWS = 8  # maximum rows of a circuit diagram


class CircuitModel(ExplorerModel):
    """A circuit of which one angle is changed at a time.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Number of wires, up to 8.
        n_layers: Number of blocks, up to 8.
        inputs: One sample; None draws one at random.
        params: Trainable angles; None draws them at random.
        seed: Seed of random angles.

    Example:
        >>> explorer = CircuitModel("qtha", n_qubits=2)
        >>> explorer.set_angle("p3", 0.5)
        >>> explorer.code.splitlines()[-3]
        "circuit = ansatze.build('qtha', 2, 1, reupload=True)"
    """

    STATE = (
        "ansatz", "n_qubits", "n_layers", "reupload", "seed", "inputs", "params", "angle",
        "observable",
    )  # fmt: skip
    ansatz = Choice()
    n_qubits = Choice(range(1, MOST + 1), "qubits", slider=True)
    n_layers = Choice(range(1, MOST + 1), "layers", slider=True)
    reupload = traitlets.Bool(True).tag(label="data in every layer")
    seed, inputs, params = traitlets.Int(0), traitlets.List(), traitlets.List()
    angle, observable = Choice(label="vary"), Choice(label="gradients of")

    def __init__(
        self,
        name: str = "qtha",
        n_qubits: int = 4,
        n_layers: int = 1,
        inputs: Sequence[float] | None = None,
        params: Sequence[float] | None = None,
        seed: int = 0,
    ):
        values = {"ansatz": name, "n_qubits": n_qubits, "n_layers": n_layers, "seed": seed}
        super().__init__(values | {"inputs": _floats(inputs), "params": _floats(params)})

    @property
    def with_angle(self) -> CircuitAtAngles:
        """The circuit at its current angles."""
        return _at_angles(self)

    def set_angle(self, angle: str, value: float) -> None:
        """Select an angle and set its value: `explorer.set_angle("p3", 0.5)`."""
        self.angle = angle
        self._set_angles(self.with_angle.with_value(angle, value))

    def set_zero(self) -> None:
        """Set every angle to zero."""
        self._set_angles(self.with_angle.zero())

    def draw_angles(self) -> None:
        """Draw every angle at random, with the next seed."""
        with self.hold_trait_notifications():
            self.seed += 1
            self.inputs, self.params = [], []

    def offers(self, name: str) -> Sequence:
        if name == "ansatz":
            return ansatze.names()
        if name in ("angle", "observable"):
            return getattr(self._bare(), f"{name}s")
        return super().offers(name)

    def settle(self) -> None:
        """Draw new angles if the circuit has changed; refuse an invalid circuit."""
        circuit = ("ansatz", "n_qubits", "n_layers", "reupload")
        another = any(self.good.get(name) != getattr(self, name) for name in circuit)
        with_angle = self._bare() if another and self.good else _at_angles(self)
        self.inputs, self.params = list(with_angle.inputs), list(with_angle.params)

    def compute(self, state: SimpleNamespace) -> Drawing:
        with_angle = _at_angles(state)
        trace = with_angle.trace(state.observable)
        diagram = circuit_diagram(state.n_qubits, cast(list[GateRow], trace.rows()), max_rows=ROWS)
        figures = {"state": circuit_state(**trace.at_the_end()), "diagram": diagram}
        return Drawing(figures, [], with_angle.code(state.observable))

    def _bare(self) -> CircuitAtAngles:
        return CircuitAtAngles(
            self.ansatz, self.n_qubits, self.n_layers, self.reupload, seed=self.seed
        )

    def _set_angles(self, with_angle: CircuitAtAngles) -> None:
        with self.hold_trait_notifications():
            self.inputs, self.params = list(with_angle.inputs), list(with_angle.params)


class CircuitExplorer(Explorer, CircuitModel):
    """Box of a `CircuitModel` with a slider of the angle; takes the same arguments."""

    ROWS = (("ansatz", "n_qubits", "n_layers", "reupload"), ("angle", "observable"))

    def below_controls(self) -> list[Any]:
        draw, zero = boxes.button("Draw angles"), boxes.button("All zero")
        draw.on_click(self.error.guard(lambda _: self.draw_angles()))
        zero.on_click(self.error.guard(lambda _: self.set_zero()))
        self.slider.observe(self.error.guard(self._rotate), "value")
        return [boxes.row([self.slider, draw, zero])]

    @functools.cached_property
    def slider(self) -> ipw.FloatSlider:
        """The slider of the varied angle, in radians."""
        slider = ipw.FloatSlider(
            description="angle",
            min=-3.142,
            max=3.142,
            step=0.01,
            layout=boxes.layout(width="400px"),
            style={"description_width": "initial"},
        )
        return boxes.classed(slider, "qtha-setting")

    def show_more(self) -> None:
        angle = self.with_angle[self.angle]
        if abs(self.slider.value - angle) > 0.5 * 10**-DIGITS:  # a rounded value would move it back
            self.slider.value = angle

    def _rotate(self, change: dict[str, Any]) -> None:
        if not self.settling:
            self.set_angle(str(self.angle), change["new"])


def _floats(angles: Sequence[float] | None) -> list[float]:
    """Convert a list, an array or a tensor to a list; None becomes empty."""
    return [] if angles is None else [float(angle) for angle in angles]


def _at_angles(state: Any) -> CircuitAtAngles:
    return CircuitAtAngles(
        state.ansatz,
        state.n_qubits,
        state.n_layers,
        state.reupload,
        rounded(state.inputs),
        rounded(state.params),
        state.seed,
    )
