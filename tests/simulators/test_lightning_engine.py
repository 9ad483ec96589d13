"""Engine `lightning`: PennyLane as oracle on any circuit and batch, readouts, starts, refusals."""

import importlib.util
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import assert_agree, circuits
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze, z_pairs
from qtha_lab.simulators import check_engine, estimate, expval, expval_z, probs, state
from qtha_lab.simulators.lightning import engine
from qtha_lab.simulators.lightning.engine import working_bytes

HAS_KOKKOS = importlib.util.find_spec("pennylane_lightning.lightning_kokkos_ops") is not None
KOKKOS = pytest.param(
    "lightning.kokkos",
    marks=pytest.mark.skipif(not HAS_KOKKOS, reason="pennylane-lightning-kokkos is not installed"),
)
ENGINES = ["lightning", KOKKOS]


def _pairs(circuit, *rest):
    return expval(circuit, [*z_pairs(circuit.n_qubits), "I"], *rest)


def _paulis(circuit, *rest):
    letters = [f"{'XYZ'[w % 3]}{w}" for w in range(circuit.n_qubits)]
    return expval(circuit, [" ".join(letters), "Z0"], *rest)


# PennyLane as oracle


@settings(max_examples=30, deadline=None, derandomize=True, database=None)
@given(circuits(), st.sampled_from([expval_z, _pairs, _paulis, probs]), st.sampled_from([1, 3]))
def test_equals_pennylane_on_any_circuit_and_readout(circuit, read, batch):
    assert_agree(circuit, ["lightning"], batch, read)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("batch", [1, 3, 300])
def test_any_batch_equals_pennylane(engine, batch):
    circuit = ansatze.build("qtha", 4, 2)
    assert_agree(circuit, [engine], batch)


@pytest.mark.skipif(not HAS_KOKKOS, reason="pennylane-lightning-kokkos is not installed")
@settings(max_examples=10, deadline=None, derandomize=True, database=None)
@given(circuits())
def test_kokkos_equals_pennylane_on_any_circuit(circuit):
    assert_agree(circuit, ["lightning.kokkos"], 2)


def test_phases_of_strings_may_differ_by_sample():
    # ZZ(x) between Hadamards has ⟨X₀⟩ = cos x; a string of three has no gate of its own in
    # Lightning
    both = [Gate("Hadamard", 0), Gate("Hadamard", 1), Gate("IsingZZ", (0, 1), Angle.input(0))]
    x = torch.tensor([[0.0], [0.4], [2.0]], dtype=torch.float64, requires_grad=True)
    values = expval(Circuit(2, both), ["X0"], x, torch.empty(0).double(), engine="lightning")
    torch.testing.assert_close(values, x.cos())
    values.sum().backward()
    torch.testing.assert_close(x.grad, -x.detach().sin())


@pytest.mark.parametrize("keep_bytes", [0, 2**26])
def test_chunks_do_not_show(monkeypatch, keep_bytes):
    monkeypatch.setattr(engine, "CHUNK_QUBITS", 6)  # 4 samples of 4 qubits
    monkeypatch.setattr(engine, "KEEP_BYTES", keep_bytes)
    circuit = ansatze.build("strongly_entangling", 4, 2)
    assert_agree(circuit, ["lightning"], 11)


def test_rounding_does_not_add_up_over_a_deep_circuit():
    # 16 layers of 24 gates; without dividing by the norm the slopes are off by more than 1e-5
    circuit = ansatze.build("qtha", 6, 16)
    assert_agree(circuit, ["lightning"], 8, oracle="torch")


# derivatives


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
