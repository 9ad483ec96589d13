"""An explorer of a circuit: state, ⟨Z⟩, entanglement and gradients follow its angles.

Ties a `CircuitAtAngles` and the figures of a circuit to controls; up to eight qubits.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import traitlets

from qtha_lab.circuits import ansatze
from qtha_lab.figures.circuit_diagram import GateRow, circuit_diagram
from qtha_lab.figures.circuit_state import circuit_state

from ..kit import controls, styles
from ..kit.choice import Choice
from .circuit_at_angles import CircuitAtAngles, rounded
from .explorer import Drawing, Explorer

MOST = 8  # maximum number of qubits, and of layers
ROWS = 8  # maximum rows of a circuit diagram
ANGLES = [k / 100 for k in range(-314, 315)]  # values of the slider, in radians


class CircuitExplorer(Explorer):
    """An explorer in which one angle of a circuit is changed at a time.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Number of wires, up to 8.
        n_layers: Number of blocks, up to 8.
        inputs: One sample; None draws one at random.
        params: Trainable angles; None draws them at random.
        seed: Seed of random angles.

    Example:
        >>> explorer = CircuitExplorer("qtha", n_qubits=2)
        >>> explorer.set_angle("p3", 0.5)
        >>> explorer.code.splitlines()[-3]
        "circuit = ansatze.build('qtha', 2, 1, reupload=True)"
    """

    STATE = (
        "ansatz", "n_qubits", "n_layers", "reupload", "seed", "inputs", "params", "angle",
        "observable",
    )  # fmt: skip
    DIAGRAMS = ("state", "diagram")
    ansatz, n_qubits, n_layers = Choice(), Choice(), Choice()
    reupload, seed = traitlets.Bool(True), traitlets.Int(0)
    inputs, params = traitlets.List(), traitlets.List()
    angle, observable = Choice(), Choice()

    def __init__(
        self,
        name: str = "qtha",
        n_qubits: int = 4,
        n_layers: int = 1,
        inputs: Sequence[float] | None = None,
        params: Sequence[float] | None = None,
        seed: int = 0,
    ):
        sizes = {
            "ansatz": controls.Select(description="ansatz"),
            "n_qubits": controls.Slider("qubits", range(1, MOST + 1)),
            "n_layers": controls.Slider("layers", range(1, MOST + 1)),
            "reupload": controls.Checkbox(True, description="data in every layer"),
        }
        self.slider = controls.Slider("angle", ANGLES, 0.0, text="{:.2f}".format)
        gradients = {
            "angle": controls.Select(description="vary"),
            "observable": controls.Select(description="gradients of"),
        }
        self.draw = controls.Button(description="Draw angles")
        self.zero = controls.Button(description="All zero")
        values = {"ansatz": name, "n_qubits": n_qubits, "n_layers": n_layers, "seed": seed}
        super().__init__(
            [sizes, gradients],
            values | {"inputs": _floats(inputs), "params": _floats(params)},
        )
        self.slider.observe(self.error.guard(self._at_angles), "value")
        self.draw.on_click(self.error.guard(lambda _: self._draw_angles()))
        self.zero.on_click(self.error.guard(lambda _: self._take(self.with_angle.zero())))
        self.add_class("qtha-circuit-explorer")

    @property
    def with_angle(self) -> CircuitAtAngles:
        """The circuit at its current angles."""
        return _at_angles(self)

    def set_angle(self, angle: str, value: float) -> None:
        """Select an angle and set its value: `explorer.set_angle("p3", 0.5)`."""
        self.angle = angle
        self._take(self.with_angle.with_value(angle, value))

    def offers(self, name: str) -> Sequence:
        if name == "ansatz":
            return ansatze.names()
        if name in ("angle", "observable"):
            return getattr(self._bare(), f"{name}s")
        return range(1, MOST + 1)

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

    def below_controls(self) -> list[Any]:
        return [styles.row(self.slider, self.draw, self.zero)]

    def show_more(self) -> None:
        self.slider.value = self.with_angle[self.angle]

    def _bare(self) -> CircuitAtAngles:
        return CircuitAtAngles(
            self.ansatz, self.n_qubits, self.n_layers, self.reupload, seed=self.seed
        )

    def _at_angles(self, change: dict[str, Any]) -> None:
        if not self.settling:
            self._take(self.with_angle.with_value(self.angle, change["new"]))

    def _take(self, with_angle: CircuitAtAngles) -> None:
        with self.hold_trait_notifications():
            self.inputs, self.params = list(with_angle.inputs), list(with_angle.params)

    def _draw_angles(self) -> None:
        with self.hold_trait_notifications():
            self.seed += 1
            self.inputs, self.params = [], []


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
