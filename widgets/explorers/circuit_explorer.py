"""An explorer of a circuit: state, ⟨Z⟩, entanglement and gradients follow its angles.

Ties a circuit with named angles (`x0` is an input, `p0` is trained) and its figures to controls.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Self, cast

import ipywidgets as ipw
import traitlets

from qtha_lab.analysis.circuits.circuit_trace import CircuitTrace, trace_circuit
from qtha_lab.analysis.circuits.random_angles import draw_angles
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.figures.circuit_diagram import GateRow, circuit_diagram
from qtha_lab.figures.circuit_state import circuit_state

from ..kit import boxes
from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

DIGITS = 3  # decimals of an angle, so that the printed Python gives the same numbers
STEP = 0.01  # of the slider of an angle, to which a page rounds
CODE = """from qtha_lab.analysis.circuits.circuit_trace import trace_circuit

circuit = ansatze.build({name!r}, {n_qubits}, {n_layers}, reupload={reupload})
trace = trace_circuit(circuit, {inputs}, {params}, {observable!r})
circuit_state(**trace.at_the_end())"""


@dataclass(frozen=True)
class CircuitAtAngles:
    """An ansatz with values for all of its angles.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Number of wires.
        n_layers: Number of blocks.
        reupload: True if the data enter every layer.
        inputs: One sample, in radians; if empty, drawn at random.
        params: Trainable angles, in radians; if empty, drawn at random.
        seed: Seed of random angles, uniform in ±π.

    Example:
        >>> changed = CircuitAtAngles("qtha", 2, 1).with_value("p3", 0.5)
        >>> changed["p3"], changed.angles[:3], changed.observables
        (0.5, ['x0', 'x1', 'p0'], ['Z0', 'Z1', 'Z0 Z1'])

    Raises:
        Refusal: If there is no such circuit, or the number of angles is wrong.
    """

    name: str
    n_qubits: int
    n_layers: int
    reupload: bool = True
    inputs: tuple[float, ...] = ()
    params: tuple[float, ...] = ()
    seed: int = 0

    def __post_init__(self):
        sizes = {"inputs": self.circuit.n_inputs, "params": self.circuit.n_params}
        for kind, size in sizes.items():
            angles = rounded(getattr(self, kind)) or self._random_angles(kind)
            if len(angles) != size:
                raise Refusal(f"{kind} must hold {size} angles, got {len(angles)}.")
            object.__setattr__(self, kind, angles)

    @functools.cached_property
    def circuit(self) -> Circuit:
        """The gates of the circuit."""
        return ansatze.build(self.name, self.n_qubits, self.n_layers, reupload=self.reupload)

    @property
    def drawn_from(self) -> tuple[str, int, int, bool, int]:
        """The arguments on which random angles depend."""
        return self.name, self.n_qubits, self.n_layers, self.reupload, self.seed

    def zero(self) -> Self:
        """Return the circuit with all angles set to zero."""
        return replace(self, inputs=(0.0,) * len(self.inputs), params=(0.0,) * len(self.params))

    @property
    def angles(self) -> list[str]:
        """The names of the angles, inputs first."""
        return [f"{kind}{k}" for kind in "xp" for k in range(len(self._of(kind)))]

    @property
    def observables(self) -> list[str]:
        """Z of each wire, and the product of Z over all wires."""
        single = [f"Z{wire}" for wire in range(self.n_qubits)]
        return list(dict.fromkeys([*single, " ".join(single)]))

    def __getitem__(self, angle: str) -> float:
        return self._of(angle[0])[int(angle[1:])]

    def with_value(self, angle: str, value: float) -> Self:
        """Return the circuit with one angle changed."""
        kind = "inputs" if angle[0] == "x" else "params"
        angles = list(getattr(self, kind))
        angles[int(angle[1:])] = value
        return replace(self, **{kind: tuple(angles)})

    def trace(self, observable: str) -> CircuitTrace:
        """Trace the circuit gate by gate for one observable."""
        return trace_circuit(self.circuit, self.inputs, self.params, observable)

    def code(self, observable: str) -> str:
        """Return Python that gives the same figure, with the values written out."""
        angles = {"inputs": list(self.inputs), "params": list(self.params)}
        return CODE.format(**{**vars(self), **angles}, observable=observable)

    def _of(self, kind: str) -> tuple[float, ...]:
        return self.inputs if kind == "x" else self.params

    def _random_angles(self, kind: str) -> tuple[float, ...]:
        angles = draw_angles(self.circuit, 1, "uniform", self.seed)
        return rounded(getattr(angles, kind)[0].tolist())


def rounded(values: Iterable[float]) -> tuple[float, ...]:
    """Round angles to the digits that are stored and written."""
    return tuple(round(float(value), DIGITS) for value in values)


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
        self.bare: CircuitAtAngles | None = None  # the circuit at random angles
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
        known = (self.ansatz, self.n_qubits, self.n_layers, self.reupload, self.seed)
        if self.bare is None or known != self.bare.drawn_from:
            self.bare = CircuitAtAngles(
                self.ansatz, self.n_qubits, self.n_layers, self.reupload, seed=self.seed
            )
        return self.bare

    def _set_angles(self, with_angle: CircuitAtAngles) -> None:
        with self.hold_trait_notifications():
            self.inputs, self.params = list(with_angle.inputs), list(with_angle.params)


class CircuitExplorer(Explorer, CircuitModel):
    """Panel of a circuit with a slider for one angle at a time."""

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
            step=STEP,
            layout=boxes.layout(width="400px"),
            style={"description_width": "initial"},
        )
        return boxes.classed(slider, "qtha-setting")

    def show_more(self) -> None:
        if not self._is_at(self.slider.value):
            self.slider.value = self.with_angle[self.angle]

    def _rotate(self, change: dict[str, Any]) -> None:
        """Set the angle, unless the page has sent the present one, rounded to a step."""
        if not self.settling and not self._is_at(change["new"]):
            self.set_angle(str(self.angle), change["new"])

    def _is_at(self, value: float) -> bool:
        return abs(value - self.with_angle[self.angle]) <= 0.5 * STEP + 0.1 * 10**-DIGITS


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
