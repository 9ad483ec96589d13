"""Runs one peer for the benchmark: `python worker.py NAME THREADS`, a JSON line in and one out.

Stands alone: torch, numpy and the peer are all it needs. Orders are {"do": "start" | "prepare" |
"time" |
"check", …}; an answer holds "error" if something went wrong. Arrays go through .npy files.
"""

import functools
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
from pathlib import Path

TURN_SECONDS = 0.2  # of a turn at least; as in `contenders`
ARRAYS = ("inputs", "params", "grads", "sparse_grads")


class TorchRun:
    """A torch function with what the benchmark times.

    Values alone, or values and both gradients.
    """

    def __init__(self, run):
        self.run = run

    def tensor(self, array):
        import torch

        return torch.from_numpy(array)

    def forward(self, inputs, params):
        """Values, (batch, n_qubits)."""
        import torch

        with torch.no_grad():
            return self.run(inputs, params)

    def backward(self, inputs, params, grads):
        """Values and the gradients of Σ grads · values with respect to inputs and params."""
        import torch

        inputs, params = (t.detach().requires_grad_() for t in (inputs, params))
        values = self.run(inputs, params)
        return (values.detach(), *torch.autograd.grad(values, (inputs, params), grads))


class Worker:
    """One peer, and the case it was last prepared for.

    `name` may end in an option, as in "tensorcircuit_jax:unrolled"; "compiled" is for any torch
    function.
    """

    def __init__(self, name: str, threads: int):
        name, _, option = name.partition(":")
        path = Path(__file__).parent / f"{name}.py"
        spec = importlib.util.spec_from_file_location(f"peer_{path.stem}", path)
        self.peer = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.peer)
        self.options = {option: True} if option else {}
        self.threads = threads
        self.build = functools.lru_cache(maxsize=1)(self._build)

    def _build(self, *case):
        options = dict(self.options)
        compiled = options.pop("compiled", False)  # any peer that is a torch function
        built = self.peer.build(*case, **options)
        if compiled:
            import torch

            built = torch.compile(built, dynamic=False)
        return built if hasattr(built, "backward") else TorchRun(built)

    def start(self) -> dict:
        """Import the peer; which versions these are, and whether it takes a batch."""
        import torch

        torch.set_num_threads(self.threads)
        self.build(2, 1, "float32")
        return {
            "versions": {name: importlib.metadata.version(name) for name in self.peer.PACKAGES},
            "batched": not getattr(self.peer, "ONE_BY_ONE", False),
        }

    def prepare(self, n_qubits: int, n_layers: int, dtype: str, folder: str) -> dict:
        """Build the circuit and read the arrays of a case."""
        import numpy as np

        self.case = self.build(n_qubits, n_layers, dtype)
        loaded = {name: np.load(Path(folder, f"{name}.npy")) for name in ARRAYS}
        self.arrays = {name: self.case.tensor(array) for name, array in loaded.items()}
        return {}

    def time(self, kind: str) -> dict:
        """Seconds of one "forward" or "backward" (values and both gradients).

        The mean over a turn, but for its first call.
        """
        names = ("inputs", "params", "grads") if kind == "backward" else ("inputs", "params")
        arrays = [self.arrays[name] for name in names]
        call = functools.partial(getattr(self.case, kind), *arrays)
        call()  # finds caches and threads as another contender has left them
        calls, start = 0, time.perf_counter()
        while True:
            call()
            calls, seconds = calls + 1, time.perf_counter() - start
            if seconds >= TURN_SECONDS:
                return {"seconds": seconds / calls}

    def check(self, folder: str) -> dict:
        """Write values and both gradients, for `sparse_grads`, as result-N.npy.

        How long they took.
        """
        import numpy as np

        arrays = [self.arrays[name] for name in ("inputs", "params", "sparse_grads")]
        start = time.perf_counter()
        results = self.case.backward(*arrays)
        seconds = time.perf_counter() - start
        for number, array in enumerate(results):
            np.save(Path(folder, f"result-{number}.npy"), np.asarray(array))
        return {"seconds": seconds}


def main() -> None:
    """Answer orders until there are no more; whatever libraries print goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.pop(0)  # a peer's file must not stand before the library it is named after
    threads = int(sys.argv[2])
    if hasattr(os, "sched_setaffinity"):  # XLA counts the processors it may run on
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(sys.argv[1], threads)
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(worker, order.pop("do"))(**order)
        except Exception as wrong:
            message = (str(wrong).splitlines() or [""])[0]
            answer = {"error": f"{type(wrong).__name__}: {message}"[:200]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
