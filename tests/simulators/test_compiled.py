"""Compiled kernels.

A damaged, missing or unwritable cache, a full disk or a broken compiler stop nothing.
"""

import ctypes
import hashlib
import itertools
import os
import pickle
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.preloaded import PYTHON

from qtha_lab.circuits import ansatze
from qtha_lab.cli.diagnosis import examine
from qtha_lab.core import paths
from qtha_lab.core.io import keyed_digest, secret_key
from qtha_lab.simulators import explain, expval_z
from qtha_lab.simulators.cpu.compiled import KEY, cache_fault, compiled, sources

CALL = """
import torch
from qtha_lab import ansatze
from qtha_lab.simulators import expval_z

circuit = ansatze.build("qtha", 3, 1)
params = torch.linspace(0, 1, circuit.n_params).requires_grad_()
values = expval_z(circuit, torch.linspace(-1, 1, 6).reshape(2, 3), params, "{engine}")
values.sum().backward()
print(*values.flatten().tolist(), *params.grad.tolist())
"""
LOADED = """
from qtha_lab.simulators.cpu import kernel as cpu_kernel
print(sum(cpu_kernel.run_blocks.stats.cache_hits.values()))
"""


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(3000))


def one_bit_flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def a_folder_in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = [emptied, cut, garbage, one_bit_flipped, a_folder_in_its_place]


def add_one(numbers):
    for i in range(len(numbers)):
        numbers[i] += 1


def kernels() -> list[Path]:
    return sorted(paths.kernels_dir().glob("*"))


def added_by_a_new_kernel() -> tuple[list[float], int]:
    """Return the kernel's result for [1, 2], and the number of loads from the cache."""
    kernel, numbers = compiled(add_one), np.array([1.0, 2.0])
    kernel(numbers)
    return numbers.tolist(), sum(kernel.stats.cache_hits.values())


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))
    return tmp_path / "cache"


@pytest.mark.slow
def test_a_kernel_is_compiled_once_and_then_loaded(cache):
    assert added_by_a_new_kernel() == ([2.0, 3.0], 0)
    assert [path.parent for path in kernels()] == [cache / "kernels"]
    assert added_by_a_new_kernel() == ([2.0, 3.0], 1)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_kernel_is_compiled_again_and_replaced(cache, damage):
    added_by_a_new_kernel()
    (file,) = kernels()
    damage(file)
    assert added_by_a_new_kernel() == ([2.0, 3.0], 0)
    assert kernels() == [file]
    if file.is_file():  # a folder stays, and the kernel is compiled each time
        assert added_by_a_new_kernel() == ([2.0, 3.0], 1)


# files that another user could have written


class Attack:
    """Creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def foreign(file: Path) -> None:
    """Give a file to another user, which only root can do."""
    if os.getuid() != 0:
        pytest.skip("only root can give a file away")
    os.chown(file, 12345, 12345, follow_symlinks=False)


def with_sha256(file: Path, payload: bytes) -> None:
    file.write_bytes(hashlib.sha256(payload).digest() + payload)


def with_key(file: Path, payload: bytes) -> None:
    """Sign with the user's own key, so that only the other checks stand in the way."""
    key = secret_key(paths.state_dir() / KEY)
    file.write_bytes(keyed_digest(key, file.name, payload) + payload)


def in_a_world_writable_folder(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    file.parent.chmod(0o777)


def in_a_foreign_folder(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    foreign(file.parent)


def world_writable(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    file.chmod(0o666)


def of_another_user(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    foreign(file)


def behind_a_link(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    file.rename(file.parent.parent / file.name)
    file.symlink_to(file.parent.parent / file.name)


def under_another_name(file: Path, payload: bytes) -> None:
    """Rename a file that the user signed: it would run as another kernel."""
    other = file.with_name("other.kernel")
    with_key(other, payload)
    other.rename(file)


def with_a_key_that_others_read(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    (paths.state_dir() / KEY).chmod(0o644)


def with_a_planted_key(file: Path, payload: bytes) -> None:
    with_key(file, payload)
    foreign(paths.state_dir() / KEY)


PLANTS = [
    with_sha256,
    in_a_world_writable_folder,
    in_a_foreign_folder,
    world_writable,
    of_another_user,
    behind_a_link,
    under_another_name,
    with_a_key_that_others_read,
    with_a_planted_key,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_pickle_is_never_loaded_and_the_kernel_is_compiled(cache, tmp_path, plant):
    added_by_a_new_kernel()
    (file,) = kernels()
    mark = tmp_path / "attacked"
    plant(file, pickle.dumps(Attack(mark)))
    assert added_by_a_new_kernel() == ([2.0, 3.0], 0)
    assert not mark.exists()


def test_the_attack_of_the_planted_pickles_works(cache, tmp_path):
    """With the user's key and permissions the same file is loaded, so the other tests prove
    something.
    """
    added_by_a_new_kernel()
    (file,) = kernels()
    with_key(file, pickle.dumps(Attack(tmp_path / "attacked")))
    assert added_by_a_new_kernel() == ([2.0, 3.0], 0)
    assert (tmp_path / "attacked").exists()


def test_a_cache_folder_that_others_may_write_to_is_closed_and_used_again(cache):
    added_by_a_new_kernel()
    paths.kernels_dir().chmod(0o777)
    assert added_by_a_new_kernel() == ([2.0, 3.0], 0)
    assert paths.kernels_dir().stat().st_mode & 0o022 == 0
    assert added_by_a_new_kernel() == ([2.0, 3.0], 1)


def test_a_key_that_is_not_private_is_named_as_the_reason_why_no_kernel_is_kept(cache):
    added_by_a_new_kernel()
    (paths.state_dir() / KEY).chmod(0o644)
    assert "kernels.key must be closed to other users, got mode 0644" in cache_fault()


# a real call, in a process of its own


def answer(code: str, engine: str = "auto", full_disk: bool = False, **env: str) -> list[float]:
    """The numbers a new process prints."""

    def no_file_grows() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = subprocess.run(
        [*(PYTHON if not full_disk else [sys.executable]), "-c", code.replace("{engine}", engine)],
        env=os.environ | env,
        preexec_fn=no_file_grows if full_disk else None,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.fixture(scope="module")
def truth() -> list[float]:
    circuit = ansatze.build("qtha", 3, 1)
    params = torch.linspace(0, 1, circuit.n_params).requires_grad_()
    values = expval_z(circuit, torch.linspace(-1, 1, 6).reshape(2, 3), params, "torch")
    values.sum().backward()
    return pytest.approx([*values.flatten().tolist(), *params.grad.tolist()], abs=1e-5)


MANY = """
import torch
from qtha_lab import ansatze
from qtha_lab.simulators import expval_z
{before}
torch.manual_seed(0)
circuit = ansatze.build("qtha", 4, 3)
inputs, params, grad = torch.randn(600, 4), torch.randn(circuit.n_params), torch.randn(600, 4)
expval_z(circuit, inputs.requires_grad_(), params.requires_grad_(), "cpu").backward(grad)
print(*inputs.grad.flatten().tolist(), *params.grad.tolist())
"""
PASSES_BEFORE = """
from benchmarks.roofline import passes_alone
passes_alone(ansatze.build("qtha", 4, 1), batch=64, threads=1)()
"""


@pytest.mark.slow
def test_what_compiles_and_what_loads_give_the_same_bits(cache):
    compiling_, *loading = (
        subprocess.run(
            [sys.executable, "-c", MANY.replace("{before}", before)],
            capture_output=True, text=True, check=True,
        ).stdout
        for before in ("", "", PASSES_BEFORE)
    )  # fmt: skip
    assert compiling_
    assert loading == [compiling_, compiling_]


IN_A_POOL = """
import torch
from qtha_lab.simulators.cpu import layout
layout.addresses, layout.POOL_FLOPS = lambda: layout.NO_TEAM, layout.TEAM_FLOPS
torch.set_num_threads(2)
"""
DOUBLES_BEFORE = """
from qtha_lab.simulators.cpu import engine
engine.run(ansatze.build("qtha", 4, 1), torch.zeros(1, 4).double(), torch.zeros(16).double(), engine.Readout.z(4))
"""


@pytest.mark.slow
def test_what_two_processes_compiled_at_once_has_the_same_bits(tmp_path, monkeypatch):
    def printed(cache: str, before: str = "") -> str:
        monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / cache))
        command = [sys.executable, "-c", MANY.replace("{before}", before)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    alone = printed("first")
    printed("second", DOUBLES_BEFORE)  # what is compiled later has other names for the linker
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "first"))
    first = {path.name: path for path in kernels()}
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "second"))
    for path in kernels():
        if path.name.startswith("run_blocks-") and path.name in first:
            shutil.copy(path, first[path.name])
    assert printed("first") == printed("first", IN_A_POOL) == alone


@pytest.mark.slow
def test_a_circuit_runs_with_every_file_of_its_cache_damaged(cache, truth):
    assert answer(CALL, engine="cpu") == truth
    whole = {path.name: path.stat().st_size for path in kernels()}
    assert any(name.startswith("run_blocks-") for name in whole)
    for path, damage in zip(kernels(), itertools.cycle(DAMAGES[:4]), strict=False):
        damage(path)
    assert answer(CALL, engine="cpu") == truth
    assert {path.name: path.stat().st_size for path in kernels()} == pytest.approx(whole, rel=0.1)
    *values, loaded = answer(CALL + LOADED, engine="cpu")
    assert (values, loaded) == (truth, 1)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["no home", "under a file"])
def test_a_circuit_runs_where_no_kernel_can_be_kept(tmp_path, monkeypatch, truth, place):
    monkeypatch.delenv("QTHA_LAB_CACHE", raising=False)
    if place == "no home":
        monkeypatch.setenv("HOME", "/proc/nohome")
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "file" / "cache"))
    assert answer(CALL, engine="cpu") == truth
    assert cache_fault()


def test_explain_and_doctor_say_that_no_kernel_can_be_kept(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    circuit = ansatze.build("qtha", 3, 1)
    assert "cannot be written to" not in explain(circuit, engines=["cpu"]).reasons["cpu"]
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "file" / "cache"))
    fault = (
        f"{paths.kernels_dir()} cannot be written to (Not a directory): "
        "every process compiles missing kernels again"
    )
    assert explain(circuit, engines=["cpu"]).reasons["cpu"].endswith(f"; {fault}")
    [finding] = [finding for finding in examine() if finding.name == "kernels"]
    assert (finding.level, finding.message) == ("note", fault)
    assert "QTHA_LAB_CACHE" in finding.mend


SENTENCES = """
from qtha_lab import ansatze
from qtha_lab.cli.diagnosis import examine
from qtha_lab.simulators import explain
print(explain(ansatze.build("qtha", 3, 1), engines=["cpu"]).reasons["cpu"])
print(*[finding.message for finding in examine() if finding.name == "kernels"])
"""


def permissions_bind() -> None:
    """Root's right to write anywhere (CAP_DAC_OVERRIDE) is lost with the next program.

    Others have none to lose.
    """
    drop_from_bounds, dac_override = 24, 1
    ctypes.CDLL(None).prctl(drop_from_bounds, dac_override, 0, 0, 0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("damage", [cut, garbage], ids=lambda damage: damage.__name__)
def test_a_cache_that_may_only_be_read_is_used_and_its_damaged_kernel_compiled_beside_it(
    cache, truth, damage
):
    assert answer(CALL, engine="cpu") == truth
    for path in kernels():
        if path.name.startswith("run_blocks-"):
            damage(path)
    content = {path: path.read_bytes() for path in kernels()}
    folder = paths.kernels_dir()
    folder.chmod(0o555)
    try:
        done = subprocess.run(
            [sys.executable, "-c", SENTENCES + (CALL + LOADED).replace("{engine}", "cpu")],
            preexec_fn=permissions_bind, capture_output=True, text=True,
        )  # fmt: skip
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    explained, examined, numbers, hits = done.stdout.splitlines()
    assert ([float(word) for word in numbers.split()], hits) == (truth, "0")
    assert {path: path.read_bytes() for path in kernels()} == content
    fault = (
        f"{folder} cannot be written to (Permission denied): a kernel that is not there is compiled"
        " anew"
    )
    assert f"; {fault}" in explained
    assert examined.startswith(fault)


@pytest.mark.slow
def test_a_circuit_runs_while_the_disk_is_full(cache, truth):
    assert answer(CALL, engine="cpu", full_disk=True) == truth
    assert kernels() == []


@pytest.fixture
def broken_numba(tmp_path, monkeypatch) -> str:
    """A numba that cannot be imported, as one that is too old for the installed numpy."""
    sentence = "Numba needs NumPy 2.0 or less"
    package = tmp_path / "packages" / "numba"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"raise ImportError({sentence!r})\n")
    path = os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    return sentence


@pytest.mark.slow
def test_auto_takes_torch_where_nothing_can_be_compiled(cache, truth, broken_numba):
    assert answer(CALL) == truth


@pytest.mark.slow
def test_auto_takes_torch_where_numba_does_not_compile_our_kernels(cache, truth):
    assert answer(CALL, NUMBA_DISABLE_JIT="1") == truth


@pytest.mark.slow
def test_explain_doctor_and_check_say_that_nothing_can_be_compiled(cache, broken_numba):
    code = """
from qtha_lab import ansatze
from qtha_lab.cli.diagnosis import examine
from qtha_lab.experiment import Experiment
from qtha_lab.simulators import explain

why = explain(ansatze.build("qtha", 3, 1))
print(why.engine, "|", why.reasons["torch"])
print(*[finding.message for finding in examine() if finding.name == "kernels"])
Experiment(method="qtha(r=3)", training={"train_rows": 16}).check()
try:
    Experiment(method="qtha(r=3,engine=cpu)", training={"train_rows": 16}).check()
except ValueError as refused:
    print(refused)
"""
    done = subprocess.run([*PYTHON, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    explained, result, refused = done.stdout.splitlines()
    sentence = f"ngine 'cpu' must compile here, got an error of numba (ImportError: {broken_numba})"
    assert explained.startswith("torch | chosen: ")
    assert all(sentence in line for line in (explained, result, refused))


def test_kernels_are_compiled_anew_when_any_of_their_sources_changes(tmp_path, monkeypatch):
    """A copy of the room: its digest is the room's, and another after a change in each file."""
    workspace = Path(sys.modules[sources.__module__].__file__).parent
    copy = tmp_path / workspace.name
    shutil.copytree(workspace, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("qtha_lab.simulators.cpu.compiled.__file__", str(copy / "compiled.py"))
    digest = sources.__wrapped__
    assert digest() == sources()
    assert (copy / "kernel.py").is_file()
    for file in copy.glob("*.py"):
        before = digest()
        file.write_text(file.read_text() + "\n# changed\n")
        assert digest() != before, file.name
