"""Engine `lightning`: PennyLane as oracle on any circuit and batch, readouts, starts, refusals."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import circuits
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze, z_pairs
from qtha_lab.simulators import (
    check_engine,
    estimate,
    expval,
    expval_z,
    probs,
    state,
)
from qtha_lab.simulators.lightning import engine
from qtha_lab.simulators.lightning.engine import working_bytes

HAS_KOKKOS = importlib.util.find_spec("pennylane_lightning.lightning_kokkos_ops") is not None
KOKKOS = pytest.param(
    "lightning.kokkos",
    marks=pytest.mark.skipif(not HAS_KOKKOS, reason="pennylane-lightning-kokkos is not installed"),
)
ENGINES = ["lightning", KOKKOS]
DTYPES = [(torch.float64, 1e-10), (torch.float32, 1e-5)]


def _gradients(read, inputs, params, dtype):
    """Return the read-out, and the gradients of a sum weighted by fixed numbers."""
    inputs, params = (t.to(dtype, copy=True).requires_grad_() for t in (inputs, params))
    values = read(inputs, params)
    weights = torch.cos(torch.arange(values.numel(), dtype=torch.float64)).reshape(values.shape)
    (values.double() * weights).sum().backward()
    zeros = [torch.zeros_like(t) if t.grad is None else t.grad for t in (inputs, params)]
    return [values.detach().double(), *(t.double() for t in zeros)]


def _assert_agree(circuit, read, engine, batch, oracle="device:default.qubit", seed=0):
    """1e-10 in float64; 1e-5 in float32, relative to the largest."""
    generator = torch.Generator().manual_seed(seed)
    inputs, params = (
        torch.randn(shape, dtype=torch.float64, generator=generator)
        for shape in ((batch, circuit.n_inputs), (circuit.n_params,))
    )
    truth = _gradients(lambda x, p: read(x, p, oracle), inputs, params, torch.float64)
    for dtype, bound in DTYPES:
        result = _gradients(lambda x, p: read(x, p, engine), inputs, params, dtype)
        for a, b in zip(result, truth, strict=True):
            scale = max(1.0, b.abs().max().item()) if b.numel() else 1.0
            torch.testing.assert_close(a, b, atol=bound * scale, rtol=0)


def _reads(circuit, kind):
    pairs = [*z_pairs(circuit.n_qubits), "I"]
    letters = [f"{'XYZ'[w % 3]}{w}" for w in range(circuit.n_qubits)]
    return {
        "z": lambda x, p, e: expval_z(circuit, x, p, engine=e),
        "pairs": lambda x, p, e: expval(circuit, pairs, x, p, engine=e),
        "paulis": lambda x, p, e: expval(circuit, [" ".join(letters), "Z0"], x, p, engine=e),
        "probs": lambda x, p, e: probs(circuit, x, p, engine=e),
    }[kind]


# PennyLane as oracle


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(circuits(), st.sampled_from(["z", "pairs", "paulis", "probs"]), st.sampled_from([1, 3]))
def test_equals_pennylane_on_any_circuit_and_readout(circuit, kind, batch):
    _assert_agree(circuit, _reads(circuit, kind), "lightning", batch)


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("reupload", [True, False])
def test_equals_pennylane_on_every_ansatz(name, reupload):
    circuit = ansatze.build(name, 4, 2, reupload)
    _assert_agree(circuit, _reads(circuit, "z"), "lightning", 3)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 3, 300])
def test_any_batch_equals_pennylane(engine, batch):
    circuit = ansatze.build("qtha", 4, 2)
    _assert_agree(circuit, _reads(circuit, "z"), engine, batch)


@pytest.mark.skipif(not HAS_KOKKOS, reason="pennylane-lightning-kokkos is not installed")
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_kokkos_equals_pennylane_on_any_circuit(circuit):
    _assert_agree(circuit, _reads(circuit, "z"), "lightning.kokkos", 2)


@pytest.mark.parametrize("kind", ["z", "probs"])
def test_samples_may_begin_in_amplitudes(kind):
    gates = ansatze.build("strongly_entangling", 3, 1, reupload=False).gates[3:]
    circuit = Circuit(3, gates, start="amplitudes")
    assert circuit.n_inputs == 8
    # PennyLane's own template normalises without a slope: engine torch is the oracle here
    _assert_agree(circuit, _reads(circuit, kind), "lightning", 5, oracle="torch")


def test_phases_of_strings_may_differ_by_sample():
    # ZZ(x) between Hadamards has ⟨X₀⟩ = cos x; a string of three has no gate of its own in
    # Lightning
    both = [Gate("Hadamard", 0), Gate("Hadamard", 1), Gate("IsingZZ", (0, 1), Angle.input(0))]
    x = torch.tensor([[0.0], [0.4], [2.0]], dtype=torch.float64, requires_grad=True)
    values = expval(Circuit(2, both), ["X0"], x, torch.empty(0).double(), engine="lightning")
    torch.testing.assert_close(values, x.cos())
    values.sum().backward()
    torch.testing.assert_close(x.grad, -x.detach().sin())


def test_a_circuit_of_constants_reads_the_same_for_every_sample():
    circuit = Circuit(2, [Gate("Hadamard", 0), Gate("CNOT", (0, 1))])
    none = torch.empty(0).double()
    values = expval(circuit, ["Z0", "Z0 Z1"], torch.empty(3, 0).double(), none, engine="lightning")
    torch.testing.assert_close(values, torch.tensor([[0.0, 1.0]]).double().expand(3, 2))


def test_without_inputs_gradients_of_params_add_up_over_the_batch():
    circuit = Circuit(1, [Gate("RY", 0, Angle.param(0))])
    params = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    expval_z(circuit, torch.empty(5, 0).double(), params, engine="lightning").sum().backward()
    torch.testing.assert_close(params.grad, -5 * params.detach().sin())


@pytest.mark.parametrize("keep_bytes", [0, 2**26])
def test_chunks_do_not_show(monkeypatch, keep_bytes):
    monkeypatch.setattr(engine, "CHUNK_QUBITS", 6)  # 4 samples of 4 qubits
    monkeypatch.setattr(engine, "KEEP_BYTES", keep_bytes)
    circuit = ansatze.build("strongly_entangling", 4, 2)
    _assert_agree(circuit, _reads(circuit, "z"), "lightning", 11)


def test_rounding_does_not_add_up_over_a_deep_circuit():
    # 16 layers of 24 gates; without dividing by the norm the slopes are off by more than 1e-5
    circuit = ansatze.build("qtha", 6, 16)
    _assert_agree(circuit, _reads(circuit, "z"), "lightning", 8, oracle="torch")


# derivatives


def test_first_derivatives_are_right_and_second_ones_are_elsewhere():
    circuit = ansatze.build("qtha", 3, 2)
    inputs = torch.rand(2, 3, dtype=torch.float64, requires_grad=True)
    params = torch.rand(circuit.n_params, dtype=torch.float64, requires_grad=True)

    def run(x, p):
        return expval_z(circuit, x, p, engine="lightning")

    assert torch.autograd.gradcheck(run, (inputs, params))
    (gradient,) = torch.autograd.grad(run(inputs, params).sum(), inputs, create_graph=True)
    sentence = "Derivatives of engine 'lightning' must be of first order, got second order. Use engine='torch'"
    with pytest.raises(RuntimeError, match=sentence):
        gradient.sum().backward()


def test_backward_twice_gives_the_same_gradients():
    circuit = ansatze.build("qtha", 3, 1)
    params = torch.rand(circuit.n_params, requires_grad=True)
    values = expval_z(circuit, torch.rand(7, 3), params, engine="lightning").sum()
    gradients = [torch.autograd.grad(values, params, retain_graph=True)[0] for _ in range(2)]
    assert torch.equal(*gradients)


# memory, start, refusals


def test_working_memory_does_not_grow_with_the_batch():
    circuit = ansatze.build("qtha", 8, 4)
    assert working_bytes(circuit, 10**6) == working_bytes(circuit, 10**7)
    # 2^16 amplitudes of 8 bytes, eight times, and 2^8 signs of 4 bytes for 8 wires
    assert working_bytes(circuit, 10**6) == 8 * 2**19 + 8 * 2**10
    # 2048 final states of 2^8 amplitudes are kept besides
    assert working_bytes(circuit, 2048) == 8 * 2**19 + 8 * 2**10 + 2048 * 2**11
    assert estimate(circuit, 64, "lightning").engine == "lightning"


@pytest.mark.slow
def test_it_runs_without_loading_pennylane():
    code = (
        "import sys, torch; from qtha_lab import ansatze; from qtha_lab.simulators import expval_z;"
        "c = ansatze.build('qtha', 2, 1); p = torch.rand(c.n_params, requires_grad=True);"
        "expval_z(c, torch.rand(3, 2), p, engine='lightning').sum().backward();"
        "print([m for m in ('pennylane', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("backend", ["gpu", "kokkos"])
def test_a_lightning_that_is_not_installed_is_named_with_its_package(backend):
    if importlib.util.find_spec(f"pennylane_lightning.lightning_{backend}_ops"):
        pytest.skip("it is installed")
    sentence = (
        f"'lightning.{backend}' must be installed. Run pip install pennylane-lightning-{backend}"
    )
    with pytest.raises(ValueError, match=sentence):
        check_engine(f"lightning.{backend}", ansatze.build("qtha", 2, 1))


def test_what_it_cannot_do_is_refused_with_a_sentence():
    wide = Circuit(21, [Gate("RY", 20, Angle.input(0))])
    with refused("n_qubits", "21 (16,777,216 bytes per sample)"):
        expval_z(wide, torch.rand(2, 1), torch.empty(0), engine="lightning")
    with refused("engine", "'lightning.tpu'"):
        expval_z(wide, torch.rand(2, 1), torch.empty(0), engine="lightning.tpu")
    assert state(Circuit(1, []), torch.empty(0), torch.empty(0)).shape == (2,)
