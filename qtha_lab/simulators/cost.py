"""What an evaluation will cost before it is started: seconds, bytes, circuits.

Measured on a few samples of the very circuit, then scaled; nothing is stored on disk.
"""

import dataclasses
import functools
import time

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.engines import choose, engine_module
from qtha_lab.simulators.expval import expval_z

CALIBRATION_SECONDS = 0.3


@dataclasses.dataclass(frozen=True)
class Estimate:
    """Of one forward and backward pass on the CPU in float32: seconds, bytes, and circuits run."""

    engine: str
    circuits: int
    seconds: float
    bytes: int


def estimate(circuit: Circuit, batch: int, engine: str = "auto") -> Estimate:
    """Predict the cost of `expval_z` and its gradients for a batch.

    Args:
        circuit: What is to be run.
        batch: Samples, that is circuits.
        engine: As for `expval_z`.

    Raises:
        ValueError: If the engine cannot run the circuit.
    """
    readout = Readout.z(circuit.n_qubits)
    chosen = choose(engine, circuit, readout, "cpu", transformed=False)
    module = engine_module(chosen)
    module.check(circuit, readout, chosen)
    if batch == 0:
        return Estimate(chosen, 0, 0.0, 0)
    fixed, per_sample, kept = _calibrate(circuit, chosen, torch.get_num_threads())
    seconds = fixed + per_sample * batch
    memory = module.working_bytes(circuit, batch, chosen) + kept * batch
    return Estimate(chosen, batch, seconds, int(memory))


@functools.lru_cache(maxsize=256)
def _calibrate(circuit: Circuit, engine: str, threads: int) -> tuple[float, float, float]:
    """Seconds a call, seconds a sample, and bytes a sample that autograd keeps."""
    _measure(circuit, engine, 1)  # imports, compiles, fills tables
    together = engine_module(engine).broadcasts(engine)
    taken: list[tuple[int, float]] = []
    spent = 0.0
    for samples in (1, 64, 512, 2048, 16384) if together else (1, 4):
        if spent > CALIBRATION_SECONDS / 3 and len(taken) >= 1 + together:
            break
        seconds, kept = min(
            _measure(circuit, engine, samples) for _ in range(4 if spent < 0.02 else 1)
        )
        spent += seconds
        taken.append((samples, seconds))
    (few, short), (many, long) = taken[0], taken[-1]
    if many == few:
        return 0.0, long / many, kept / many
    per_sample = max((long - short) / (many - few), 0.0)
    return max(long - many * per_sample, 0.0), per_sample, kept / many


def _measure(circuit: Circuit, engine: str, samples: int) -> tuple[float, float]:
    """Seconds of forward and backward, and bytes autograd kept in between."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.rand(samples, circuit.n_inputs, generator=generator).requires_grad_()
    params = torch.rand(circuit.n_params, generator=generator).requires_grad_()
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    start = time.perf_counter()
    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        values = expval_z(circuit, inputs, params, engine)
    torch.autograd.grad(values.sum(), (inputs, params), allow_unused=True)
    return time.perf_counter() - start, float(sum(kept.values()))
