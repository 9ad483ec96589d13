"""Code for CUDA tensors, checked on machines without a card.

Engine `torch` on tensors without numbers, of device "meta": whatever would look at one, which waits
for the card, or mix devices, fails.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from qtha_lab.circuits import Readout, ansatze, z_pairs
from qtha_lab.simulators import expval, torch_engine

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
