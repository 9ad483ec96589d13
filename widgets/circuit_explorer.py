"""A circuit whose angles are turned while its state, ⟨Z⟩, entanglement and gradient move.

Ties a `TurnedCircuit` and the figures of a circuit to controls; up to eight qubits.
"""

import contextlib
from collections.abc import Sequence
from math import pi

import ipywidgets as ipw

from qtha_lab import ansatze
from qtha_lab.figures.circuit import circuit_diagram, hover_texts
from qtha_lab.figures.circuit_state import circuit_state

from . import look
from .aria import Aria
from .fold import Fold
from .redraw import Redrawn
from .turned_circuit import TurnedCircuit

MOST = 8  # qubits, and layers
ROWS = 8  # of a long circuit's diagram


class CircuitExplorer:
    """Shows itself; `trace` holds the numbers, `twin` the Python that gives them without a panel.

    Args:
        name: An ansatz, one of `ansatze.names()`.
        n_qubits: Up to 8.
        n_layers: Up to 8.
        inputs: One sample; None draws one.
        params: Trainable angles; None draws them.
        seed: Of the draws.
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
        given = {"inputs": inputs, "params": params}
        self.turned = TurnedCircuit(name, n_qubits, n_layers, seed=seed, **given)
        self._make_controls(name, n_qubits, n_layers)
        self._offer()
        self._run()
        self.state = Redrawn(circuit_state(**self.trace.at_the_end()))
        self.diagram = Redrawn(self._diagram(), css="")
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
    def twin(self) -> str:
        """The same in Python, with the values written out."""
        return self.turned.twin(self.observable.value)

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
        self.wrong, self.code = look.text("", "qtha-said"), look.text("", "qtha-code")
        look.mark(self.wrong, wrong=True)

    def _connect(self) -> None:
        for control in (self.ansatz, self.qubits, self.layers, self.reupload):
            control.observe(self._rebuild, "value")
        for control in (self.angle, self.observable):
            control.observe(self._show, "value")
        self.slider.observe(self._turn, "value")
        self.draw.on_click(self._redraw)
        self.zero.on_click(lambda _: (self.turned.zero(), self._show()))

    def _laid_out(self) -> ipw.Widget:
        self.code.value = look.code(self.twin)
        python = Fold("The same in Python", self.code)
        above = look.row(self.ansatz, self.qubits, self.layers, self.reupload)
        below = look.row(self.angle, self.slider, self.observable, self.draw, self.zero)
        parts = [
            look.style_sheet(),
            Aria(),
            above,
            below,
            self.wrong,
            self.state.panel,
            self.diagram.panel,
        ]
        return look.column(*parts, python, css="qtha-circuit-explorer")

    def _offer(self) -> None:
        """The read-outs and angles of this circuit; what was chosen before stays where it can."""
        offered = ((self.observable, self.turned.observables), (self.angle, self.turned.angles))
        with self._silently():
            for control, options in offered:
                chosen = control.value
                control.options = options
                control.value = chosen if chosen in options else options[0]

    def _run(self) -> None:
        self.trace = self.turned.trace(self.observable.value)
        with self._silently():
            self.slider.value = self.turned[self.angle.value]

    def _diagram(self):
        return circuit_diagram(self.turned.circuit.n_qubits, self.trace.rows(), max_rows=ROWS)

    def _show(self, _=None) -> None:
        """Where an angle moved: new numbers everywhere, the diagram as it is but for what it tells."""
        if not self.silent:
            self._run()
            self.state.show(circuit_state(**self.trace.at_the_end()))
            told = hover_texts(self.turned.circuit.n_qubits, self.trace.rows())
            spots = self.diagram.widget.data[-1]
            spots.hovertext = told[: len(spots.x)]
            self.code.value = look.code(self.twin)

    def _turn(self, change) -> None:
        if not self.silent:
            self.turned[self.angle.value] = change["new"]
            self._show()

    def _redraw(self, _=None) -> None:
        self.seed += 1
        self.turned.draw(self.seed)
        self._show()

    def _rebuild(self, _=None) -> None:
        wanted = (self.ansatz.value, self.qubits.value, self.layers.value, self.reupload.value)
        try:
            self.turned = TurnedCircuit(*wanted, seed=self.seed)
        except ValueError as refused:
            self.wrong.value = str(refused)
            return
        self.wrong.value = ""
        self._offer()
        self._show()
        self.diagram.show(self._diagram())

    @contextlib.contextmanager
    def _silently(self):
        """Controls that are set from here do not answer as if a reader had moved them."""
        before, self.silent = self.silent, True
        yield
        self.silent = before
