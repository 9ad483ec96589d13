"""PennyLane's QNodes on `qtha.cpu`.

PennyLane's own tests of devices, and its own devices as oracles.
"""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pennylane as qml
import pytest
import torch
from pennylane import numpy as pnp

from qtha_lab.core.paths import CHECKOUT
from qtha_lab.simulators.pennylane_device.device import QthaCpu, fits
from qtha_lab.simulators.pennylane_device.graphs import request_of_tape

N = 3
TEMPLATES = {
    "StronglyEntanglingLayers": (qml.StronglyEntanglingLayers, (2, N, 3)),
    "BasicEntanglerLayers": (qml.BasicEntanglerLayers, (2, N)),
    "SimplifiedTwoDesign": (
        lambda w, wires: qml.SimplifiedTwoDesign(w[:N], w[N:].reshape(1, -1, 2), wires),
        (N + 4,),
    ),
    "RandomLayers": (lambda w, wires: qml.RandomLayers(w, wires, seed=7), (2, 4)),
    "QAOAEmbedding": (lambda w, wires: qml.QAOAEmbedding(w[0, :N], w, wires), (2, 2 * N)),
    "ParticleConservingU2": (
        lambda w, wires: qml.ParticleConservingU2(w, wires, init_state=np.array([1, 0, 1])),
        (2, 2 * N - 1),
    ),
}


def node(device, template, chances=True, **options):
    @qml.qnode(device, **options)
    def circuit(x, weights):
        qml.AngleEmbedding(x, wires=range(N), rotation="Y")
        template(weights, wires=range(N))
        hamiltonian = 0.5 * qml.Z(0) @ qml.Z(1) - 1.5 * qml.X(2) + qml.Y(0) @ qml.X(1)
        means = qml.expval(hamiltonian), qml.expval(qml.Z(1))
        return (*means, qml.probs(wires=[2, 0])) if chances else means

    return circuit


def cost(results):
    energy, mean, *chances = results
    return (energy**2).sum() + (mean * energy).sum() + sum((p**3).sum() for p in chances)


def numbers(name, batch):
    """A template with inputs, (..., N), and weights for it."""
    template, shape = TEMPLATES[name]
    generator = np.random.default_rng(3)
    return template, generator.normal(size=(*batch, N)), generator.normal(size=shape)


@pytest.mark.parametrize("batch", [(), (5,)], ids=["one", "batch"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_values_and_gradients_are_those_of_default_qubit(name, batch):
    template, x, weights = numbers(name, batch)
    seen = []
    for device, options in (
        (QthaCpu(wires=N), {}),
        (qml.device("default.qubit", wires=N), {"diff_method": "backprop"}),
    ):
        circuit = node(device, template, **options)
        leaves = [torch.tensor(values, requires_grad=True) for values in (x, weights)]
        results = circuit(*leaves)
        cost(results).backward()
        seen.append([*(r.detach() for r in results), *(leaf.grad for leaf in leaves)])
        by_autograd = qml.grad(lambda *a, circuit=circuit: cost(circuit(*a)))(
            *(pnp.array(values, requires_grad=True) for values in (x, weights))
        )
        for ours, theirs in zip(by_autograd, seen[-1][-2:], strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-10)
    for ours, theirs in zip(*seen, strict=True):
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


@pytest.mark.parametrize("batch", [(), (4,)], ids=["one", "batch"])
@pytest.mark.parametrize("name", TEMPLATES)
def test_values_and_gradients_are_those_of_lightning(name, batch):
    """Its adjoint method reads expectations only.

    Autograd's way back is in float64, torch's in PennyLane is not.
    """
    template, *arrays = numbers(name, batch)
    devices = QthaCpu(wires=N), qml.device("lightning.qubit", wires=N)
    for ours, theirs in zip(*(node(d, template)(*arrays) for d in devices), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-10)
    leaves = [pnp.array(values, requires_grad=True) for values in arrays]
    gradients = []
    for device in devices:
        circuit = node(device, template, chances=False, diff_method="adjoint")
        gradients.append(qml.grad(lambda *a, circuit=circuit: cost(circuit(*a)))(*leaves))
    for ours, theirs in zip(*gradients, strict=True):
        assert np.abs(ours).max() > 0.01
        np.testing.assert_allclose(ours, theirs, atol=1e-10)


def test_a_batch_with_its_gradients_is_one_tape():
    device = QthaCpu(wires=N)
    circuit = node(device, qml.StronglyEntanglingLayers, diff_method="adjoint")
    x = torch.randn(64, N, dtype=torch.float64, requires_grad=True)
    with qml.Tracker(device) as tracker:
        cost(circuit(x, np.ones((2, N, 3)))).backward()
    assert tracker.totals["simulations"] == 1
    assert x.grad.abs().min() > 0


def test_the_jacobian_of_probabilities_is_that_of_default_qubit():
    weights, x = np.full((2, N, 3), 0.3), pnp.array([0.1, 0.7, -0.4], requires_grad=True)
    ours, theirs = (
        qml.jacobian(
            lambda v, device=device: node(device, qml.StronglyEntanglingLayers)(v, weights)[2]
        )(x)
        for device in (QthaCpu(wires=N), qml.device("default.qubit", wires=N))
    )
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize(
    "measured",
    [
        qml.state,
        lambda: qml.var(qml.Z(0)),
        lambda: qml.purity(wires=[0]),
        lambda: qml.expval(qml.Hermitian(np.diag([1.0, 2.0]), wires=1)),
        lambda: qml.density_matrix(wires=[1]),
    ],
    ids=["state", "var", "purity", "Hermitian", "density_matrix"],
)
def test_what_the_engine_does_not_read_default_qubit_simulates_with_its_gradients(measured):
    values = []
    for device in (QthaCpu(wires=2), qml.device("default.qubit", wires=2)):

        @qml.qnode(device)
        def circuit(angle):
            qml.RX(angle, 0)
            qml.CRX(2 * angle, wires=[0, 1])
            return measured()

        angle = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        result = circuit(angle)
        (result.abs() ** 2).sum().backward()
        values.append((result.detach().numpy(), angle.grad.item()))
    for ours, theirs in zip(*values, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_second_derivatives_are_default_qubits():
    @qml.qnode(QthaCpu(wires=1), max_diff=2)
    def circuit(angle):
        qml.RX(angle, 0)
        return qml.expval(qml.Z(0))

    second = qml.grad(qml.grad(circuit))(pnp.array(0.4, requires_grad=True))
    assert second == pytest.approx(-np.cos(0.4))


def touching(n_wires, measured=lambda: qml.expval(qml.Z(0))):
    """A tape of many wires with one turn."""
    with qml.queuing.AnnotatedQueue() as queue:
        qml.RY(0.3, 0)
        qml.Barrier(range(n_wires))
        measured()
    return qml.tape.QuantumScript.from_queue(queue)


def test_a_tape_is_ours_up_to_the_wires_that_an_engine_takes():
    assert [fits(touching(n)) for n in (24, 25)] == [True, False]
    assert [request_of_tape(touching(n)) is None for n in (24, 25)] == [False, True]
    small = touching(2, qml.probs)  # reads all wires that its device has
    assert [fits(small, qml.wires.Wires(range(n))) for n in (24, 25)] == [True, False]
    assert fits(touching(2), qml.wires.Wires(range(25)))


@pytest.mark.slow
@pytest.mark.parametrize("diff_method", ["best", "adjoint"])
def test_more_wires_than_an_engine_takes_are_default_qubits(diff_method):
    @qml.qnode(QthaCpu(wires=25), diff_method=diff_method)
    def circuit(angle):
        qml.RY(angle, 0)
        qml.Barrier(range(25))
        return qml.expval(qml.Z(0))

    angle = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    value = circuit(angle)
    value.backward()
    assert value.item() == pytest.approx(np.cos(0.4))
    assert angle.grad.item() == pytest.approx(-np.sin(0.4))


def left_out_on_the_page(shots: str) -> dict[frozenset[str], int]:
    """Declared omissions from PennyLane's suite.

    Reasons in its words, and tests that have one of them.
    """
    page = CHECKOUT / "docs" / "howto" / "noise_and_hardware.md"
    rows = [line.split("|")[1:] for line in page.read_text().splitlines() if line.startswith("| `")]
    column = {"None": 1, "20000": 2}[shots]
    return {frozenset(re.findall("`([^`]+)`", row[0])): int(row[column]) for row in rows}


def left_out(output: str) -> Counter[str]:
    """Tests that pytest skipped or expected to fail, by reason."""
    reasons = Counter(re.findall(r"^XFAIL \S+ - (.+)$", output, re.MULTILINE))
    for number, reason in re.findall(r"^SKIPPED \[(\d+)\] \S+: (.+)$", output, re.MULTILINE):
        reasons[reason] += int(number)
    return reasons


@pytest.mark.slow
@pytest.mark.parametrize("shots", ["None", "20000"])
def test_pennylanes_own_tests_of_devices_pass(shots):
    """The suite that PennyLane has for plugins, over `qml.device("qtha.cpu")`."""
    tests = Path(qml.__file__).parent / "devices" / "tests"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(tests), "--device=qtha.cpu", f"--shots={shots}", "-q",
         "--no-flaky-report", "-p", "no:cacheprovider", "-p", "no:xdist", "-rfsx"],
        capture_output=True, text=True, cwd=tests,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-3000:]
    passed = int(run.stdout.split(" passed")[0].split()[-1])
    assert passed > 300
    reasons, page = left_out(run.stdout), left_out_on_the_page(shots)
    assert set(reasons) <= {reason for words in page for reason in words}
    assert {words: sum(reasons[reason] for reason in words) for words in page} == page
