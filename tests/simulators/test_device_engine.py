"""PennyLane devices by name: shots, noise, gradients, plugins, refusals."""

import concurrent.futures
import functools
import math

import numpy as np
import pennylane as qml
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import circuits
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze, to_pennylane
from qtha_lab.core import call_syntax
from qtha_lab.simulators import check_engine, expval, expval_z, probs
from qtha_lab.simulators.device import engine as device_engine
from qtha_lab.simulators.device.options import parse_engine

NONE = torch.empty(0, dtype=torch.float64)
ROTATION = Circuit(1, [Gate("RY", 0, Angle.input(0))])
# input 0 is read twice, once scaled; parameter 0 turns two gates, one of them controlled
SHARED = Circuit(
    2,
    [
        Gate("RY", 0, Angle.input(0)),
        Gate("RX", 1, Angle.input(0, scale=-0.5, offset=0.3)),
        Gate("CRX", (0, 1), Angle.param(0)),
        Gate("Rot", 0, [Angle.param(0, scale=2.0), Angle.param(1), Angle.const(0.4)]),
        Gate("CPhase", (1, 0), Angle.param(1)),
        Gate("IsingXX", (0, 1), Angle.input(1)),
    ],
)


def _angle(x):
    return torch.tensor([x], dtype=torch.float64)


def _gradients(circuit, engine, inputs, params, weights):
    x, p = inputs.clone().requires_grad_(), params.clone().requires_grad_()
    (expval_z(circuit, x, p, engine) * weights).sum().backward()
    return x.grad, p.grad


# noise: known answers


@pytest.mark.parametrize(("chance", "gates"), [(0.1, 1), (0.1, 2), (1.0, 1)])
def test_depolarizing_shrinks_by_its_chance_for_every_gate(chance, gates):
    circuit = Circuit(1, [Gate("RY", 0, Angle.input(0, scale=1 / gates))] * gates)
    values = expval_z(circuit, _angle(0.7), NONE, f"device:default.mixed(depolarizing_1q={chance})")
    # with the chance p a gate leaves the qubit fully mixed, where ⟨Z⟩ = 0
    assert values.item() == pytest.approx((1 - chance) ** gates * math.cos(0.7))


def test_depolarizing_of_two_qubits_spares_the_others_and_mixes_both():
    circuit = Circuit(3, [Gate("X", 2), Gate("CNOT", (2, 1))])
    values = expval(
        circuit,
        ["Z0", "Z1", "Z2", "Z1 Z2"],
        NONE,
        NONE,
        "device:default.mixed(depolarizing_2q=0.2)",
    )
    # exact are 1, -1, -1, 1; each string on a mixed pair shrinks by 1 - 0.2
    torch.testing.assert_close(values, torch.tensor([1.0, -0.8, -0.8, 0.8]).double())


@pytest.mark.parametrize(("up", "down"), [(0.05, 0.1), (0.3, 0.0)])
def test_readout_error_maps_z_onto_a_line(up, down):
    engine = f"device:default.mixed(readout_0to1={up},readout_1to0={down})"
    # z = 1 is read as 1 - 2·up, z = -1 as -1 + 2·down, all else between
    expected = (1 - up - down) * math.cos(0.7) + (down - up)
    assert expval_z(ROTATION, _angle(0.7), NONE, engine).item() == pytest.approx(expected)
    chance_1 = (1 - expected) / 2
    values = probs(ROTATION, _angle(0.7), NONE, engine)
    torch.testing.assert_close(values, torch.tensor([1 - chance_1, chance_1]).double())


def test_wukong_counts_one_u3_between_two_cz():
    engine = "device:default.mixed(noise=wukong,shots=none)"
    rotations = [
        Gate("RY", 0, Angle.input(0, scale=0.5)),
        Gate("S", 0),
        Gate("PhaseShift", 0, -math.pi / 2),
    ]
    circuit = Circuit(2, [*rotations, Gate("RY", 0, Angle.input(0, scale=0.5)), Gate("CZ", (0, 1))])
    values = expval_z(circuit, _angle(0.7), NONE, engine)
    # the four gates on qubit 0 are one U3 (1 %), then a CZ (10 %); qubit 1 has the CZ alone;
    # read-out: z → (1 - 0.05 - 0.1) z + (0.1 - 0.05)
    expected = [0.85 * 0.99 * 0.9 * math.cos(0.7) + 0.05, 0.85 * 0.9 + 0.05]
    torch.testing.assert_close(values, torch.tensor(expected).double())


def test_noise_equals_pennylanes_own_noise_model():
    circuit = ansatze.build("qtha", 3, 1)
    params = torch.linspace(-1, 2, circuit.n_params).double()
    x = torch.tensor([0.3, -0.8, 1.2]).double()
    paulis = [qml.matrix(op(0)) for op in (qml.Identity, qml.X, qml.Y, qml.Z)]
    kraus = [
        math.sqrt(0.1 / 16 + 0.9 * (i == j == 0)) * np.kron(paulis[i], paulis[j])
        for i in range(4)
        for j in range(4)
    ]
    of_wires = [qml.BooleanFn(lambda op, n=n, **_: len(op.wires) == n) for n in (1, 2)]

    def one(op, **_):
        qml.DepolarizingChannel(0.01 * 3 / 4, wires=op.wires)  # PennyLane counts X, Y, Z only

    def two(op, **_):
        qml.QubitChannel(kraus, wires=op.wires)

    model = qml.NoiseModel({of_wires[0]: one, of_wires[1]: two})

    @functools.partial(qml.add_noise, noise_model=model)
    @qml.qnode(qml.device("default.mixed", wires=3))
    def truth():
        to_pennylane(circuit, x.numpy(), params.numpy())
        return [qml.expval(qml.Z(i)) for i in range(3)]

    engine = "device:default.mixed(depolarizing_1q=0.01,depolarizing_2q=0.1)"
    values = expval_z(circuit, x, params, engine)
    torch.testing.assert_close(values, torch.tensor(np.array(truth()), dtype=torch.float64))


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(circuits(), st.integers(0, 2**16))
def test_a_circuit_in_u3_and_cz_is_the_same_circuit(circuit, seed):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(circuit.n_inputs, dtype=torch.float64, generator=generator)
    params = torch.randn(circuit.n_params, dtype=torch.float64, generator=generator)
    values = probs(circuit, inputs, params, "device:reference.qubit(basis=u3_cz)")
    torch.testing.assert_close(values, probs(circuit, inputs, params, "torch"))


# shots


@pytest.mark.parametrize("device", ["default.qubit", "lightning.qubit", "default.mixed"])
def test_the_mean_of_shots_is_within_five_deviations(device):
    shots = 2000
    engine = f"device:{device}(shots={shots},seed=7)"
    inputs = torch.linspace(0.2, 2.8, 5, dtype=torch.float64).unsqueeze(-1)
    values = expval_z(ROTATION, inputs, NONE, engine)
    exact = inputs.cos()
    # a shot is ±1 with mean z, so its variance is 1 - z²
    assert ((values - exact).abs() <= 5 * ((1 - exact**2) / shots).sqrt()).all()
    assert torch.equal((values * shots).round(), values * shots)  # a whole number of shots
    assert torch.equal(values, expval_z(ROTATION, inputs, NONE, engine))
    other = expval_z(ROTATION, inputs, NONE, engine.replace("seed=7", "seed=8"))
    assert not torch.equal(values, other)


def test_strings_are_read_from_the_same_shots():
    bell = Circuit(2, [Gate("H", 0), Gate("CNOT", (0, 1))])
    engine = "device:default.qubit(shots=101,seed=1)"
    z0, z1, both, identity = expval(bell, ["Z0", "Z1", "Z0 Z1", "I"], NONE, NONE, engine)
    assert z0 == z1  # each shot finds both halves alike
    assert both == identity == 1


# slopes

NOISES = ["noise=wukong,shots=none", "depolarizing_1q=0.03,depolarizing_2q=0.1,readout_0to1=0.2"]


@pytest.mark.slow
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(circuits().filter(lambda c: c.n_qubits <= 3), st.sampled_from(NOISES))
def test_parameter_shift_under_noise_is_exact_for_any_circuit(circuit, noise):
    circuit = Circuit(circuit.n_qubits, circuit.gates[:5])
    generator = torch.Generator().manual_seed(3)
    inputs = torch.randn(1, circuit.n_inputs, dtype=torch.float64, generator=generator)
    params = torch.randn(circuit.n_params, dtype=torch.float64, generator=generator)
    weights = torch.linspace(-1, 2, circuit.n_qubits).double()
    engine = f"device:default.mixed({noise},gradients=parameter-shift)"
    result = _gradients(circuit, engine, inputs, params, weights)
    by_torch = _gradients(circuit, f"device:default.mixed({noise})", inputs, params, weights)
    for a, b in zip(result, by_torch, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


def test_one_sample_of_one_qubit_that_begins_with_a_phase_has_gradients_too():
    x = Angle.input(0)
    circuit = Circuit(1, [Gate("PhaseShift", 0, x), Gate("RX", 0, x), Gate("RX", 0, 0.3)])
    inputs = torch.tensor([[0.4]], dtype=torch.float64)
    weights = torch.ones(1, dtype=torch.float64)
    engine = "device:default.mixed(depolarizing_1q=0.03)"
    result = _gradients(circuit, engine, inputs, NONE, weights)[0]
    # three turns, each leaves 0.97 of ⟨Z⟩ = cos(x + 0.3); the phase acts on |0⟩ and turns nothing
    expected = -(0.97**3) * torch.sin(inputs + 0.3)
    torch.testing.assert_close(result, expected, atol=1e-9, rtol=0)


def test_gradients_from_shots_are_unbiased():
    shots, repeats = 200, 16
    inputs = torch.tensor([[0.4, -1.1]], dtype=torch.float64)
    params = torch.tensor([0.7, 2.0], dtype=torch.float64)
    weights = torch.tensor([1.0, 0.0], dtype=torch.float64)
    exact = torch.cat([t.flatten() for t in _gradients(SHARED, "torch", inputs, params, weights)])
    samples = []
    for seed in range(repeats):
        engine = f"device:default.qubit(shots={shots},seed={seed})"
        gradients = _gradients(SHARED, engine, inputs, params, weights)
        samples.append(torch.cat([t.flatten() for t in gradients]))
    samples = torch.stack(samples)
    error = samples.std(0) / repeats**0.5
    assert ((samples.mean(0) - exact).abs() < 4 * error).all()
    # x₁ enters one gate: slope (z₊ - z₋)/2, each with a variance of at most 1/shots
    assert samples.std(0)[1] < 1.5 * (2 * 0.25 / shots) ** 0.5


@pytest.mark.parametrize(
    "device",
    [
        "lightning.qubit",
        "default.mixed",
        "default.qubit(gradients=parameter-shift)",
        "default.qubit(shots=none)",
        "reference.qubit",
    ],
)
def test_exact_devices_give_exact_gradients_also_of_probabilities(device):
    inputs = torch.tensor([[0.4, -1.1]], dtype=torch.float64)
    params = torch.tensor([0.7, 2.0], dtype=torch.float64)
    weights = torch.tensor([1.0, -0.3], dtype=torch.float64)
    expected = _gradients(SHARED, "torch", inputs, params, weights)
    for a, b in zip(
        _gradients(SHARED, f"device:{device}", inputs, params, weights), expected, strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)
    grads = []
    for engine in ("torch", f"device:{device}"):
        p = params.clone().requires_grad_()
        probs(SHARED, inputs, p, engine)[:, 2].sum().backward()
        grads.append(p.grad)
    torch.testing.assert_close(*grads, atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    "engine", ["device:lightning.qubit", "device:default.mixed", "device:reference.qubit"]
)
def test_gradients_by_the_amplitudes_a_circuit_starts_in(engine):
    gates = [Gate("RX", 0, Angle.param(0)), Gate("CNOT", (0, 1)), Gate("RY", 1, Angle.param(1))]
    circuit = Circuit(2, gates, start="amplitudes")
    inputs = torch.tensor([[0.1, -0.4, 0.3, 0.9], [0.0, 2.0, 0.0, 0.0]], dtype=torch.float64)
    params = torch.tensor([0.3, -1.1], dtype=torch.float64)
    weights = torch.tensor([1.0, -0.3], dtype=torch.float64)
    expected = _gradients(circuit, "torch", inputs, params, weights)
    for a, b in zip(_gradients(circuit, engine, inputs, params, weights), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


@pytest.mark.parametrize("engine", ["device:default.mixed", "device:default.mixed(basis=u3_cz)"])
def test_gradients_are_right_where_probabilities_are_zero(engine):
    x = torch.tensor([[0.0], [0.5]], dtype=torch.float64, requires_grad=True)
    probs(ROTATION, x, NONE, engine)[:, 1].sum().backward()
    torch.testing.assert_close(x.grad, 0.5 * x.detach().sin())  # of sin²(x/2)
    if "basis" not in engine:
        start = torch.tensor([[1.0, 0.0]], dtype=torch.float64, requires_grad=True)
        expval_z(Circuit(1, [Gate("H", 0)], "amplitudes"), start, NONE, engine).sum().backward()
        # ⟨Z⟩ = 2ab/(a² + b²) of the start (a, b)
        torch.testing.assert_close(start.grad, torch.tensor([[0.0, 2.0]]).double())


def test_parameter_shift_by_amplitudes_under_noise_equals_backpropagation_of_pennylane():
    gates = [Gate("H", 0), Gate("CNOT", (0, 1)), Gate("RY", 1, Angle.param(0))]
    circuit = Circuit(2, gates, "amplitudes")
    noise = "depolarizing_1q=0.05,depolarizing_2q=0.1,readout_1to0=0.1"
    inputs = torch.tensor([[0.1, -0.4, 0.3, 0.9]], dtype=torch.float64)
    given_ = (inputs, torch.tensor([0.5]).double(), torch.tensor([1.0, -0.3]).double())
    expected, shifted = (
        _gradients(circuit, f"device:default.mixed({noise}{gradients})", *given_)
        for gradients in ("", ",gradients=parameter-shift")
    )
    for a, b in zip(shifted, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)


# a plugin of others


class Flaky(qml.devices.Device):
    """A PennyLane plugin that counts its circuits, and whose jobs can fail."""

    jobs: tuple = ()
    fails = False

    def __init__(self, wires=None, grade="a"):
        super().__init__(wires=wires)
        self.grade = grade
        self.inner = qml.device("default.qubit", wires=wires)

    def execute(self, circuits, execution_config=None):
        Flaky.jobs += (len(circuits),)
        if Flaky.fails:
            raise ConnectionError("the queue is closed")
        return tuple(self.inner.execute(circuit) for circuit in circuits)


@pytest.fixture
def flaky(tmp_path, monkeypatch):
    """Flaky, installed as a distribution would install it."""
    info = tmp_path / "plugin" / "qtha_flaky-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: qtha-flaky\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pennylane.plugins]\nqtha.flaky = {__name__}:Flaky\n")
    monkeypatch.syspath_prepend(str(info.parent))
    Flaky.jobs, Flaky.fails = (), False
    return Flaky


BATCH = torch.linspace(0.1, 2.0, 7, dtype=torch.float64).unsqueeze(-1)


def test_a_batch_is_one_job(flaky):
    values = expval_z(ROTATION, BATCH, NONE, "device:qtha.flaky")
    torch.testing.assert_close(values, BATCH.cos())
    assert flaky.jobs == (7,)


def test_a_failure_of_a_device_is_one_sentence(flaky):
    flaky.fails = True
    with refused("PennyLane device 'qtha.flaky'", "the queue is closed"):
        expval_z(ROTATION, BATCH, NONE, "device:qtha.flaky")


def test_equal_circuits_have_samples_of_their_own():
    inputs = torch.full((20, 1), 1.5, dtype=torch.float64)
    engine = "device:default.qubit(shots=50,seed=1)"
    assert len(expval_z(ROTATION, inputs, NONE, engine).unique()) > 3


def test_plugins_have_gradients_of_the_counted_cost(flaky):
    circuit = ansatze.build("qtha", 2, 1)
    x = torch.tensor([[0.3, 0.4]], dtype=torch.float64, requires_grad=True)
    params = torch.linspace(0, 1, circuit.n_params).double().requires_grad_()
    engine = "device:qtha.flaky"
    values = expval_z(circuit, x, params, engine)
    assert sum(flaky.jobs) == 1
    values.sum().backward()
    forward, backward = device_engine.circuits(circuit, Readout.z(2), engine)
    assert sum(flaky.jobs) == forward + backward
    exact = _gradients(circuit, "torch", x.detach(), params.detach(), torch.ones(2).double())
    torch.testing.assert_close((x.grad, params.grad), exact)


def test_only_the_gradients_asked_for_are_run(flaky):
    params = torch.tensor([0.7, 2.0], dtype=torch.float64)
    x = torch.tensor([0.4, -1.1], dtype=torch.float64, requires_grad=True)
    expval_z(SHARED, x, params, "device:qtha.flaky").sum().backward()
    # the inputs turn RY, RX and IsingXX, two circuits each
    assert flaky.jobs == (1, 6)


# names and refusals


def test_options_of_the_device_itself_are_handed_on(flaky):
    spec = parse_engine("device:qtha.flaky(grade=b,shots=3)")
    assert device_engine.device(spec, 2).grade == "b"
    assert (spec.options.shots, spec.own) == (3, (("grade", "b"),))


def test_a_device_with_options_is_an_option_of_a_method():
    engine = "device:default.mixed(noise=wukong,shots=50)"
    text = call_syntax.call("qtha", {"r": 4, "engine": engine})
    assert call_syntax.parse_call(text, "method") == ("qtha", {"r": 4, "engine": engine})


@pytest.mark.parametrize(
    ("engine", "setting", "value", "rule"),
    [
        ("default.qubit(shotz=3)", "option of device:default.qubit", "'shotz'", ""),
        ("default.qubit(shots=0)", "shots", "0", ""),
        ("default.qubit(shots=-5)", "shots", "-5", ""),
        ("default.qubit(shots=2.5)", "shots", "2.5", ""),
        ("default.qubit(shots=", "A device", "'default.qubit(shots='", ""),
        ("default.mixed(depolarizing_1q=1.2)", "depolarizing_1q", "1.2", ""),
        ("default.mixed(noise=wukon)", "noise", "'wukon': did you mean 'wukong'?", ""),
        ("default.qubit(noise=wukong)", "noise", "'default.qubit'", ""),
        ("lightning.qubit(readout_0to1=0.1)", "noise", "'lightning.qubit'", ""),
        ("default.mixed(cache=false)", "option of device:default.mixed", "'cache'", ""),
        ("default.qubits", "PennyLane device 'default.qubits'", "", "installed: did you mean"),
        ("ionq.qpu", "PennyLane device 'ionq.qpu'", "", "installed"),
        ("default.mixed(readout_prob=7)", "PennyLane device 'default.mixed'", "The readout error", ""),
    ],
)  # fmt: skip
def test_wrong_names_and_options_are_refused_before_anything_runs(engine, setting, value, rule):
    with refused(setting, value, rule=rule):
        check_engine(f"device:{engine}", ROTATION)


def test_a_device_that_takes_no_seed_says_so(flaky):
    with refused("seed", "1"):
        check_engine("device:qtha.flaky(seed=1)", ROTATION)


def test_what_does_not_fit_is_refused_with_its_bytes():
    wide = Circuit(20, [Gate("RY", 0, Angle.input(0))])
    # a density matrix has 4^20 complex doubles, and three are needed: 3 · 16 · 2^40
    with refused("Engine 'device:default.mixed'", "free bytes", rule="52,776,558,133,248 bytes"):
        check_engine("device:default.mixed", wide)
    with refused("start", "amplitudes"):
        check_engine("device:default.mixed(noise=wukong)", Circuit(1, [], "amplitudes"))


def test_threads_that_evaluate_circuits_at_once_get_their_own_values():
    def values(seed: int, engine: str):
        numbers = torch.Generator().manual_seed(seed)
        inputs, params = (
            torch.rand(*shape, dtype=torch.float64, generator=numbers)
            for shape in ((3, SHARED.n_inputs), (SHARED.n_params,))
        )
        return expval_z(SHARED, inputs, params, engine)

    exact = [values(seed, "torch") for seed in range(40)]
    for engine in ("device:default.qubit", "device:lightning.qubit"):
        with concurrent.futures.ThreadPoolExecutor(4) as threads:
            found = [*threads.map(functools.partial(values, engine=engine), range(40))]
        for one, other in zip(found, exact, strict=True):
            torch.testing.assert_close(one, other)
