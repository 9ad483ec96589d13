"""Contenders of the simulator benchmark (our engines, and peers in their own processes) and a case.

All contenders get the same arrays. The expected answer is that of PennyLane's default.qubit in
float64 for a few samples. The checked output gradient is zero for all other samples, so the
gradients of a whole batch have a known answer too.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from benchmarks import peers
from benchmarks.peers import ARRAYS, PEERS, mean_seconds
from qtha_lab.circuits.ansatze import build
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.engine_selection import engine_of

CHECKED = 4  # samples per batch with a known answer
TOLERANCE = 1e-4  # float32, relative to the largest entry if that is above 1
PATIENCE = 240.0  # seconds for an answer of a peer; imports and compilation take some
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


class EngineContender:
    """One of our engines, in this process."""

    def __init__(self, engine: str):
        self.name = self.title = engine
        self.is_batched = engine_of(engine).broadcasts(engine)
        self.versions: dict[str, str] = {}
        self.process: int | str = "self"

    def prepare(self, problem: Problem, samples: int) -> None:
        self.circuit = build("qtha", problem.n_qubits, problem.n_layers)
        folder = problem.case(samples)
        self.arrays = {n: torch.from_numpy(np.load(folder / f"{n}.npy")) for n in ARRAYS}
        self.arrays["params"] = self.arrays["params"].flatten()

    def time(self, kind: str) -> float:
        """Return the seconds of one forward, or of one backward (values and both gradients)."""
        call = self._forward if kind == "forward" else functools.partial(self._backward, "grads")
        return mean_seconds(call)

    def check(self) -> Answer:
        """Return values and both gradients for the sparse output gradients."""
        values, of_inputs, of_params = self._backward("sparse_grads")
        shape = (-1, 4, self.circuit.n_qubits)
        return values.numpy(), of_inputs.numpy(), of_params.reshape(shape).numpy()

    def close(self) -> None:
        self.arrays = {}

    def _forward(self) -> torch.Tensor:
        inputs, params = self.arrays["inputs"], self.arrays["params"]
        with torch.no_grad():
            return expval_z(self.circuit, inputs, params, engine=self.name)

    def _backward(self, grads: str) -> tuple[torch.Tensor, ...]:
        inputs, params = (self.arrays[n].detach().requires_grad_() for n in ("inputs", "params"))
        values = expval_z(self.circuit, inputs, params, engine=self.name)
        return values.detach(), *torch.autograd.grad(values, (inputs, params), self.arrays[grads])


class PeerContender:
    """A peer, in a process that is idle while others compute.

    Raises:
        ContenderError: In every method, if the peer does not start, fails, ends or is too slow.
    """

    def __init__(self, name: str, python: Path, threads: int, patience: float = PATIENCE):
        self.name, self.title, self.is_batched = name, PEERS[name].title, PEERS[name].is_batched
        self.python, self.threads, self.patience = python, threads, patience
        self._process: subprocess.Popen | None = None
        self._start()

    @property
    def process(self) -> int:
        return self._process.pid if self._process else 0

    def prepare(self, problem: Problem, samples: int) -> None:
        if self._process is None:
            self._start()
        size = {"n_qubits": problem.n_qubits, "n_layers": problem.n_layers}
        self._ask("prepare", **size, folder=str(problem.case(samples)))

    def time(self, kind: str) -> float:
        """Return the seconds of one forward or backward, by the peer's own clock."""
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

    def _start(self) -> None:
        threads = str(self.threads)
        self._stderr: IO[str] = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [self.python, peers.__file__, self.name, threads], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            env=os.environ | {"OMP_NUM_THREADS": threads, "JAX_PLATFORMS": "cpu"},
        )  # fmt: skip
        try:
            self.versions = self._ask("start")["versions"]
        except ContenderError:
            self.close()
            raise

    def _ask(self, request: str, **details: Any) -> dict[str, Any]:
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


Contender = EngineContender | PeerContender


def peer_python(name: str) -> Path | None:
    """Return the Python of `make peers` that has a peer; None if there is none."""
    if not PEERS[name].environment:
        return Path(sys.executable)
    tail = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python = paths.CHECKOUT / f".venv-{PEERS[name].environment}" / tail
    return python if python.exists() else None


def open_peers(
    names: list[str], threads: int, patience: float = PATIENCE
) -> tuple[list[PeerContender], dict[str, str]]:
    """Start peers; return them, and the reason why others are missing by name."""
    for name in names:
        if name not in PEERS:
            raise unknown("peer", name, PEERS)
    opened, missing = [], {}
    for name in names:
        if python := peer_python(name):
            try:
                opened.append(PeerContender(name, python, threads, patience))
            except (ContenderError, OSError) as wrong:
                missing[name] = str(wrong)
        else:
            missing[name] = "no environment; `make peers` builds it"
    return opened, missing
