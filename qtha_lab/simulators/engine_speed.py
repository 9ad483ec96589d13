"""Timings of every engine for one circuit on this machine.

A measurement takes a few tenths of a second. `cost.estimate` predicts the cost of one engine;
`explain` states which engine "auto" selects.
"""

import dataclasses
import functools
import itertools
import time
from collections.abc import Callable

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.engine_choice import explain
from qtha_lab.simulators.engine_selection import refusal
from qtha_lab.simulators.expval import expval_z

SECONDS = 0.4  # for all engines together, after their libraries are imported
GROWTH = 8  # ratio of successive batch sizes
REPEATS = 5  # most repeats per batch; the fastest counts, since a busy machine only adds time
Points = tuple[tuple[int, float], ...]


@dataclasses.dataclass(frozen=True)
class Speed:
    """Timings of one engine for growing batches.

    Attributes:
        points: Pairs of samples and microseconds per sample, for values and both gradients. The
            last pair is the requested batch, or the largest that fits in the time. Empty if the
            engine refuses the circuit.
        reason: Reason why "auto" selects the engine, or does not.
    """

    points: Points
    reason: str

    @property
    def microseconds(self) -> float | None:
        """Microseconds per sample at the largest batch; None without timings."""
        return self.points[-1][1] if self.points else None


def speeds(circuit: Circuit, batch: int, seconds: float = SECONDS) -> dict[str, Speed]:
    """Measure every engine that runs a circuit here, on CPU tensors in float32.

    Timings are cached until `forget()`. The first use of an engine imports its libraries; that time
    is not counted.

    Args:
        circuit: Circuit to run.
        batch: Number of samples.
        seconds: Approximate total duration; a slower engine is measured at fewer samples.

    Returns:
        The timings by engine name.

    Raises:
        Refusal: If the batch is below 1.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> measured = speeds(build("qtha", n_qubits=2, n_layers=1), batch=4, seconds=0.01)
        >>> measured["cpu"].reason
        'chosen: the fastest on CPU tensors'
        >>> measured["cpu"].microseconds > 0
        True
    """
    if batch < 1:
        raise Refusal(f"batch must be 1 or more, got {batch}.")
    reasons = explain(circuit, batch).reasons
    readout = Readout.z(circuit.n_qubits)
    able = [name for name in reasons if not refusal(name, circuit, readout)]
    share = seconds / max(len(able), 1)
    threads = torch.get_num_threads()
    return {
        name: Speed(_measured(circuit, batch, name, share, threads) if name in able else (), reason)
        for name, reason in reasons.items()
    }


def forget() -> None:
    """Clear all cached timings."""
    _measured.cache_clear()


@functools.lru_cache(maxsize=1024)
def _measured(circuit: Circuit, batch: int, engine: str, seconds: float, threads: int) -> Points:
    """Time growing batches of one engine within a time limit."""
    spent, points = 0.0, []
    _timer(circuit, 1, engine)()  # imports, compiles, fills tables
    for samples in [*itertools.takewhile(lambda size: size < batch, _sizes()), batch]:
        if points and spent + points[-1][1] * samples / 1e6 > seconds:
            break
        timed, times = _timer(circuit, samples, engine), []
        while len(times) < REPEATS and (not times or sum(times) + times[-1] < seconds / 8):
            times.append(timed())
        spent += sum(times)
        points.append((samples, 1e6 * min(times) / samples))
    return tuple(points)


def _sizes():
    return (GROWTH**k for k in itertools.count())


def _timer(circuit: Circuit, samples: int, engine: str) -> Callable[[], float]:
    """Build a function that times the values and both gradients of a batch, in seconds."""
    generator = torch.Generator().manual_seed(samples)
    inputs = torch.rand(samples, circuit.n_inputs, generator=generator).requires_grad_()
    params = torch.rand(circuit.n_params, generator=generator).requires_grad_()

    def timed() -> float:
        began = time.perf_counter()
        with torch.enable_grad():
            values = expval_z(circuit, inputs, params, engine)
        torch.autograd.grad(values.sum(), (inputs, params), allow_unused=True)
        return time.perf_counter() - began

    return timed
