"""Engines: known answers, PennyLane as oracle, derivatives, shapes, refusals, costs."""

import concurrent.futures
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import assert_agree, circuits
from support.refusals import refused
from torch.utils.checkpoint import checkpoint

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze, z_pairs
from qtha_lab.simulators import (
    check_engine,
    engine_names,
    estimate,
    explain,
    expval,
    expval_z,
    probs,
)

ENGINES = [name for name in engine_names() if name != "auto"]
FAST = [name for name in ENGINES if not name.startswith("device:")]
NONE = torch.empty(0, dtype=torch.float64)


def _strings(circuit, inputs, params, engine):
    """All Z_i and Z_i Z_j, and one string in another basis, so two runs."""
    return expval(circuit, [*z_pairs(circuit.n_qubits), "X0"], inputs, params, engine)


# known answers


@pytest.mark.parametrize("engine", ENGINES)
def test_one_rotation_gives_the_cosine(engine):
    circuit = Circuit(1, [Gate("RY", 0, Angle.input(0))])
    inputs = torch.tensor([[0.0], [math.pi / 3], [math.pi]], dtype=torch.float64)
    values = expval_z(circuit, inputs, NONE, engine=engine)
    torch.testing.assert_close(values, torch.tensor([[1.0], [0.5], [-1.0]]).double())


@pytest.mark.parametrize("engine", ENGINES)
def test_half_of_a_bell_pair_has_expectation_0_and_x_flips(engine):
    bell = Circuit(3, [Gate("Hadamard", 0), Gate("CNOT", (0, 1)), Gate("PauliX", 2)])
    values = expval_z(bell, torch.empty(2, 0).double(), NONE, engine=engine)
    # ⟨Z⟩ = (1 - 1)/2 on both halves; X|0⟩ = |1⟩
    torch.testing.assert_close(values, torch.tensor([[0.0, 0.0, -1.0]]).double().expand(2, 3))


@pytest.mark.parametrize("engine", ENGINES)
def test_wire_0_is_the_first_output_and_controls_its_target(engine):
    circuit = Circuit(2, [Gate("RY", 0, Angle.input(0)), Gate("CRX", (0, 1), math.pi)])
    x = 0.9
    values = expval_z(circuit, torch.tensor([x], dtype=torch.float64), NONE, engine=engine)
    # qubit 0 is 1 with probability sin²(x/2), and then turns qubit 1 over
    expected = torch.tensor([math.cos(x), 1 - 2 * math.sin(x / 2) ** 2], dtype=torch.float64)
    torch.testing.assert_close(values, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_circuit_without_gates_reads_one(engine):
    values = expval_z(Circuit(2, []), torch.empty(3, 0), torch.empty(0), engine=engine)
    torch.testing.assert_close(values, torch.ones(3, 2))


# PennyLane as oracle


READS = st.sampled_from([expval_z, _strings, probs])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(circuits(), READS)
def test_fast_engines_equal_pennylane_on_any_circuit(circuit, read):
    assert_agree(circuit, FAST, read=read)


@settings(max_examples=15, deadline=None, derandomize=True, database=None)
@given(circuits(max_inputs=0), READS)
def test_fast_engines_equal_pennylane_on_any_circuit_that_starts_in_amplitudes(circuit, read):
    assert_agree(Circuit(circuit.n_qubits, circuit.gates, "amplitudes"), FAST, read=read)


@settings(max_examples=6, deadline=None, derandomize=True, database=None)
@given(circuits(), READS)
def test_pennylanes_lightning_equals_pennylane_on_any_circuit(circuit, read):
    assert_agree(circuit, ["device:lightning.qubit"], batch=2, read=read)


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize(("n_qubits", "n_layers"), [(2, 1), (5, 3)])
def test_fast_engines_equal_pennylane_on_every_ansatz(name, n_qubits, n_layers):
    for reupload in (True, False):
        assert_agree(ansatze.build(name, n_qubits, n_layers, reupload), FAST)


# derivatives


@pytest.mark.parametrize("name", ansatze.names())
def test_torch_engine_has_right_first_and_second_derivatives(name):
    circuit = ansatze.build(name, 2, 1)
    inputs = torch.rand(2, 2, dtype=torch.float64, requires_grad=True)
    params = torch.rand(circuit.n_params, dtype=torch.float64, requires_grad=True)

    def run(x, p):
        return expval_z(circuit, x, p, engine="torch")

    assert torch.autograd.gradcheck(run, (inputs, params))
    assert torch.autograd.gradgradcheck(run, (inputs, params))


@pytest.mark.parametrize("engine", ["cpu", "lightning"])
def test_compiled_engines_have_right_first_derivatives_twice_and_say_where_second_ones_are(engine):
    circuit = ansatze.build("qtha", 3, 2)
    inputs = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    params = torch.rand(circuit.n_params, dtype=torch.float64, requires_grad=True)

    def run(x, p):
        return expval_z(circuit, x, p, engine=engine)

    assert torch.autograd.gradcheck(run, (inputs, params))
    total = run(inputs, params).sum()
    once, again = (torch.autograd.grad(total, params, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)
    (gradient,) = torch.autograd.grad(total, inputs, create_graph=True)
    setting = f"Derivatives of engine '{engine}'"
    with refused(setting, "second order", remedy="engine='torch'", error=RuntimeError):
        gradient.sum().backward()


@pytest.mark.parametrize("engine", FAST)
def test_checkpointing_gives_the_same_gradients(engine):
    circuit = ansatze.build("qtha", 3, 2)
    inputs = torch.rand(5, 3)
    gradients = []
    for through in (lambda f, *a: f(*a), lambda f, *a: checkpoint(f, *a, use_reentrant=False)):
        params = torch.full((circuit.n_params,), 0.3, requires_grad=True)
        through(
            lambda x, p: expval_z(circuit, x, p, engine=engine), inputs, params
        ).sum().backward()
        gradients.append(params.grad)
    assert torch.equal(*gradients)


# shapes, dtypes, threads


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lead", [(), (1,), (2, 3), (0,), (2, 0, 3)])
def test_any_leading_shape_is_kept(engine, lead):
    circuit = ansatze.build("qtha", 3, 1)
    inputs = torch.rand(*lead, 3, requires_grad=True)
    params = torch.rand(circuit.n_params, requires_grad=True)
    values = expval_z(circuit, inputs, params, engine=engine)
    assert values.shape == (*lead, 3)
    assert values.dtype == torch.float32
    values.sum().backward()
    assert inputs.grad.shape == inputs.shape
    assert params.grad.shape == params.shape


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_and_handed_back(engine, dtype):
    circuit = ansatze.build("qtha", 3, 1)
    inputs = torch.rand(4, 3).to(dtype)
    params = torch.rand(circuit.n_params, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        values = expval_z(circuit, inputs, params, engine=engine)
    assert values.dtype == dtype
    exact = expval_z(circuit, inputs.float(), params, engine="torch")
    assert torch.allclose(values.float(), exact, atol=4e-3)
    values.sum().backward()
    assert params.grad.dtype == torch.float32


def test_results_do_not_depend_on_threads_or_on_who_calls():
    circuit = ansatze.build("qtha", 4, 2)
    inputs, params = torch.randn(1500, 4), torch.randn(circuit.n_params)

    def gradients(_=None):
        x, p = inputs.clone().requires_grad_(), params.clone().requires_grad_()
        expval_z(circuit, x, p, engine="cpu").square().sum().backward()
        return x.grad, p.grad

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = gradients()
        torch.set_num_threads(3)
        together = gradients()
    finally:
        torch.set_num_threads(before)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(gradients, range(8)))
    for result in (together, *at_once):
        assert all(torch.equal(a, b) for a, b in zip(alone, result, strict=True))


# refusals


@pytest.mark.parametrize(
    ("inputs", "params", "engine", "sentence"),
    [
        (torch.rand(2, 3), torch.rand(8), "torch", r"inputs must end in the circuit's 2 inputs, got \(2, 3\)"),
        (torch.rand(2, 2), torch.rand(7), "torch", r"params must have shape \(8,\), got \(7,\)"),
        (torch.ones(2, 2).long(), torch.rand(8), "torch", "inputs must be real floating-point"),
        ([[0.1, 0.2]], torch.rand(8), "torch", "inputs must be a tensor, got list"),
        (torch.rand(2, 2).to(torch.complex64), torch.rand(8), "lightning", "inputs must be real floating-point numbers, got torch.complex64"),
        (torch.rand(2, 2), torch.rand(8).to(torch.complex64), "device:lightning.qubit", "params must be real floating-point"),
        (torch.rand(2, 2, device="meta"), torch.rand(8), "auto", "on one device, got meta and cpu"),
        (torch.rand(2, 2), torch.rand(8), "torhc", "Unknown engine 'torhc': did you mean 'torch'?"),
        (torch.rand(2, 2), torch.rand(8), "device", "Unknown engine 'device'"),
        (torch.rand(2, 2), torch.rand(8), "device:lightning.qubits", "did you mean 'lightning.qubit'"),
        (torch.rand(2, 2), torch.rand(8), "device:qiskit.aer", "pip install pennylane-qiskit"),
    ],
)  # fmt: skip
def test_wrong_calls_are_refused_with_a_sentence(inputs, params, engine, sentence):
    with pytest.raises(ValueError, match=sentence):
        expval_z(ansatze.build("qtha", 2, 1), inputs, params, engine=engine)


def test_engines_say_how_many_qubits_they_take():
    wide = Circuit(30, [Gate("RY", 29, Angle.input(0))])
    with refused("n_qubits", "30"):
        check_engine("cpu", wide)
    with refused("n_qubits", "30 (8,589,934,592 bytes per sample)"):
        expval_z(wide, torch.rand(2, 1), torch.empty(0))


def test_a_batch_that_does_not_fit_is_refused_with_its_bytes():
    circuit = ansatze.build("qtha", 16, 1)
    inputs, params = torch.empty(1, 16).expand(10**9, 16), torch.empty(circuit.n_params)
    # three complex float32 states of 2^16 amplitudes for each of 10^9 samples
    with refused("Engine 'torch'", rule="1,572,864,000,000,000 bytes for 16 qubits"):
        expval_z(circuit, inputs, params, engine="torch")


@pytest.mark.slow
def test_numba_and_pennylane_load_when_first_used():
    code = (
        "import sys, qtha_lab.simulators, qtha_lab.circuits.ansatze as a; a.build('qtha', 3,"
        " 1).draw();print([m for m in ('numba', 'pennylane') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# which engine, and why


def test_explain_says_what_many_qubits_cost():
    reasons = {
        n: explain(ansatze.build("qtha", n, 1), 64, engines=["cpu"]).reasons["cpu"]
        for n in (13, 16)
    }
    assert "amplitudes" not in reasons[13]
    assert "; 65,536 amplitudes per sample, " in reasons[16]
    assert " MiB at work: each qubit more doubles time and memory" in reasons[16]


def test_explain_names_what_would_run_and_gives_every_engine_a_reason():
    circuit = ansatze.build("qtha", 4, 1)
    why = explain(circuit, torch.rand(3, 5, 4).bfloat16())
    assert why.engine == "cpu"
    assert set(why.reasons) == set(ENGINES)
    assert str(why).startswith(
        "engine='auto' for 15 samples of 4 qubits, bfloat16 (computed in float32) on cpu:"
    )
    assert [r.startswith("chosen: ") for r in why.reasons.values()].count(True) == 1
    assert all(r.startswith(("chosen: ", "passed over: ")) for r in why.reasons.values())


@pytest.mark.parametrize(
    ("n_qubits", "options", "engine", "passed_over", "reason"),
    [
        (4, {"device": "cuda"}, "torch", "cpu", "must be CPU tensors, got cuda"),
        (21, {}, "torch", "cpu", "n_qubits must be at most 20 for engine 'cpu', got 21"),
        (16, {"inputs": 10**7}, "cpu", "torch", "must have 15,728,640,000,000 bytes"),
        (4, {"engine": "torch"}, "torch", "cpu", "not asked for"),
        (4, {}, "cpu", "torch", "slower than cpu on CPU tensors"),
        (30, {}, "", "torch", "n_qubits must be at most 24 for engine 'torch', got 30"),
    ],
)
def test_auto_chooses_by_size_batch_and_device(n_qubits, options, engine, passed_over, reason):
    circuit = Circuit(n_qubits, [Gate("RY", n_qubits - 1, Angle.input(0))])
    why = explain(circuit, **options)
    assert why.engine == engine
    assert reason in why.reasons[passed_over]


def test_explain_counts_the_circuits_of_a_device():
    circuit = ansatze.build("qtha", 3, 1)
    why = explain(circuit, 5, "device:default.qubit(shots=100)")
    # by parameter-shift two circuits for each of 9 turns, four for each of 6 controlled ones
    line = why.reasons["device:default.qubit(shots=100)"]
    assert line.endswith("1 circuit per sample, 42 more for its gradients")
    with refused("engine", "'torhc'", remedy="'torch'"):
        explain(circuit, 5, "torhc")


# cost


@pytest.mark.parametrize("engine", ["auto", *ENGINES])
def test_estimates_grow_with_the_batch(engine):
    circuit = ansatze.build("qtha", 3, 1)
    many = estimate(circuit, 80_000, engine)  # first, so that both are read off one curve
    few = estimate(circuit, 8, engine)
    assert 0 < few.seconds < many.seconds
    assert 0 < few.bytes <= many.bytes
    assert (few.circuits, many.circuits) == (8, 80_000)
    assert few.engine == ("cpu" if engine == "auto" else engine)
    assert estimate(circuit, 0, engine).seconds == 0.0
