"""Engine `cpu` on torch's threads, on threads of its own and on one: the same bits, also after a fork."""

import os
import subprocess
import sys

import pytest
import torch

from qtha_lab import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.cpu import engine, team

TWO = "torch.set_num_threads(2)"
FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import pyarrow, torch  # the first brings a thread of its allocator, which sees to forks itself
from qtha_lab import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.cpu import team

circuit = ansatze.build("qtha", 6, 4)
inputs, params = torch.rand(600, 6), torch.rand(circuit.n_params)
IN_PARENT
before = expval_z(circuit, inputs, params, engine="cpu")
assert team.available()
child = os.fork()
if not child:
    IN_CHILD
    after = expval_z(circuit, inputs, params, engine="cpu")
    os._exit(bool((after != before).any()) + 2 * team.available())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def slopes_of_many():
    """Values and both slopes of a batch that is worth several threads."""
    torch.manual_seed(0)
    circuit = ansatze.build("qtha", 6, 4)
    inputs = torch.randn(1000, 6, requires_grad=True)
    params = torch.randn(circuit.n_params, requires_grad=True)
    values = expval_z(circuit, inputs, params, engine="cpu")
    return [values, *torch.autograd.grad(values.square().sum(), (inputs, params))]


def test_the_team_a_pool_and_one_thread_give_the_same_bits(three_threads, monkeypatch):
    with_team = slopes_of_many()
    monkeypatch.setattr(team, "available", lambda: False)
    with_pool = slopes_of_many()
    torch.set_num_threads(1)
    alone = slopes_of_many()
    for a, b, c in zip(with_team, with_pool, alone, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a team of another kind")
def test_on_linux_torch_has_a_team():
    assert all(team.addresses())


@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize(("in_parent", "in_child", "code"), [(TWO, "pass", 0), ("", TWO, 2)])
def test_a_fork_leaves_the_team_of_its_parent_and_begins_one_where_there_was_none(
    in_parent, in_child, code
):
    script = FORK.replace("IN_PARENT", in_parent).replace("IN_CHILD", in_child)
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | one_thread, timeout=300, check=False
    )
    assert ended.returncode == code


def test_equal_angles_are_worked_out_once_without_gradients(monkeypatch):
    counts, plain = [], engine._shared_numbers
    monkeypatch.setattr(engine, "_shared_numbers", lambda *args: counts.append(0) or plain(*args))
    engine._numbers_of.cache_clear()
    circuit = ansatze.build("qtha", 3, 2)
    inputs, params = torch.rand(5, 3), torch.rand(circuit.n_params)
    with torch.no_grad():
        first, again = (expval_z(circuit, inputs, params, engine="cpu") for _ in range(2))
        assert torch.equal(first, again)
        assert len(counts) == 1
        params.data[0] += 1.0  # torch does not see this; a comparison of numbers does
        changed = expval_z(circuit, inputs, params, engine="cpu")
        expected = expval_z(circuit, inputs, params, engine="torch")
    assert len(counts) == 2
    torch.testing.assert_close(changed, expected)
