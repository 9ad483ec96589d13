"""Contenders of the simulator benchmark, each in its own process, and one case of it.

All contenders get the same arrays. The expected answer is that of PennyLane's default.qubit in
float64 for a few samples. The checked output gradient is zero for all other samples, so the
gradients of a whole batch have a known answer too.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from benchmarks import peers
from benchmarks.peers import ARRAYS, PEERS, peer_of
from qtha_lab.circuits.ansatze import build
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.engine_selection import info_of

CHECKED = 4  # samples per batch with a known answer
TOLERANCE = 1e-4  # float32, relative to the largest entry if that is above 1
PATIENCE = 240.0  # seconds for an answer of a process; imports and compilation take some
Answer = tuple[np.ndarray, np.ndarray, np.ndarray]  # values, gradients of inputs and params


class ContenderError(Refusal, RuntimeError):
    """Failure of a contender, with the reason in one sentence."""


class Problem:
    """QTHA circuit of one size, with .npy files per batch below a folder."""

    def __init__(self, n_qubits: int, n_layers: int, folder: Path):
        self.n_qubits, self.n_layers, self.folder = n_qubits, n_layers, folder
        self.random = np.random.default_rng([n_qubits, n_layers])
        self.params = self._draw(n_layers, 4, n_qubits)
        self.inputs, self.grads = self._draw(CHECKED, n_qubits), self._draw(CHECKED, n_qubits)
        self.right = self._answer()

    def case(self, samples: int) -> Path:
        """Return the folder of a batch of random samples that holds the checked ones."""
        folder = self.folder / f"{self.n_qubits}-{self.n_layers}-{samples}"
        if not folder.exists():
            folder.mkdir(parents=True)
            inputs, grads = self._draw(samples, self.n_qubits), self._draw(samples, self.n_qubits)
            sparse, rows = np.zeros_like(grads), checked_rows(samples)
            inputs[rows], sparse[rows] = self.inputs, self.grads
            for name, array in zip(ARRAYS, (inputs, self.params, grads, sparse), strict=True):
                np.save(folder / f"{name}.npy", array)
        return folder

    def compare(self, answers: Answer) -> None:
        """Raise an error if an answer differs from PennyLane's."""
        every = self.differences(answers).items()
        if wrong := [f"{name} by {by:.1e}" for name, by in every if not by <= TOLERANCE]:
            raise ContenderError(f"disagrees: {', '.join(wrong)}")

    def differences(self, answers: Answer) -> dict[str, float]:
        """Return the largest errors of values and both gradients."""
        rows = checked_rows(len(answers[0]))
        checked = (answers[0][rows], answers[1][rows], answers[2])
        names = ("values", "input gradients", "parameter gradients")
        return {
            name: float(abs(a - b).max()) / max(1.0, float(abs(b).max()))
            for name, a, b in zip(names, checked, self.right, strict=True)
        }

    def _draw(self, *shape: int) -> np.ndarray:
        return self.random.uniform(-np.pi, np.pi, shape).astype(np.float32)

    def _answer(self) -> Answer:
        arrays = (self.inputs, self.params.reshape(-1), self.grads)
        inputs, params, grads = (torch.from_numpy(array).double() for array in arrays)
        inputs.requires_grad_(), params.requires_grad_()
        circuit = build("qtha", self.n_qubits, self.n_layers)
        values = expval_z(circuit, inputs, params, engine="device:default.qubit")
        of_inputs, of_params = torch.autograd.grad(values, (inputs, params), grads)
        shaped = of_params.reshape(self.params.shape)
        return values.detach().numpy(), of_inputs.numpy(), shaped.numpy()


def checked_rows(samples: int) -> np.ndarray:
    """Return the positions of the checked samples, the first and last of the batch included."""
    return np.linspace(0, samples - 1, CHECKED).round().astype(int)


class Contender:
    """An engine of ours or a peer, in a process that is idle while others compute.

    Raises:
        ContenderError: In every method, if the process does not start, fails, ends or is too slow.
    """

    def __init__(self, name: str, threads: int, patience: float = PATIENCE):
        self.name, is_peer = name, name in PEERS
        if not is_peer:
            info_of(name)  # refuses an unknown one
        is_ours = not name.startswith("device:") or name == "device:default.qubit"
        self.is_batched = PEERS[name].is_batched if is_peer else is_ours
        self.threads, self.patience = str(threads), patience
        self._process: subprocess.Popen | None = None
        self.versions = self._start() if is_peer else {}
        version = next(iter(self.versions.values()), "")
        self.title = f"{PEERS[name].title} {version}".strip() if is_peer else f"`{name}`"

    @property
    def process(self) -> int:
        if self._process is None:
            self._start()
        return self._process.pid

    def prepare(self, problem: Problem, samples: int) -> None:
        size = {"n_qubits": problem.n_qubits, "n_layers": problem.n_layers}
        self._ask("prepare", **size, folder=str(problem.case(samples)))

    def time(self, kind: str) -> float:
        """Return the seconds of one forward or backward, by the clock of the process."""
        return self._ask("time", kind=kind)["seconds"]

    def check(self) -> Answer:
        """Return values and both gradients for the sparse output gradients."""
        with tempfile.TemporaryDirectory() as folder:
            self._ask("check", folder=folder)
            return tuple(np.load(Path(folder, f"result-{i}.npy")) for i in range(3))

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._stderr.close()
            self._process = None

    def _start(self) -> dict[str, str]:
        """Start the process, and return the versions of its packages."""
        self._stderr: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python_of(self.name), peers.__file__, self.name, self.threads],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"OMP_NUM_THREADS": self.threads, "JAX_PLATFORMS": "cpu"},
        )
        try:
            return self._ask("start")["versions"]
        except ContenderError:
            self.close()
            raise

    def _ask(self, request: str, **details: Any) -> dict[str, Any]:
        if self._process is None:
            self._start()
        process = self._process
        watch = threading.Timer(self.patience, process.kill)
        watch.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps({"do": request, **details}), file=process.stdin, flush=True)
            line = process.stdout.readline()
        finally:
            watch.cancel()
        answer = json.loads(line) if line else {"error": self._last_line()}
        if not line:
            self.close()
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer

    def _last_line(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        reason = lines[-1][:200] if lines else f"killed, or no answer for {self.patience:g} s"
        return f"its process ended: {reason}"


def python_of(name: str) -> Path | None:
    """Return the Python that has a contender; None if `make peers` has not built it."""
    if not (environment := peer_of(name).environment):
        return Path(sys.executable)
    tail = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python = paths.CHECKOUT / f".venv-{environment}" / tail
    return python if python.exists() else None


def open_peers(
    names: Iterable[str], threads: int, patience: float = PATIENCE
) -> tuple[list[Contender], dict[str, str]]:
    """Start peers; return them, and the reason why others are missing by name."""
    opened, missing, names = [], {}, [name for name in names if name != "none"]
    for name in names:
        if name not in PEERS:
            raise unknown("peer", name, PEERS)
    for name in names:
        try:
            if python_of(name) is None:
                raise ContenderError("no environment; `make peers` builds it")
            opened.append(Contender(name, threads, patience))
        except (ContenderError, OSError) as wrong:
            missing[name] = str(wrong)
    return opened, missing
