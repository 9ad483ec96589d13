"""Code for CUDA tensors, checked on machines without a card.

Engine `torch` on tensors without numbers, of device "meta": whatever would look at one, which waits
for the
card, or mix devices, fails. Engine `triton` by Triton's interpreter, in a process of its own.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.refusals import refused
from torch.utils._python_dispatch import TorchDispatchMode

from qtha_lab.circuits import Readout, ansatze, z_pairs
from qtha_lab.simulators import check_engine, expval, torch_engine
from qtha_lab.simulators.engine_selection import choose

READOUTS = [Readout.z(4), Readout.probs(), Readout("strings", ((0, 1), (3,)))]


class StaysOnTheCard(TorchDispatchMode):
    """Refuses numbers that go to the host, and tensors of the host among the operands."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        results = result if isinstance(result, (tuple, list)) else [result]
        for tensor in (r for r in results if isinstance(r, torch.Tensor)):
            assert tensor.is_meta, f"{func} gives a tensor of the host"
        return result


@pytest.mark.parametrize("name", ansatze.names())
@pytest.mark.parametrize("readout", READOUTS, ids=lambda r: f"{r.kind} {len(r.strings)}")
def test_engine_torch_computes_where_the_tensors_are_without_a_look_at_the_host(name, readout):
    circuit = ansatze.build(name, 4, 2)
    inputs = torch.empty(8, circuit.n_inputs, device="meta", requires_grad=True)
    params = torch.empty(circuit.n_params, device="meta", requires_grad=True)
    expected = torch_engine.run(circuit, inputs, params, readout)  # makes what is made once
    tables = torch_engine.tables_of(circuit, readout, inputs.device, inputs.dtype)
    with StaysOnTheCard():
        values = torch_engine.read(tables, inputs, params, readout)
        gradients = torch.autograd.grad(values.sum(), (inputs, params), allow_unused=True)
    assert values.shape == expected.shape == (8, readout.size(4))
    assert [s.shape for s in gradients if s is not None] == [inputs.shape, params.shape]


def test_the_watch_sees_a_number_that_goes_to_the_host():
    with StaysOnTheCard(), pytest.raises(AssertionError, match="gives a tensor of the host"):
        torch.tensor([1, 0])
    with pytest.raises(RuntimeError, match="meta tensors"):
        torch.ones(2, device="meta").sum().item()


def test_forward_and_backward_of_several_runs_stay_on_the_card():
    circuit = ansatze.build("qtha", 4, 1)
    inputs = torch.empty(2, 8, 4, device="meta", dtype=torch.float16)
    params = torch.empty(circuit.n_params, device="meta", requires_grad=True)
    values = expval(circuit, (*z_pairs(4), "X0"), inputs, params)
    assert (values.shape, values.dtype, values.device.type) == ((2, 8, 11), torch.float16, "meta")


# Triton


def test_triton_says_where_it_is_missing_and_what_it_takes():
    circuit = ansatze.build("qtha", 3, 1)
    if importlib.util.find_spec("triton") is None:
        with refused(rule="Triton"):
            check_engine("triton", circuit)
        assert choose("auto", circuit, Readout.z(3), device="cuda") == "torch"
    else:
        check_engine("triton", circuit)
        assert choose("auto", circuit, Readout.z(3), device="cuda") == "triton"
        with refused("n_qubits", "9"):
            check_engine("triton", ansatze.build("qtha", 9, 1))
    assert choose("auto", circuit, Readout.z(3), device="cpu") == "cpu"


SCRIPT = Path(__file__).parents[1] / "support" / "triton_kernel.py"


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed")
def test_triton_equals_torch_with_gradients_on_every_ansatz():
    environment = {"TRITON_INTERPRET": "1", "TRITON_DEFAULT_FP_FUSION": "1"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], capture_output=True, text=True, env=os.environ | environment
    )
    assert done.returncode == 0, done.stderr
    several_blocks = ["4 qubits, 130 samples", "6 qubits, 70 samples", "8 qubits, 17 samples"]
    assert done.stdout.splitlines() == [*ansatze.names(), "amplitudes", *several_blocks, "second"]


@pytest.mark.slow
@pytest.mark.skipif(not importlib.util.find_spec("triton"), reason="Triton is not installed")
@pytest.mark.parametrize("backward", [False, True])
def test_the_kernel_is_compiled_for_a_card(backward):
    code = f"from support import triton_kernel as c; print(c.compiled(16, {backward}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10_000  # bytes of machine code
