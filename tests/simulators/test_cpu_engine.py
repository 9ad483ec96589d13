"""Engine `cpu`: every readout and start against engine `torch`, bounded memory, its roofline."""

import dataclasses
import math
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_circuits import assert_agree, circuits
from support.refusals import refused

from qtha_lab.circuits import Angle, Circuit, Gate, Readout, ansatze, z_pairs
from qtha_lab.simulators import check_engine, expval, expval_z, probs

READINGS = {
    "z": expval_z,
    "pairs": lambda circuit, *rest: expval(circuit, z_pairs(circuit.n_qubits), *rest),
    "twice": lambda circuit, *rest: expval(circuit, ["Z0", "I", "Z0"], *rest),
    "x and y": lambda circuit, *rest: expval(circuit, ["X0", "Y0", "Z0"], *rest),
    "probs": probs,
}


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_every_readout_and_start_has_the_gradients_of_engine_torch(read, data):
    start = data.draw(st.sampled_from(["zero", "amplitudes"]))
    circuit = data.draw(circuits(max_inputs=0 if start == "amplitudes" else 3))
    assert_agree(Circuit(circuit.n_qubits, circuit.gates, start), ["cpu"], 3, read, "torch")


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("n_qubits", [2, 5, 7, 9])
def test_wide_circuits_have_the_gradients_of_engine_torch(name, n_qubits):
    for reupload, read in ((True, expval_z), (False, READINGS["pairs"])):
        assert_agree(ansatze.build(name, n_qubits, 2, reupload), ["cpu"], 37, read, "torch")


@pytest.mark.parametrize(
    "batch", [1, 15, 16, 17, 129, 700, 850]
)  # the last block of the last is a narrow one
def test_any_batch_is_cut_into_blocks_and_put_together(batch):
    circuit = ansatze.build("strongly_entangling", 3, 2)
    for read in (READINGS["pairs"], probs):
        assert_agree(circuit, ["cpu"], batch, read, "torch")
    assert_agree(ansatze.build("qtha", 4, 2), ["cpu"], batch, expval_z, "torch")


def test_only_states_are_left_to_engine_torch():
    circuit = Circuit(2, [], start="amplitudes")
    check_engine("cpu", circuit, Readout.probs())
    with refused("readout", "the state"):
        check_engine("cpu", circuit, Readout.state())


@pytest.mark.parametrize("n_qubits", [4, 8])  # ψ is taken where it is kept, or copied
def test_the_backward_pass_can_run_twice(n_qubits):
    circuit = ansatze.build("qtha", n_qubits, 2)
    inputs = torch.randn(40, n_qubits, requires_grad=True)
    params = torch.randn(circuit.n_params, requires_grad=True)
    values = expval_z(circuit, inputs, params, engine="cpu").square().sum()
    once, again = (
        torch.autograd.grad(values, (inputs, params), retain_graph=True) for _ in range(2)
    )
    assert all(map(torch.equal, once, again))


def test_memory_of_states_is_given_back_with_the_graph_and_taken_again():
    from qtha_lab.simulators.cpu import evaluation

    circuit = ansatze.build("qtha", 3, 1)
    params = torch.randn(circuit.n_params, requires_grad=True)
    evaluation._spare.clear()
    values = expval_z(circuit, torch.randn(20, 3), params, engine="cpu")
    assert not evaluation._spare
    del values
    (spare,) = evaluation._spare
    values = expval_z(circuit, torch.randn(20, 3), params, engine="cpu")
    assert not evaluation._spare
    values.sum().backward()
    del values
    assert evaluation._spare[0] is spare


def test_work_is_counted_by_hand():
    from benchmarks.roofline import sweep_peak, work_per_sample

    # two turns of |00⟩: four products of cosines and sines, and as many with the number before; |ψ|² is 3 operations
    # per row; the transform of four rows has two times two additions and subtractions
    circuit = Circuit(2, [Gate("RY", wire, Angle.param(wire)) for wire in (0, 1)])
    forward, backward = work_per_sample(circuit)
    assert forward.flops == 2 * 4 + 4 * 3 + 2 * 4
    # the products, two multiply-adds per pair for each slope, and 4 products and 3 sums of ψ and of λ
    assert backward.flops == 4 + 2 * 2 * 2 * 2 + 2 * 7 + 4 * 3 + 2 * 4
    # a phase of a real state is 3 operations for every row, and a turn after it one of both planes
    gates = [Gate("RZ", 0, Angle.param(2)), Gate("RY", 0, Angle.param(3))]
    later, _ = work_per_sample(Circuit(2, [*circuit.gates, *gates]))
    assert later.flops == forward.flops + 4 * 3 + 2 * 4 * 3
    # behind the last turns: 3 per row for |ψ|², then 3 per row and turn; backward 4 more of each for what λ gains
    gates = [Gate(name, wire, Angle.param(2 + wire)) for name in ("RZ", "RY") for wire in (0, 1)]
    there, back = work_per_sample(Circuit(2, [*circuit.gates, *gates]))
    assert there.flops == 2 * 4 + 4 * 3 + 4 * (3 + 2 * 3)
    assert back.flops == 34 + 4 * (4 + 4 + 4) + 4 * (3 + 2 * 3 + 4 + 2 * 4)
    assert work_per_sample(circuit, Readout.probs())[0].flops == 2 * 4 + 4 * 3
    # three turns of 8 rows at once: 4 pairs each, of both planes, 3 multiply-adds per pair, as in one and in two
    wires = range(5)
    three, two = (
        work_per_sample(
            Circuit(5, [Gate("Hadamard", w) for w in wires] + [Gate("CZ", (0, 4)), *rotations])
        )[0].flops
        for rotations in ([Gate("RX", w, Angle.param(w)) for w in wires[:n]] for n in (3, 2))
    )
    assert three - two == 16 * 2 * 2 * 3
    peak = sweep_peak(2, threads=1)
    assert min(peak) > 1e8  # any machine that runs this does more
    assert backward.seconds(peak) == max(backward.flops / peak.flops, backward.bytes / peak.bytes)


@pytest.mark.parametrize("n_qubits", [2, 3, 4, 5])
def test_z_after_rotations_or_an_entangling_gate_equals_engine_torch(n_qubits):
    circuit = ansatze.build("qtha", n_qubits, 2)
    entangled = dataclasses.replace(circuit, gates=(*circuit.gates, Gate("CNOT", (0, 1))))
    for case in (circuit, entangled):
        inputs = torch.randn(33, n_qubits, dtype=torch.float64, requires_grad=True)
        params = torch.randn(circuit.n_params, dtype=torch.float64, requires_grad=True)
        weights = torch.randn(33, n_qubits, dtype=torch.float64)
        found = []
        for engine in ("cpu", "torch"):
            values = expval_z(case, inputs, params, engine=engine)
            gradients = torch.autograd.grad(values, (inputs, params), weights)
            found.append((values.detach(), *gradients))
        for ours, theirs in zip(*found, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("half_rotations", ["none", "inputs", "params"])
def test_rotations_whose_cosines_are_all_but_zero_are_shears(half_rotations, dtype):
    circuit = ansatze.build("qtha", 4, 3)
    generator = torch.Generator().manual_seed(1)

    def drawn(name, *shape):
        wide = torch.randn(*shape, dtype=torch.float64, generator=generator)
        rotations = torch.randint(-4, 5, shape, generator=generator) * torch.pi
        return (rotations if name == half_rotations else wide).to(dtype)

    inputs, params, weights = (
        drawn("inputs", 70, 4),
        drawn("params", circuit.n_params),
        drawn("", 70, 4),
    )
    found = []
    for engine, of in (("cpu", dtype), ("torch", torch.float64)):
        data, angles = (tensor.to(of).requires_grad_() for tensor in (inputs, params))
        values = expval_z(circuit, data, angles, engine=engine)
        found.append(
            (values.detach(), *torch.autograd.grad(values, (data, angles), weights.to(of)))
        )
    bound = 1e-12 if dtype is torch.float64 else 2e-5
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours.double(), theirs, atol=bound, rtol=bound)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 3e-7)])
def test_cosines_are_right_however_large_the_angle(dtype, bound):
    circuit = Circuit(1, [Gate("RY", 0, Angle.input(0))])
    quarters = torch.arange(-9, 10, dtype=torch.float64) * math.pi / 2
    largest = 12 if dtype is torch.float64 else 7  # as quarter turns, more than a number of 32 bits
    sizes = torch.logspace(-6, largest, 300, dtype=torch.float64)
    inputs = torch.cat([quarters, sizes, -sizes]).to(dtype).unsqueeze(-1)
    values = expval_z(circuit, inputs, torch.empty(0, dtype=dtype), engine="cpu")
    torch.testing.assert_close(values.double(), inputs.double().cos(), atol=bound, rtol=0)


@pytest.mark.slow
def test_a_million_samples_need_no_more_memory_than_what_goes_in_and_out():
    code = """
import resource, torch
from qtha_lab import ansatze
from qtha_lab.simulators import expval_z

circuit = ansatze.build("qtha", 4, 4)
params = torch.rand(circuit.n_params, requires_grad=True)

def most_bytes_after(batch):
    inputs = torch.rand(batch, 4, requires_grad=True)
    expval_z(circuit, inputs, params, engine="cpu").backward(torch.ones(batch, 4))
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

print(-most_bytes_after(64) + most_bytes_after(10**6))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    one_way = 10**6 * 4 * 4  # bytes of inputs; values, their slopes and those of inputs are as many
    kept_and_workspaces = 2**24 + 2**22  # and as much again for what the allocator rounds up
    assert int(done.stdout) < 4 * one_way + 2 * kept_and_workspaces


@pytest.mark.parametrize("times", [0.3, 1.0])
def test_rotations_of_no_input_or_two_are_scaled_or_shears_too(times):
    """Cosines near zero (half rotations) of some samples are computed again for all."""
    gates = []
    for gate in ansatze.build("qtha", 4, 3).gates:
        (angle,) = gate.angles
        if angle != Angle.input(3):
            gates.append(gate)
        if angle == Angle.input(0):
            gates.append(Gate("RY", 0, Angle.input(1)))
    circuit = Circuit(4, gates)
    generator = torch.Generator().manual_seed(2)
    rotations = torch.randint(-3, 4, (40, 3), generator=generator, dtype=torch.float64)
    inputs = (times * torch.pi * rotations).requires_grad_()
    params = torch.zeros(circuit.n_params, dtype=torch.float64)
    params[::3] = torch.randn(len(params[::3]), dtype=torch.float64, generator=generator)
    weights = torch.randn(40, 4, dtype=torch.float64, generator=generator)
    found = []
    for engine in ("cpu", "torch"):
        angles = params.clone().requires_grad_()
        values = expval_z(circuit, inputs, angles, engine=engine)
        found.append((values.detach(), *torch.autograd.grad(values, (inputs, angles), weights)))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
