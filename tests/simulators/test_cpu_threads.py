"""Engine `cpu` on torch's threads, on threads of its own and on one: the same bits, also after a fork."""

import os
import subprocess
import sys
import types

import pytest
import torch

from qtha_lab.circuits import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.cpu import evaluation, kernel, layout

FORK = """
import os, sys, warnings
warnings.simplefilter("ignore")
import pyarrow, torch  # the first brings a thread of its allocator, which sees to forks itself
from qtha_lab import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.cpu import layout as team

circuit = ansatze.build("qtha", 6, 4)
inputs, params = torch.rand(600, 6), torch.rand(circuit.n_params)
torch.set_num_threads(IN_PARENT)
before = expval_z(circuit, inputs, params, engine="cpu")
assert any(team.addresses())
child = os.fork()
if not child:
    torch.set_num_threads(2)
    after = expval_z(circuit, inputs, params, engine="cpu")
    os._exit(bool((after != before).any()) + 2 * any(team.addresses()))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def threads_of_launches(monkeypatch):
    """Return the threads of each launch so far; 1 for one outside of a team."""
    launches, run_blocks = [], kernel.run_blocks

    def counted(function):
        def launched(threads, *operands):
            launches.append(threads)
            function(threads, *operands)

        return launched

    def run_alone(*operands):
        launches.append(1)
        run_blocks(*operands)

    # in `evaluation` alone: compiled functions look up the others by their names
    names = "forward", "backward", "evaluate_blocks"
    functions = {name: counted(getattr(kernel, name)) for name in names}
    functions |= {"gradients_of_params": kernel.gradients_of_params, "run_blocks": run_alone}
    monkeypatch.setattr(evaluation, "kernel", types.SimpleNamespace(**functions))
    return launches


def gradients_of_many():
    """Values and both slopes of a batch that is worth several threads."""
    torch.manual_seed(0)
    circuit = ansatze.build("qtha", 6, 4)
    inputs = torch.randn(1000, 6, requires_grad=True)
    params = torch.randn(circuit.n_params, requires_grad=True)
    values = expval_z(circuit, inputs, params, engine="cpu")
    return [values, *torch.autograd.grad(values.square().sum(), (inputs, params))]


@pytest.mark.skipif(not any(layout.addresses()), reason="torch has no team that we know of")
def test_the_team_a_pool_and_one_thread_give_the_same_bits(
    three_threads, monkeypatch, threads_of_launches
):
    with_team = gradients_of_many()
    assert threads_of_launches[-2:] == [3, 3]
    threads_of_launches.clear()
    monkeypatch.setattr(layout, "addresses", lambda: layout.NO_TEAM)
    monkeypatch.setattr(layout, "POOL_FLOPS", layout.TEAM_FLOPS)
    with_pool = gradients_of_many()
    assert set(threads_of_launches) == {1}
    assert len(threads_of_launches) >= 4
    torch.set_num_threads(1)
    alone = gradients_of_many()
    for a, b, c in zip(with_team, with_pool, alone, strict=True):
        assert torch.equal(a, b)
        assert torch.equal(a, c)


@pytest.mark.skipif(sys.platform != "linux", reason="torch has a team of another kind")
def test_on_linux_torch_has_a_team():
    assert any(layout.addresses())


def test_a_batch_too_small_for_a_second_thread_wakes_none(three_threads, threads_of_launches):
    circuit = ansatze.build("qtha", 4, 1)
    expval_z(circuit, torch.rand(64, 4), torch.rand(circuit.n_params), engine="cpu")
    assert set(threads_of_launches) == {1}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks")
@pytest.mark.parametrize(("in_parent", "code"), [(2, 0), (1, 2)])
def test_a_fork_leaves_the_team_of_its_parent_and_begins_one_where_there_was_none(in_parent, code):
    script = FORK.replace("IN_PARENT", str(in_parent))
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | one_thread, timeout=300, check=False
    )
    assert ended.returncode == code
