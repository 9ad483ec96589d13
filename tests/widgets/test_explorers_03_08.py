"""The explorers of lessons 3 and 8: a control moves what it should, and the twin gives the same."""

import asyncio
import json

import numpy as np
import pytest
from support.refusals import refused

from qtha_lab.analysis.circuits.gate_gradients import apart
from qtha_lab.experiment import Experiment
from qtha_lab.runs.run import Status
from qtha_lab.simulators.program import compile_circuit
from widgets import CircuitExplorer
from widgets.explorers.circuit_explorer import CircuitModel
from widgets.explorers.update_explorer import UpdateModel


def bars(explorer, quantity):
    """Return the heights of the figure's bars of a quantity: by state, wire, or angle."""
    rows = explorer.figures["state"].table.rows
    return {at: value for of, at, value in rows if of.startswith(quantity)}


def test_rotating_one_qubit_moves_its_mean_as_the_cosine():
    circuit = CircuitModel("product", n_qubits=1, n_layers=1)
    circuit.set_zero()
    assert bars(circuit, "⟨Z⟩") == {"wire 0": pytest.approx(1.0)}
    circuit.set_angle("x0", 1.2)
    assert circuit.with_angle.angles[0] == "x0"
    assert bars(circuit, "⟨Z⟩") == {"wire 0": pytest.approx(np.cos(1.2), abs=1e-4)}
    states = {"|0⟩": np.cos(0.6) ** 2, "|1⟩": np.sin(0.6) ** 2}
    assert bars(circuit, "probability") == pytest.approx(states, abs=1e-4)
    assert bars(circuit, "gradient")["x0"] == pytest.approx(-np.sin(1.2), abs=1e-4)


def test_angles_may_come_as_an_array():
    circuit = CircuitModel("product", n_qubits=2, inputs=np.array([0.1, 0.2]))
    assert circuit.inputs == [0.1, 0.2]


def test_its_line_of_python_gives_the_same_figure():
    circuit = CircuitModel(n_qubits=3, n_layers=2)
    circuit.set_angle("p5", 0.777)
    circuit.observable = "Z0 Z1 Z2"
    names = {}
    *lines, last = circuit.code.splitlines()
    exec("\n".join(lines), names)
    assert eval(last, names).table == circuit.figures["state"].table


def test_another_circuit_has_its_own_angles_and_an_impossible_one_is_refused():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.angle = "p11"
    explorer.n_qubits = 2
    assert explorer.controls["angle"].options[-1] == ("p7", "p7")
    assert explorer.angle == "x0"
    assert len(bars(explorer, "probability")) == 4
    slider = explorer.controls["n_qubits"]
    slider.value = 1
    assert "must have at least 2 qubits, got 1" in explorer.error.text
    assert explorer.n_qubits == slider.value == 2
    with refused("Ansatz 'qtha'", "1"):
        explorer.n_qubits = 1
    slider.value = 3
    assert explorer.error.text == ""
    assert explorer.n_qubits == 3


def test_the_slider_sets_the_varied_angle_and_the_diagram_states_it_on_hover():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.slider.value = 0.5
    assert explorer.with_angle["x0"] == 0.5
    hover = json.dumps(explorer.views["diagram"].traces)
    assert "RY on wire 0<br>angle x0 = 0.5 rad, gradient " in hover


def test_an_angle_that_a_page_rounds_to_a_step_of_its_slider_is_drawn_once():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    angle, drawn = explorer.with_angle["x0"], explorer.revision
    explorer.slider.value = angle + 0.004
    assert (explorer.revision, explorer.with_angle["x0"]) == (drawn, angle)
    explorer.slider.value = angle + 0.01
    assert explorer.revision == drawn + 1


def test_rotating_an_angle_compiles_nothing_anew():
    circuit = CircuitModel(n_qubits=4, n_layers=2)
    circuit.set_angle("p3", 0.1)
    assert circuit.figures
    before = [cached.cache_info().misses for cached in (apart, compile_circuit)]
    circuit.set_angle("p4", 0.2)
    assert circuit.figures
    assert [cached.cache_info().misses for cached in (apart, compile_circuit)] == before


class RecordedRun:
    """A run as the explorer sees one, whose events arrive when the test lets them."""

    def __init__(self, method, events=()):
        self.id, self.recorded = method, list(events)
        self.experiment = Experiment(method=method)
        self.ended = False

    def events(self, offset=0):
        return self.recorded[offset:], len(self.recorded)

    def status(self):
        return Status("finished" if self.ended else "running", len(self.recorded), 10)


def spectrum(step, **layers):
    return {"kind": "spectrum", "step": step, "layers": layers}


def two_runs():
    lora = RecordedRun("lora(r=2)", [spectrum(0, q=[0.0, 0.0], v=[0.0, 0.0])])
    return lora, RecordedRun("qtha(r=2)", [spectrum(0, q=[0.0, 0.0], v=[0.0, 0.0])])


def test_updates_appear_as_they_are_recorded_and_the_newest_step_is_shown():
    lora, qtha = two_runs()
    explorer = UpdateModel([lora, qtha])
    lora.recorded.append(spectrum(5, q=[2.0, 1.0], v=[3.0, 1.0]))
    asyncio.run(explorer.tick())
    assert explorer.step == 5
    assert explorer.figures["decay"].table.rows == (
        ("lora(r=2)", 1, 2.0), ("lora(r=2)", 2, 1.0), ("qtha(r=2)", 1, 0.0), ("qtha(r=2)", 2, 0.0),
    )  # fmt: skip
    explorer.layer = "v"
    assert "the largest 3" in explorer.figures["history"].alt


def test_a_step_that_was_chosen_stays_while_more_arrive():
    lora, qtha = two_runs()
    lora.recorded.append(spectrum(5, q=[2.0, 1.0]))
    explorer = UpdateModel([lora, qtha])
    explorer.step = 0
    lora.recorded.append(spectrum(10, q=[4.0, 1.0]))
    asyncio.run(explorer.tick())
    assert explorer.offers("step") == [0, 5, 10]
    assert explorer.step == 0


def test_what_a_resumed_run_does_again_replaces_what_it_did():
    lora, qtha = two_runs()
    lora.recorded += [spectrum(5, q=[2.0, 1.0]), {"kind": "status", "state": "running", "step": 3}]
    explorer = UpdateModel([lora, qtha])
    assert explorer.histories("q")["lora(r=2)"] == ([0], [[0.0, 0.0]])


def test_following_ends_with_the_runs_and_counts_no_event_twice():
    runs = two_runs()
    explorer = UpdateModel(runs)
    for run in runs:
        run.recorded.append(spectrum(5, q=[2.0, 1.0]))
        run.ended = True

    async def both():
        await asyncio.gather(explorer.follow(), explorer.follow())

    asyncio.run(both())
    assert explorer.events["lora(r=2)"] == runs[0].recorded
    assert "finished" in " ".join(explorer.progress)


def test_runs_that_recorded_nothing_yet_show_empty_panels():
    explorer = UpdateModel([RecordedRun("lora(r=2)"), RecordedRun("lora(r=2)")])
    assert "0 recorded yet" in explorer.figures["history"].alt
    assert explorer.layer is None
