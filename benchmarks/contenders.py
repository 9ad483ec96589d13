"""What a simulator benchmark can time: our engines here, and peers in processes of their own.

All of them are given the same arrays and asked for the same two things. Decides nothing about sizes
or turns; `benchmarks.simulators` does.
"""

import contextlib
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import torch

from benchmarks import peers as peers_
from qtha_lab.circuits.ansatze import build
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.engine_selection import engine_of

WORKER = Path(peers_.__file__).with_name("worker.py")
# of a turn at least: a processor that rested is slow for the first hundred milliseconds; as in
# `worker`
TURN_SECONDS = 0.2
PATIENCE = 240.0  # seconds for one answer of a peer, at least; imports and compilation take some

Kind = Literal["forward", "backward"]
Found = tuple[np.ndarray, np.ndarray, np.ndarray]  # values, gradients of inputs and of params


class ContenderError(Refusal, RuntimeError):
    """A contender could not do what it was asked; says why in one sentence."""


@dataclass(frozen=True)
class Peer:
    """Where a peer is: its file in `bench/peers`, and the environment that has it."""

    file: str
    environment: str | None  # None: our own
    title: str


PEERS = {
    "default.qubit": Peer(
        "pennylane_default", None, "PennyLane default.qubit, broadcast, backprop"
    ),
    "lightning.qubit": Peer("pennylane_lightning", None, "PennyLane lightning.qubit, adjoint"),
    "lightning.kokkos": Peer(
        "pennylane_lightning:kokkos", "peers", "PennyLane lightning.kokkos, adjoint"
    ),
    "deepquantum": Peer("deepquantum", "peers", "DeepQuantum"),
    "tensorcircuit-torch": Peer("tensorcircuit_torch", "peers", "TensorCircuit-NG, torch, vmap"),
    "tensorcircuit-torch-compiled": Peer(
        "tensorcircuit_torch:compiled", "peers", "TensorCircuit-NG, torch.compile, vmap"
    ),
    "tensorcircuit-jax": Peer("tensorcircuit_jax", "peers", "TensorCircuit-NG, JAX, jit, scan"),
    "tensorcircuit-jax-unrolled": Peer(
        "tensorcircuit_jax:unrolled", "peers", "TensorCircuit-NG, JAX, jit, unrolled"
    ),
    "torchquantum": Peer("torchquantum", "torchquantum", "TorchQuantum"),
    "torchquantum-compiled": Peer(
        "torchquantum:compiled", "torchquantum", "TorchQuantum, torch.compile"
    ),
}


@dataclass(frozen=True)
class Case:
    """A circuit and its arrays as .npy files in a folder, float32."""

    n_qubits: int
    n_layers: int
    samples: int
    folder: Path

    def array(self, name: str) -> np.ndarray:
        return np.load(self.folder / f"{name}.npy")


class EngineContender:
    """One of our engines, in this process, on torch's threads."""

    environment = "here"

    def __init__(self, engine: str):
        self.name = self.title = engine
        self.batched = engine_of(engine).broadcasts(engine)
        self.versions: dict[str, str] = {}
        self.process: int | str = "self"

    def prepare(self, case: Case) -> None:
        self.circuit = build("qtha", case.n_qubits, case.n_layers)
        names = ("inputs", "params", "grads", "sparse_grads")
        self.arrays = {name: torch.from_numpy(case.array(name)) for name in names}
        self.arrays["params"] = self.arrays["params"].flatten()

    def time(self, kind: Kind) -> float:
        """Seconds of values alone, or of values and both gradients.

        The mean over a turn, but for its first call.
        """
        call = self._forward if kind == "forward" else functools.partial(self._backward, "grads")
        call()  # finds caches and threads as another contender has left them
        calls, start = 0, time.perf_counter()
        while True:
            call()
            calls, seconds = calls + 1, time.perf_counter() - start
            if seconds >= TURN_SECONDS:
                return seconds / calls

    def check(self) -> Found:
        """Values and both gradients, for the sparse output gradients."""
        values, of_inputs, of_params = self._backward("sparse_grads")
        shape = (-1, 4, self.circuit.n_qubits)
        return values.numpy(), of_inputs.numpy(), of_params.reshape(shape).numpy()

    def close(self) -> None:
        self.arrays = {}

    def _forward(self) -> torch.Tensor:
        with torch.no_grad():
            return expval_z(
                self.circuit, self.arrays["inputs"], self.arrays["params"], engine=self.name
            )

    def _backward(self, grads: str) -> tuple[torch.Tensor, ...]:
        inputs, params = (self.arrays[n].detach().requires_grad_() for n in ("inputs", "params"))
        values = expval_z(self.circuit, inputs, params, engine=self.name)
        return values.detach(), *torch.autograd.grad(values, (inputs, params), self.arrays[grads])


class PeerContender:
    """A peer, in a process that waits while others compute.

    Raises:
        ContenderError: If it does not start, refuses, ends or takes too long, in every method.
    """

    def __init__(self, name: str, python: Path, threads: int, patience: float = PATIENCE):
        self.name, self.title = name, PEERS[name].title
        self.environment = PEERS[name].environment or "here"
        self.python, self.threads, self.patience = python, threads, patience
        self._process: subprocess.Popen | None = None
        self._start()

    @property
    def process(self) -> int:
        return self._process.pid if self._process else 0

    def prepare(self, case: Case) -> None:
        if self._process is None:
            self._start()
        self._ask(
            "prepare", n_qubits=case.n_qubits, n_layers=case.n_layers, dtype="float32",
            folder=str(case.folder),
        )  # fmt: skip

    def time(self, kind: Kind) -> float:
        """Seconds of values alone, or of values and both gradients, by the peer's own clock."""
        return self._ask("time", kind=kind)["seconds"]

    def check(self) -> Found:
        """Values and both gradients, for the sparse output gradients."""
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
            [self.python, WORKER, PEERS[self.name].file, threads],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr, text=True,
            env=os.environ | {"OMP_NUM_THREADS": threads, "JAX_PLATFORMS": "cpu"},
        )  # fmt: skip
        try:
            started = self._ask("start")
        except ContenderError:
            self.close()
            raise
        self.versions, self.batched = started["versions"], started["batched"]

    def _ask(self, order: str, **details: Any) -> dict[str, Any]:
        process = self._process
        watch = threading.Timer(self.patience, process.kill)
        watch.start()
        try:
            with contextlib.suppress(BrokenPipeError):
                print(json.dumps({"do": order, **details}), file=process.stdin, flush=True)
            line = process.stdout.readline()
        finally:
            watch.cancel()
        if not line:
            process.wait()
            why = f"its process ended: {self._last_words()}"
            self.close()
            raise ContenderError(why)
        answer = json.loads(line)
        if "error" in answer:
            raise ContenderError(answer["error"])
        return answer

    def _last_words(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return lines[-1][:200] if lines else f"killed, or silent for {self.patience:g} s"


Contender = EngineContender | PeerContender


def peer_python(name: str, pythons: Mapping[str, Path]) -> Path | None:
    """The Python that has a peer: as given, else that of `make peers`; None if there is none."""
    peer = PEERS[name]
    if name in pythons:
        return pythons[name]
    if peer.environment is None:
        return Path(sys.executable)
    tail = Path("Scripts/python.exe" if os.name == "nt" else "bin/python")
    roots = (Path.cwd(), paths.CHECKOUT)
    candidates = (root / f".venv-{peer.environment}" / tail for root in roots)
    return next((python for python in candidates if python.exists()), None)


def open_peers(
    names: list[str], threads: int, pythons: Mapping[str, Path], patience: float = PATIENCE
) -> tuple[list[PeerContender], dict[str, str]]:
    """Start peers, that may take `patience` seconds for an answer; also why some are missing, by
    name.

    Raises:
        ValueError: If a peer is unknown.
    """
    for name in [*names, *pythons]:
        if name not in PEERS:
            raise unknown("peer", name, PEERS)
    opened, missing = [], {}
    for name in names:
        python = peer_python(name, pythons)
        try:
            if python is None:
                raise ContenderError("no environment: `make peers` builds it")
            opened.append(PeerContender(name, python, threads, patience))
        except (ContenderError, OSError) as wrong:
            missing[name] = str(wrong)
    return opened, missing
