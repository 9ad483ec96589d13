"""Simulators on the QTHA circuit, each in its own process: `python peers.py NAME THREADS`.

Needs torch, numpy and the peer, or the package for an engine of ours. A request is a line of JSON
with the key "do" and the value start, prepare, time or check. The answer has the key "error" if it
failed. Arrays are .npy files.
"""

import functools
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ARRAYS = ("inputs", "params", "grads", "sparse_grads")
# least length of a turn: a processor that rested is slow for the first hundred milliseconds
TURN_SECONDS = 0.2
JAX_BATCH = 2048  # XLA compiles for every shape, so batches are cut into one size


def gates(n_qubits, n_layers, inputs, params):
    """Yield wires and angle of each gate: RY on one wire, CRZ on two.

    Inputs have the shape (..., n_qubits), and params (n_layers, 4, n_qubits).
    """
    for layer in range(n_layers):
        for wire in range(n_qubits):
            yield (wire,), inputs[..., wire]
        for half, step in ((0, 1), (2, -1)):
            for wire in range(n_qubits):
                yield (wire, (wire + step) % n_qubits), params[layer, half, wire]
            for wire in range(n_qubits):
                yield (wire,), params[layer, half + 1, wire]


def engine(n_qubits, n_layers, name):
    """Return the values of an engine of this package."""
    from qtha_lab.circuits.ansatze import build
    from qtha_lab.simulators import expval_z

    circuit = build("qtha", n_qubits, n_layers)
    return lambda inputs, params: expval_z(circuit, inputs, params.flatten(), engine=name)


def pennylane(n_qubits, n_layers, device, diff_method):
    """Broadcast the batch; devices without broadcasting split it into circuits."""
    import numpy as np
    import pennylane as qml
    import torch

    options = {} if device in ("default.qubit", "qtha.cpu") else {"c_dtype": np.complex64}

    @qml.qnode(
        qml.device(device, wires=n_qubits, **options), interface="torch", diff_method=diff_method
    )
    def node(inputs, params):
        for wires, angle in gates(n_qubits, n_layers, inputs, params):
            (qml.RY if len(wires) == 1 else qml.CRZ)(angle, wires)
        return [qml.expval(qml.PauliZ(i)) for i in range(n_qubits)]

    return lambda inputs, params: torch.stack(node(inputs, params), -1).to(inputs.dtype)


def torchquantum(n_qubits, n_layers):
    """Hold the batch in a QuantumDevice; shared angles of two wires have the shape (1, 1)."""
    import torchquantum as tq
    import torchquantum.functional as tqf

    measure = tq.MeasureAll(tq.PauliZ)

    def run(inputs, params):
        device = tq.QuantumDevice(n_qubits, bsz=len(inputs))
        for wires, angle in gates(n_qubits, n_layers, inputs, params):
            gate = tqf.ry if len(wires) == 1 else tqf.crz
            gate(device, wires=list(wires), params=angle.reshape(-1, 1))
        return measure(device)

    return run


def tensorcircuit(n_qubits, n_layers, backend, unrolled=True):
    """Map over the batch; on JAX, compile with XLA, with layers unrolled or as a scan."""
    import tensorcircuit as tc

    tools = tc.set_backend(backend)
    tc.set_dtype("complex64")

    def apply(circuit, layers, x, params):
        for wires, angle in gates(n_qubits, layers, x, params):
            (circuit.ry if len(wires) == 1 else circuit.crz)(*wires, theta=angle)
        return circuit.state()

    def expectations(x, params):
        if unrolled:
            state = apply(tc.Circuit(n_qubits), n_layers, x, params)
        else:
            state = tools.scan(
                lambda s, p: apply(tc.Circuit(n_qubits, inputs=s), 1, x, p[None]),
                params,
                tc.Circuit(n_qubits).state(),
            )
        # signed sums of one state: faster than one expectation_ps per wire
        chances = tools.abs(state) ** 2
        halves = [chances.reshape(2**i, 2, -1).sum((0, 2)) for i in range(n_qubits)]
        return tools.stack([half[0] - half[1] for half in halves])

    values = tools.vmap(expectations, vectorized_argnums=0)
    return _Jax(values) if backend == "jax" else values


class _Jax:
    """Compiled function of a batch, and its pullback."""

    def __init__(self, values):
        import jax
        import jax.numpy as jnp

        def with_gradients(inputs, params, grads):
            outputs, pull = jax.vjp(values, inputs, params)
            return outputs, *pull(grads)

        self.values, self.with_gradients = jax.jit(values), jax.jit(with_gradients)
        self.tensor, self.joined, self.ready = jnp.asarray, jnp.concatenate, jax.block_until_ready

    def forward(self, inputs, params):
        return self.ready([self.values(x, params) for x in self._cut(inputs)])

    def backward(self, inputs, params, grads):
        pairs = zip(self._cut(inputs), self._cut(grads), strict=True)
        results = [self.with_gradients(x, params, g) for x, g in pairs]
        outputs, of_inputs, of_params = zip(*results, strict=True)
        return self.ready((self.joined(outputs), self.joined(of_inputs), sum(of_params)))

    @staticmethod
    def _cut(array):
        return [array[i : i + JAX_BATCH] for i in range(0, len(array), JAX_BATCH)]


class Peer(NamedTuple):
    """A simulator: title, environment (empty: our own), packages, and its builder."""

    title: str
    environment: str
    packages: tuple[str, ...]
    build: Callable
    is_compiled: bool = False
    is_batched: bool = True


def _peer(title, environment, packages, build, is_compiled=False, is_batched=True, **options):
    build = functools.partial(build, **options)
    return Peer(title, environment, packages, build, is_compiled, is_batched)


_PENNYLANE = functools.partial(_peer, build=pennylane)
_LIGHTNING = {
    "packages": ("pennylane_lightning", "pennylane", "torch"),
    "diff_method": "adjoint",
    "is_batched": False,
}
_TC = functools.partial(
    _peer, environment="peers", packages=("tensorcircuit-ng", "jax", "torch"), build=tensorcircuit
)
_TQ = functools.partial(
    _peer, environment="torchquantum", packages=("torchquantum", "torch"), build=torchquantum
)
PEERS = {
    "default.qubit": _PENNYLANE(
        "PennyLane default.qubit, broadcast, backprop", "", ("pennylane", "torch"),
        device="default.qubit", diff_method="backprop",
    ),
    "lightning.qubit": _PENNYLANE(
        "PennyLane lightning.qubit, adjoint", "", device="lightning.qubit", **_LIGHTNING
    ),
    "lightning.kokkos": _PENNYLANE(
        "PennyLane lightning.kokkos, adjoint", "peers", device="lightning.kokkos", **_LIGHTNING
    ),
    "tensorcircuit-torch": _TC("TensorCircuit-NG, torch, vmap", backend="pytorch"),
    "tensorcircuit-torch-compiled": _TC(
        "TensorCircuit-NG, torch.compile, vmap", backend="pytorch", is_compiled=True
    ),
    "tensorcircuit-jax": _TC("TensorCircuit-NG, JAX, jit, scan", backend="jax", unrolled=False),
    "tensorcircuit-jax-unrolled": _TC("TensorCircuit-NG, JAX, jit, unrolled", backend="jax"),
    "torchquantum": _TQ("TorchQuantum"),
    "torchquantum-compiled": _TQ("TorchQuantum, torch.compile", is_compiled=True),
}  # fmt: skip


def peer_of(name: str) -> Peer:
    """Return a peer, or the engine of this name."""
    return PEERS.get(name) or Peer(name, "", ("torch",), functools.partial(engine, name=name))


class _Torch:
    """A torch function: values alone, or values and both gradients."""

    def __init__(self, run):
        import torch

        self.run, self.tensor = run, torch.from_numpy
        self.forward, self.grad = torch.no_grad()(run), torch.autograd.grad

    def backward(self, inputs, params, grads):
        inputs, params = (t.detach().requires_grad_() for t in (inputs, params))
        values = self.run(inputs, params)
        return values.detach(), *self.grad(values, (inputs, params), grads)


def mean_seconds(call: Callable[[], object]) -> float:
    """Return the mean seconds per call over a turn; the first call is not counted."""
    call()  # caches and threads are in the state that another contender left
    calls, start = 0, time.perf_counter()
    while True:
        call()
        calls, seconds = calls + 1, time.perf_counter() - start
        if seconds >= TURN_SECONDS:
            return seconds / calls


class Worker:
    """A peer, and the case for which it was last prepared."""

    def __init__(self, name: str, threads: int):
        self.peer, self.threads = peer_of(name), threads
        self.build = functools.lru_cache(maxsize=1)(self._build)

    def _build(self, n_qubits, n_layers):
        import torch

        built = self.peer.build(n_qubits, n_layers)
        if self.peer.is_compiled:
            built = torch.compile(built, dynamic=False)
        return built if hasattr(built, "backward") else _Torch(built)

    def start(self) -> dict:
        """Import the peer, and return its versions."""
        import torch

        torch.set_num_threads(self.threads)
        self.build(2, 1)
        versions = {name: importlib.metadata.version(name) for name in self.peer.packages}
        return {"versions": versions}

    def prepare(self, n_qubits: int, n_layers: int, folder: str) -> dict:
        """Build the circuit, and read the arrays of a case."""
        import numpy as np

        self.case = self.build(n_qubits, n_layers)
        loaded = {name: np.load(Path(folder, f"{name}.npy")) for name in ARRAYS}
        self.arrays = {name: self.case.tensor(array) for name, array in loaded.items()}
        return {}

    def time(self, kind: str) -> dict:
        """Return the seconds of one forward, or of one backward (values and both gradients)."""
        names = ARRAYS[:3] if kind == "backward" else ARRAYS[:2]
        arrays = [self.arrays[name] for name in names]
        return {"seconds": mean_seconds(functools.partial(getattr(self.case, kind), *arrays))}

    def check(self, folder: str) -> dict:
        """Write values and both gradients for `sparse_grads` as result-N.npy."""
        import numpy as np

        arrays = [self.arrays[name] for name in ("inputs", "params", "sparse_grads")]
        for number, array in enumerate(self.case.backward(*arrays)):
            np.save(Path(folder, f"result-{number}.npy"), np.asarray(array))
        return {}


def main() -> None:
    """Answer requests until standard input ends; output of libraries goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.pop(0)  # this folder, whose files would hide libraries of the same names
    threads = int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):  # XLA counts the processors on which it may run
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(sys.argv[1], threads)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except Exception as wrong:
            message = (str(wrong).splitlines() or [""])[0]
            answer = {"error": f"{type(wrong).__name__}: {message}"[:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
