"""An engine is one file that registers itself; a plugin brings one as well."""

import subprocess
import sys

import pytest
import torch
from support.refusals import refused

from qtha_lab import plugins
from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import check_engine, engine_names, explain, expval, expval_z
from qtha_lab.simulators.engine_selection import automatic, choose, info_of
from qtha_lab.simulators.registry import ENGINES

ROTATION = Circuit(1, [Gate("RY", 0, Angle.input(0)), Gate("RY", 0, Angle.param(0))])
PLUGIN = '''
"""An engine for circuits of RY alone: every qubit turns by the sum of its angles."""

import torch

from qtha_lab.plugins import Circuit, Readout, Refusal, engine


@engine("sums", strength="circuits of RY alone, in one cosine"{options})
class Sums:
    def check(self, circuit: Circuit, readout: Readout, name: str) -> None:
        if readout.kind != "strings" or any(gate.name != "RY" for gate in circuit.gates):
            raise Refusal(f"engine {name!r} takes RY alone, and reads strings of Z")

    def run(self, circuit, inputs, params, readout, name):
        totals = [inputs.new_zeros(len(inputs)) for _ in range(circuit.n_qubits)]
        for gate in circuit.gates:
            totals[gate.wires[0]] = totals[gate.wires[0]] + gate.angles[0].value(inputs, params)
        cosines = torch.stack(totals, -1).cos()
        return torch.stack([cosines[:, list(wires)].prod(-1) for wires in readout.strings], -1)

    def working_bytes(self, circuit: Circuit, batch: int, name: str) -> int:
        return 4 * batch * circuit.n_qubits
'''


@pytest.fixture
def bring(tmp_path):
    """Load the plugin with some options; it is gone when the test ends."""
    file = tmp_path / "sums.py"

    def load(options: str = "") -> None:
        file.write_text(PLUGIN.replace("{options}", options))
        plugins.load_plugins([str(file)])

    yield load
    for module in [name for name in sys.modules if name.startswith("qtha_lab_plugin_")]:
        del sys.modules[module]
        ENGINES.forget(module)


def test_a_circuit_runs_on_an_engine_of_a_plugin_with_its_gradients(bring):
    bring()
    x = torch.tensor([[0.3], [1.1]], dtype=torch.float64, requires_grad=True)
    p = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    values = expval_z(ROTATION, x, p, engine="sums")
    torch.testing.assert_close(values, torch.tensor([[0.7], [1.5]], dtype=torch.float64).cos())
    (gradient,) = torch.autograd.grad(values.sum(), p)
    of_func = torch.func.grad(lambda p: expval_z(ROTATION, x, p, engine="sums").sum())(p)
    torch.testing.assert_close(of_func, gradient)
    assert gradient.item() == pytest.approx(-(torch.tensor([0.7, 1.5]).sin().sum().item()))


def test_an_engine_of_a_plugin_is_listed_explained_and_asked_whether_it_can(bring):
    bring()
    assert engine_names()[-1] == "sums"
    assert explain(ROTATION, 1).reasons["sums"] == (
        "passed over: runs only when named; circuits of RY alone, in one cosine"
    )
    assert explain(ROTATION, 1, engine="sums").engine == "sums"
    with pytest.raises(Refusal, match="engine 'sums' takes RY alone"):
        check_engine("sums", ansatze.build("qtha", 2, 1))
    with pytest.raises(Refusal, match="engine 'sums' takes RY alone"):
        expval(ROTATION, ["Y0"], torch.zeros(1), torch.zeros(1), engine="sums")


def test_auto_takes_an_engine_of_a_plugin_that_comes_first_in_its_order(bring):
    bring(", auto=0")
    assert automatic() == ["sums", "cpu", "torch", "lightning"]
    assert explain(ROTATION, 1).engine == "sums"
    why = explain(ansatze.build("qtha", 2, 1), 1)
    assert why.engine == "cpu"
    assert "passed over sums: engine 'sums' takes RY alone" in why.reasons["cpu"]


def test_an_engine_of_a_plugin_meets_no_tensor_it_did_not_ask_for(bring):
    bring(", cpu_tensors_only=True")
    nowhere = torch.zeros(1, 1, device="meta")
    with refused("Inputs of engine 'sums'", "meta"):
        expval_z(ROTATION, nowhere, nowhere[0], engine="sums")


def test_a_changed_engine_is_the_one_that_answers(bring):
    bring()
    check_engine("sums", ROTATION)
    bring(", auto=9")
    assert info_of("sums").auto == 9
    check_engine("sums", ROTATION)


def test_a_name_that_is_taken_is_refused(bring, tmp_path):
    file = tmp_path / "other.py"
    file.write_text(PLUGIN.replace("{options}", "").replace('"sums"', '"cpu"'))
    with refused(" The name of an engine", "'cpu', which qtha_lab.simulators.cpu has"):
        plugins.load_plugins([str(file)])


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("n_qubits", "n_layers", "batch", "engine"),
    [(18, 4, 1, "lightning"), (18, 4, 2, "cpu"), (18, 2, 1, "cpu"), (16, 8, 1, "cpu")],
)
def test_auto_takes_lightning_for_a_single_deep_sample_of_many_qubits(
    n_qubits, n_layers, batch, engine, two_threads
):
    circuit = ansatze.build("qtha", n_qubits, n_layers)
    assert choose("auto", circuit, Readout.z(n_qubits), batch=batch) == engine
    torch.set_num_threads(1)
    assert choose("auto", circuit, Readout.z(n_qubits), batch=batch) == "cpu"


def test_auto_is_checked_without_compiling_a_kernel():
    code = (
        "import sys; from qtha_lab import ansatze; from qtha_lab.simulators import check_engine; "
        "check_engine('auto', ansatze.build('qtha', 4, 1)); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_explain_says_that_and_why_an_engine_yields(two_threads):
    why = explain(ansatze.build("qtha", 18, 4))
    reason = "slower for a single deep sample of so many qubits, which it runs on one thread"
    assert why.engine == "lightning"
    assert why.reasons["cpu"] == f"passed over: {reason}"
    assert why.reasons["lightning"].startswith("chosen: ")
    assert f"; passed over cpu: {reason}" in why.reasons["lightning"]
    assert "passed over torch" not in why.reasons["lightning"]


def test_lists_keep_their_order_and_auto_its_own():
    assert engine_names() == [
        "auto",
        "torch",
        "cpu",
        "lightning",
        "device:default.qubit",
        "device:lightning.qubit",
    ]
    assert automatic() == ["cpu", "torch", "lightning"]


@pytest.mark.slow
def test_asking_for_names_loads_no_simulator():
    code = (
        "import sys; from qtha_lab.simulators import engine_names; engine_names();"
        "print([m for m in ('pennylane', 'numba', 'pennylane_lightning') if m in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"
