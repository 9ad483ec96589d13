"""The explorers of lessons 3 and 8: a control moves what it should, and the twin gives the same."""

import asyncio
import re

import numpy as np
import pytest
from playwright.sync_api import expect
from support.jupyter_browser import open_lab
from support.notebooks import FOLDER, copy_until
from support.refusals import refused

from qtha_lab.analysis.circuits.gate_gradients import apart
from qtha_lab.experiment import Experiment
from qtha_lab.runs.run import Status
from qtha_lab.simulators.program import compile_circuit
from widgets import CircuitExplorer, UpdateExplorer

LESSON_3 = FOLDER / "03_circuits.ipynb"
LESSON_8 = FOLDER / "08_inside_the_update.ipynb"


def bars(explorer, name):
    """Return the page's texts of bars by name: of states, wires, or angles."""
    titles = re.findall(rf"<title>({name}[^:<]*): (-?[\d.e-]+)", explorer.views["state"].svg)
    return {bar: float(height) for bar, height in titles}


def test_turning_one_qubit_moves_its_mean_as_the_cosine():
    explorer = CircuitExplorer("product", n_qubits=1, n_layers=1)
    angles = explorer.with_angle.angles
    explorer.zero.click()
    assert bars(explorer, "wire") == {"wire 0": 1.0}
    explorer.set_angle("x0", 1.2)
    assert angles[0] == "x0"
    assert bars(explorer, "wire") == {"wire 0": pytest.approx(np.cos(1.2), abs=1e-4)}
    states = {"|0⟩": np.cos(0.6) ** 2, "|1⟩": np.sin(0.6) ** 2}
    assert bars(explorer, r"\|") == pytest.approx(states, abs=1e-4)
    assert bars(explorer, "x")["x0"] == pytest.approx(-np.sin(1.2), abs=1e-4)


def test_angles_may_come_as_an_array():
    explorer = CircuitExplorer("product", n_qubits=2, inputs=np.array([0.1, 0.2]))
    assert explorer.inputs == [0.1, 0.2]


def test_its_line_of_python_gives_the_same_figure():
    explorer = CircuitExplorer(n_qubits=3, n_layers=2)
    explorer.set_angle("p5", 0.777)
    explorer.observable = "Z0 Z1 Z2"
    names = {}
    *lines, last = explorer.code.splitlines()
    exec("\n".join(lines), names)
    assert eval(last, names).table == explorer.figures["state"].table


def test_another_circuit_brings_its_own_angles_and_an_impossible_one_is_refused_in_a_sentence():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.angle = "p11"
    explorer.n_qubits = 2
    assert explorer.controls["angle"].options[-1] == "p7"
    assert explorer.angle == "x0"
    assert len(bars(explorer, r"\|")) == 4
    slider = explorer.controls["n_qubits"]
    slider.index = 0
    assert "must have at least 2 qubits, got 1" in explorer.error.text
    assert explorer.n_qubits == slider.value == 2
    with refused("Ansatz 'qtha'", "1"):
        explorer.n_qubits = 1
    slider.index = 2
    assert explorer.error.text == ""
    assert explorer.n_qubits == 3


def test_the_diagram_tells_the_values_of_now():
    explorer = CircuitExplorer(n_qubits=3, n_layers=1)
    explorer.set_angle("x0", 0.5)
    svg = explorer.views["diagram"].svg
    assert "<title>RY on wire 0\nangle x0 = 0.5 rad, gradient " in svg
    explorer.set_angle("x0", 0.25)
    assert "<title>RY on wire 0\nangle x0 = 0.25 rad, gradient " in explorer.views["diagram"].svg


def test_turning_an_angle_compiles_nothing_anew():
    explorer = CircuitExplorer(n_qubits=4, n_layers=2)
    explorer.set_angle("p3", 0.1)
    before = [cached.cache_info().misses for cached in (apart, compile_circuit)]
    explorer.set_angle("p4", 0.2)
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
    explorer = UpdateExplorer([lora, qtha])
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
    explorer = UpdateExplorer([lora, qtha])
    explorer.step = 0
    lora.recorded.append(spectrum(10, q=[4.0, 1.0]))
    asyncio.run(explorer.tick())
    assert explorer.controls["step"].options == (0, 5, 10)
    assert explorer.step == 0


def test_what_a_resumed_run_does_again_replaces_what_it_did():
    lora, qtha = two_runs()
    lora.recorded += [spectrum(5, q=[2.0, 1.0]), {"kind": "status", "state": "running", "step": 3}]
    explorer = UpdateExplorer([lora, qtha])
    assert explorer.histories("q")["lora(r=2)"] == ([0], [[0.0, 0.0]])


def test_following_ends_with_the_runs_and_counts_no_event_twice():
    runs = two_runs()
    explorer = UpdateExplorer(runs)
    for run in runs:
        run.recorded.append(spectrum(5, q=[2.0, 1.0]))
        run.ended = True

    async def both():
        await asyncio.gather(explorer.follow(), explorer.follow())

    asyncio.run(both())
    assert explorer.events["lora(r=2)"] == runs[0].recorded
    assert "finished" in explorer.progress.value


def test_runs_that_recorded_nothing_yet_show_empty_panels():
    explorer = UpdateExplorer([RecordedRun("lora(r=2)"), RecordedRun("lora(r=2)")])
    assert "0 recorded yet" in explorer.figures["history"].alt
    assert explorer.layer is None


# The heights of the ⟨Z⟩ bars on the page, as they say under a pointer.
MEANS = """() => [...document.querySelectorAll('.qtha-circuit-explorer title')]
    .map(title => title.textContent.match(/^wire [0-9]+: (.*)$/)?.[1]).filter(Boolean).join(' ')"""


@pytest.mark.browser
@pytest.mark.slow
def test_in_a_browser_a_turned_angle_moves_the_figure(jupyter, tmp_path):
    notebook = copy_until(LESSON_3, "CircuitExplorer(", tmp_path)
    with open_lab(jupyter, notebook, QTHA_LAB_PROFILE="ci") as lab:
        lab.menu("Run", "Run All Cells")
        panel = lab.page.locator(".qtha-circuit-explorer")
        lab.page.wait_for_function(f"() => ({MEANS})() !== ''")
        lab.wait_idle()
        before = lab.page.evaluate(MEANS)
        handle = panel.locator(
            "input[type=range]"
        ).last  # the angle; the others count qubits and layers
        handle.focus()
        for _ in range(30):
            lab.page.keyboard.press("ArrowRight")
        lab.page.wait_for_function(f"() => ({MEANS})() !== '{before}'")
        expect(panel.locator(".qtha-text", has_text="4 qubits: ")).to_be_visible()
        panel.get_by_role("button", name="All zero").click()
        lab.page.wait_for_function(f"() => ({MEANS})() === '1.0000 1.0000 1.0000 1.0000'")
        assert lab.complaints == []


# The last recorded values on the page, of every line of the first plot.
ENDS = """() => {
    const plot = document.querySelector('.qtha-update-explorer .js-plotly-plot');
    return (plot?.data ?? []).map(line => Array.from(line.y ?? []).at(-1)).join(' ');
}"""


@pytest.mark.browser
@pytest.mark.slow
def test_in_a_browser_updates_appear_and_another_layer_shows_others(jupyter, tmp_path):
    notebook = copy_until(LESSON_8, "UpdateExplorer(", tmp_path)
    with open_lab(jupyter, notebook, QTHA_LAB_PROFILE="ci") as lab:
        lab.menu("Run", "Run All Cells")
        panel = lab.page.locator(".qtha-update-explorer")
        expect(panel.locator(".qtha-text", has_text="qtha")).not_to_have_count(0)
        lab.page.wait_for_function(
            "() => (document.querySelector('.qtha-update-explorer')?.textContent.match(/:"
            " finished/g) ?? []).length === 2"
        )
        count = f"({ENDS})().split(' ').filter(end => end !== '' && isFinite(end)).length"
        lab.page.wait_for_function(f"() => {count} === 8")  # r = 4 lines per method
        before = lab.page.evaluate(ENDS)
        panel.locator("select").first.select_option("model.layers.5.self_attn.v_proj")
        lab.page.wait_for_function(f"() => ({ENDS})() !== '{before}'")
        assert lab.complaints == []
