"""The explorers of lessons 3 and 4: a control moves what it should, the twin gives the same, nothing lags."""

from pathlib import Path

import numpy as np
import pytest

from qtha_lab import ansatze
from qtha_lab.analysis.circuit_trace import trace_circuit
from qtha_lab.analysis.gate_gradients import apart
from qtha_lab.figures.circuit_state import circuit_state
from qtha_lab.simulators.program import compile_circuit
from widgets.circuit_explorer import CircuitExplorer

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def bars(explorer, number):
    """The heights of one panel's bars as the page holds them: 0 probabilities, 2 ⟨Z⟩, 3 entropies."""
    return np.array(explorer.state.widget.data[number].y, dtype=float)


def test_turning_one_qubit_moves_its_mean_as_the_cosine():
    explorer = CircuitExplorer("product", n_qubits=1, n_layers=1)
    angles = explorer.turned.angles
    explorer.zero.click()
    assert bars(explorer, 2) == pytest.approx([1.0])
    explorer.turn("x0", 1.2)
    assert angles[0] == "x0"
    assert bars(explorer, 2) == pytest.approx([np.cos(1.2)], abs=1e-9)
    assert bars(explorer, 0) == pytest.approx([np.cos(0.6) ** 2, np.sin(0.6) ** 2], abs=1e-9)
    assert dict(zip(*[explorer.state.widget.data[5][k] for k in "xy"], strict=True))[
        "x0"
    ] == pytest.approx(-np.sin(1.2), abs=1e-9)


def test_its_line_of_python_gives_the_same_figure():
    explorer = CircuitExplorer(n_qubits=3, n_layers=2)
    explorer.turn("p5", 0.777)
    explorer.observable.value = "Z0 Z1 Z2"
    names = {"ansatze": ansatze, "trace_circuit": trace_circuit, "circuit_state": circuit_state}
    *lines, last = explorer.twin.splitlines()
    exec("\n".join(lines), names)
    assert eval(last, names).table == explorer.state.figure.table


def test_another_circuit_brings_its_own_angles_and_an_impossible_one_is_refused_in_a_sentence():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.angle.value = "p11"
    explorer.qubits.value = 2
    assert explorer.angle.options[-1] == "p7"
    assert explorer.angle.value == "x0"
    assert len(bars(explorer, 0)) == 4
    explorer.qubits.value = 1
    assert "needs at least 2 qubits, not 1" in explorer.wrong.value
    assert explorer.turned.circuit.n_qubits == 2
    explorer.qubits.value = 3
    assert explorer.wrong.value == ""


def test_the_diagram_tells_the_values_of_now():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.turn("x0", 0.5)
    told = explorer.diagram.widget.data[-1].hovertext
    assert told[0].startswith("RY on wire 0<br>angle x0 = 0.5 rad, gradient ")
    assert tuple(told) == tuple(explorer._diagram().plotly.data[-1].hovertext)


def test_turning_an_angle_compiles_nothing_anew():
    explorer = CircuitExplorer(n_qubits=4, n_layers=2)
    explorer.turn("p3", 0.1)
    before = [cached.cache_info().misses for cached in (apart, compile_circuit)]
    explorer.turn("p4", 0.2)
    assert [cached.cache_info().misses for cached in (apart, compile_circuit)] == before
