"""Engine `torch` on circuits whose CNOTs move turns off the wires: transforms, memory, modes."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from qtha_lab.circuits import Angle, Circuit, Gate, ansatze
from qtha_lab.simulators import expval_z, probs

# the second layer of turns acts on rows that the CNOTs have renamed, one of them by a data angle
RENAMED = Circuit(
    3,
    [
        *(Gate("RY", wire, Angle.input(wire)) for wire in range(3)),
        *(Gate("CNOT", (wire, (wire + 1) % 3)) for wire in range(3)),
        *(Gate("Rot", wire, [Angle.param(3 * wire + k) for k in range(3)]) for wire in range(3)),
        *(Gate("RY", wire, Angle.input(wire, scale=0.5)) for wire in range(3)),
    ],
)


def _draw(circuit, batch=2, dtype=torch.float64):
    generator = torch.Generator().manual_seed(4)
    inputs = torch.randn(batch, circuit.n_inputs, dtype=dtype, generator=generator)
    params = torch.randn(circuit.n_params, dtype=dtype, generator=generator)
    return inputs.requires_grad_(), params.requires_grad_()


@pytest.mark.parametrize("read", [expval_z, probs])
def test_renamed_rows_have_right_first_and_second_derivatives(read):
    def run(x, p):
        return read(RENAMED, x, p, engine="torch")

    assert torch.autograd.gradcheck(run, _draw(RENAMED))
    assert torch.autograd.gradgradcheck(run, _draw(RENAMED))


def test_renamed_rows_work_under_transforms_autocast_and_checkpointing():
    inputs, params = _draw(RENAMED, batch=4)

    def run(x, p):
        return expval_z(RENAMED, x, p, engine="torch")

    torch.testing.assert_close(torch.func.vmap(run, (0, None))(inputs, params), run(inputs, params))
    jacobian = torch.autograd.functional.jacobian(lambda p: run(inputs, p), params)
    torch.testing.assert_close(torch.func.jacrev(run, 1)(inputs, params), jacobian)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(run(inputs, params), run(inputs.detach(), params))
    plain = torch.autograd.grad(run(inputs, params).sum(), params)
    again = torch.autograd.grad(checkpoint(run, inputs, params, use_reentrant=False).sum(), params)
    assert torch.equal(*plain, *again)


@pytest.mark.parametrize("engine", ["torch", "cpu"])
@pytest.mark.parametrize("read", [expval_z, probs])
def test_what_was_first_evaluated_for_inference_can_be_trained(engine, read):
    circuit = ansatze.build("basic_entangler", 3, 3)
    inputs, params = _draw(circuit)
    with torch.inference_mode():
        before = read(circuit, inputs, params, engine=engine)
    values = read(circuit, inputs, params, engine=engine)
    values.square().sum().backward()
    torch.testing.assert_close(before.clone(), values.detach())
    assert params.grad.abs().sum() > 0
