"""Gradients of `qtha.cpu` when forward and backward passes of several batches interleave.

PennyLane's hash of a tape prints its arrays: more than 1,000 rows print as the first and last three.
"""

import copy
import gc

import pennylane as qml
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qtha_lab.simulators.pennylane_device.device import QthaCpu

ROWS = 1_100


@st.composite
def passes(draw):
    """Batches that print alike, the order of their backward passes, and one weight each."""
    count = draw(st.integers(2, 4))
    middle = st.lists(st.floats(-3, 3), min_size=count, max_size=count)
    order = draw(st.permutations(range(count)))
    return draw(middle), draw(st.lists(st.floats(-1, 1), min_size=count, max_size=count)), order


def alike(middle: float) -> torch.Tensor:
    """A batch of zeros with one row in the middle that does not print."""
    rows = torch.zeros(ROWS, dtype=torch.float64)
    rows[ROWS // 2] = middle
    return rows.requires_grad_()


def rotations(device, measured=None):
    @qml.qnode(device)
    def circuit(angles, weight):
        qml.RY(angles, 0)
        qml.RY(weight, 0)
        return qml.apply(measured) if measured else qml.expval(qml.Z(0))

    return circuit


@pytest.mark.parametrize("shares", [False, True], ids=["own measurement", "shared measurement"])
@given(passes())
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_interleaved_passes_of_batches_that_print_alike_have_their_own_gradients(shares, drawn):
    """By <Z> = cos(x + w): the gradients are -sin(x + w) and the sum of them."""
    middles, numbers, order = drawn
    circuit = rotations(QthaCpu(wires=1), qml.expval(qml.Z(0)) if shares else None)
    batches = [alike(middle) for middle in middles]
    weights = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in numbers]
    values = [circuit(x, w) for x, w in zip(batches, weights, strict=True)]
    for k in order:
        values[k].sum().backward()
    for x, w, value in zip(batches, weights, values, strict=True):
        expected = -torch.sin(x + w).detach()
        torch.testing.assert_close(value.detach(), torch.cos(x + w).detach(), atol=1e-12, rtol=0)
        torch.testing.assert_close(x.grad, expected, atol=1e-12, rtol=0)
        torch.testing.assert_close(w.grad, expected.sum(), atol=1e-9, rtol=0)


def test_two_backward_passes_of_one_forward_pass_give_the_same_gradient():
    circuit = rotations(QthaCpu(wires=1))
    x, w = alike(0.7), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    value = circuit(x, w).sum()
    first, second = (torch.autograd.grad(value, (x, w), retain_graph=True) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, second, strict=True))


def test_a_graph_is_dropped_with_its_tape():
    device = QthaCpu(wires=1)
    circuit = rotations(device)
    w = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    values = [circuit(alike(x), w) for x in (0.1, 0.2)]
    assert len(device._graphs) == 2
    for value in values:
        value.sum().backward()
    del value, values
    circuit.construct((alike(0.0), w), {})  # a QNode keeps its last tape
    gc.collect()
    assert len(device._graphs) == 0


def test_a_copied_device_computes_its_own_graphs():
    device = QthaCpu(wires=1)
    w = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    value = rotations(device)(alike(0.3), w)
    other = copy.deepcopy(device)
    assert (len(device._graphs), len(other._graphs)) == (1, 0)
    value.sum().backward()
    again = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    rotations(other)(alike(0.3), again).sum().backward()
    torch.testing.assert_close(w.grad, again.grad)
