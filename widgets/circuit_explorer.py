"""A circuit whose angles are turned while its state, ⟨Z⟩, entanglement and gradient move.

Ties a `TurnedCircuit` and the figures of a circuit to controls; up to eight qubits.
"""

import contextlib
from collections.abc import Sequence
from math import pi
from typing import cast

import ipywidgets as ipw
import plotly.graph_objects as go

from qtha_lab import ansatze
from qtha_lab.figures.circuit import GateRow, circuit_diagram, hover_texts
from qtha_lab.figures.circuit_state import circuit_state
from qtha_lab.figures.machinery.figure import Figure

from . import look
from .aria import Aria
from .figure_view import FigureView
from .fold import Fold
from .guard import ErrorLine
from .turned_circuit import TurnedCircuit

MOST = 8  # qubits, and layers
ROWS = 8  # of a long circuit's diagram


class CircuitExplorer:
    """Shows itself; `trace` holds the numbers, `code` the Python that gives them without a panel.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Up to 8.
        n_layers: Up to 8.
        inputs: One sample; None draws one.
        params: Trainable angles; None draws them.
        seed: Of the draws.

    Example:
        >>> explorer = CircuitExplorer("qtha", n_qubits=2)
        >>> explorer.turn("p3", 0.5)
        >>> explorer.code.splitlines()[0]
        "circuit = ansatze.build('qtha', 2, 1, reupload=True)"
    """

    def __init__(
        self,
        name: str = "qtha",
        n_qubits: int = 4,
        n_layers: int = 1,
        inputs: Sequence[float] | None = None,
        params: Sequence[float] | None = None,
        seed: int = 0,
    ):
        self.seed, self.silent = seed, False
        self.turned = TurnedCircuit(
            name, n_qubits, n_layers, seed=seed, inputs=inputs, params=params
        )
        self._make_controls(name, n_qubits, n_layers)
        self._offer()
        self._run()
        self.state = FigureView(circuit_state(**self.trace.at_the_end()))
        self.diagram = FigureView(self._diagram(), css="")
        self._connect()
        self.panel = self._laid_out()

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.panel)

    def turn(self, angle: str, value: float) -> None:
        """Choose an angle and move its slider: `explorer.turn("p3", 0.5)`."""
        self.angle.value = angle
        self.slider.value = value

    @property
    def code(self) -> str:
        """The same in Python, with the values written out."""
        return self.turned.code(self._observable)

    @property
    def _observable(self) -> str:
        return cast(str, self.observable.value)

    @property
    def _angle(self) -> str:
        return cast(str, self.angle.value)

    def _make_controls(self, name: str, n_qubits: int, n_layers: int) -> None:
        count = {"min": 1, "max": MOST, "continuous_update": False, "layout": {"width": "230px"}}
        self.ansatz = ipw.Dropdown(
            options=ansatze.names(), value=name, description="ansatz", layout={"width": "270px"}
        )
        self.qubits = ipw.IntSlider(n_qubits, description="qubits", **count)
        self.layers = ipw.IntSlider(n_layers, description="layers", **count)
        narrow = {"indent": False, "layout": {"width": "150px"}}
        self.reupload = ipw.Checkbox(True, description="data in every layer", **narrow)
        self.angle = ipw.Dropdown(description="turn", layout={"width": "160px"})
        self.slider = ipw.FloatSlider(
            0, min=-pi, max=pi, step=0.01, description="angle", layout={"width": "380px"}
        )
        self.observable = ipw.Dropdown(description="slopes of", layout={"width": "220px"})
        self.draw = ipw.Button(description="Draw angles", layout={"width": "120px"})
        self.zero = ipw.Button(description="All zero", layout={"width": "80px"})
        self.error, self.code_text = ErrorLine(), look.text("", "qtha-code")

    def _connect(self) -> None:
        guard = self.error.guard
        for control in (self.ansatz, self.qubits, self.layers, self.reupload):
            control.observe(guard(self._rebuild), "value")
        for control in (self.angle, self.observable):
            control.observe(guard(self._show), "value")
        self.slider.observe(guard(self._turn), "value")
        self.draw.on_click(guard(self._redraw))
        self.zero.on_click(guard(self._to_zero))

    def _laid_out(self) -> ipw.Widget:
        self.code_text.value = look.code(self.code)
        python = Fold("The same in Python", self.code_text)
        above = look.row(self.ansatz, self.qubits, self.layers, self.reupload)
        below = look.row(self.angle, self.slider, self.observable, self.draw, self.zero)
        controls = (look.style_sheet(), Aria(), above, below, self.error.panel)
        results = (self.state.panel, self.diagram.panel, python)
        return look.column(*controls, *results, css="qtha-circuit-explorer")

    def _offer(self) -> None:
        """The read-outs and angles of this circuit; what was chosen before stays where it can."""
        choices = ((self.observable, self.turned.observables), (self.angle, self.turned.angles))
        with self._silently():
            for control, options in choices:
                choice = control.value
                control.options = options
                control.value = choice if choice in options else options[0]

    def _run(self) -> None:
        self.trace = self.turned.trace(self._observable)
        with self._silently():
            self.slider.value = self.turned[self._angle]

    def _gates(self) -> list[GateRow]:
        return cast(list[GateRow], self.trace.rows())

    def _diagram(self) -> Figure:
        return circuit_diagram(self.turned.circuit.n_qubits, self._gates(), max_rows=ROWS)

    def _show(self, _=None) -> None:
        """Where an angle moved: new numbers everywhere, the diagram as it is but for its hover texts."""
        if not self.silent:
            self._run()
            self.state.show(circuit_state(**self.trace.at_the_end()))
            texts = hover_texts(self.turned.circuit.n_qubits, self._gates())
            spots = cast(go.Scatter, self.diagram.traces[-1])
            spots.hovertext = texts[: len(cast(Sequence, spots.x))]
            self.code_text.value = look.code(self.code)

    def _turn(self, change) -> None:
        if not self.silent:
            self.turned[self._angle] = change["new"]
            self._show()

    def _redraw(self, _=None) -> None:
        self.seed += 1
        self.turned.draw(self.seed)
        self._show()

    def _to_zero(self, _=None) -> None:
        self.turned.zero()
        self._show()

    def _rebuild(self, _=None) -> None:
        ansatz, size = cast(str, self.ansatz.value), (self.qubits.value, self.layers.value)
        self.turned = TurnedCircuit(ansatz, *size, self.reupload.value, seed=self.seed)
        self._offer()
        self._show()
        self.diagram.show(self._diagram())

    @contextlib.contextmanager
    def _silently(self):
        """Controls that are set from here do not answer as if a reader had moved them."""
        previous, self.silent = self.silent, True
        try:
            yield
        finally:
            self.silent = previous
