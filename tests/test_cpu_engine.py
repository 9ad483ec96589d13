"""Engine `cpu`: every readout and start against engine `torch`, bounded memory, its roofline."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulators import circuits

from qtha_lab import ansatze
from qtha_lab.circuits import Circuit, z_pairs
from qtha_lab.simulators import expval, expval_z, probs

READINGS = {
    "z": expval_z,
    "pairs": lambda circuit, *rest: expval(circuit, z_pairs(circuit.n_qubits), *rest),
    "twice": lambda circuit, *rest: expval(circuit, ["Z0", "I", "Z0"], *rest),
    "x and y": lambda circuit, *rest: expval(circuit, ["X0", "Y0", "Z0"], *rest),
    "probs": probs,
}


def _slopes(read, circuit, engine, batch, dtype=torch.float64):
    """What is read, and its slopes in inputs and params for random weights."""
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype)

    inputs = draw(batch, circuit.n_inputs).requires_grad_()
    params = draw(circuit.n_params).requires_grad_()
    values = read(circuit, inputs, params, engine)
    grads = torch.autograd.grad(
        (values * draw(*values.shape)).sum(), (inputs, params), materialize_grads=True
    )
    return [values.detach(), *grads]


def _assert_same(read, circuit, batch):
    truth = _slopes(read, circuit, "torch", batch)
    for dtype, bound in ((torch.float64, 1e-10), (torch.float32, 1e-5)):
        for found, expected in zip(_slopes(read, circuit, "cpu", batch, dtype), truth, strict=True):
            scale = max(1.0, expected.abs().max().item()) if expected.numel() else 1.0
            torch.testing.assert_close(found.double(), expected, atol=bound * scale, rtol=0)


@pytest.mark.parametrize("read", READINGS.values(), ids=READINGS)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_every_readout_and_start_has_the_slopes_of_engine_torch(read, data):
    start = data.draw(st.sampled_from(["zero", "amplitudes"]))
    circuit = data.draw(circuits(max_inputs=0 if start == "amplitudes" else 3))
    _assert_same(read, Circuit(circuit.n_qubits, circuit.gates, start), batch=3)


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("n_qubits", [2, 5, 7, 9])
def test_wide_circuits_have_the_slopes_of_engine_torch(name, n_qubits):
    for reupload, read in ((True, expval_z), (False, READINGS["pairs"])):
        _assert_same(read, ansatze.build(name, n_qubits, 2, reupload), batch=37)


@pytest.mark.parametrize("batch", [1, 15, 16, 17, 129, 700])
def test_any_batch_is_cut_into_blocks_and_put_together(batch):
    circuit = ansatze.build("strongly_entangling", 3, 2)
    for read in (READINGS["pairs"], probs):
        _assert_same(read, circuit, batch)


def test_only_states_are_left_to_engine_torch():
    from qtha_lab.circuits import Readout
    from qtha_lab.simulators import check_engine

    circuit = Circuit(2, [], start="amplitudes")
    check_engine("cpu", circuit, Readout.probs())
    with pytest.raises(ValueError, match="engine 'cpu' reads strings of Z and probabilities"):
        check_engine("cpu", circuit, Readout.state())


def test_work_is_counted_by_hand():
    from qtha_lab.circuits import Angle, Gate, Readout
    from qtha_lab.simulators.cpu_roofline import sweep_peak, work

    # two turns of |00⟩, of two real pairs each, 3 multiply-adds a pair; |ψ|² is 3 operations a row;
    # the transform of four rows has two times two additions and subtractions
    circuit = Circuit(2, [Gate("RY", wire, Angle.param(wire)) for wire in (0, 1)])
    forward, backward = work(circuit)
    assert forward.flops == 2 * 2 * 2 * 3 + 4 * 3 + 2 * 4
    # undone on ψ and λ, and two multiply-adds a pair for the slope
    assert backward.flops == 2 * 2 * 2 * (3 + 3 + 2) + 4 * 3 + 2 * 4
    assert work(circuit, Readout.probs())[0].flops == 2 * 2 * 2 * 3 + 4 * 3
    peak = sweep_peak(2, threads=1)
    assert min(peak) > 1e8  # any machine that runs this does more
    assert backward.seconds(peak) == max(backward.flops / peak.flops, backward.bytes / peak.bytes)
