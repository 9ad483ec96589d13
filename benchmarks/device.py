"""A QNode on `qtha.cpu` beside the engine's own `expval_z` and PennyLane's devices, in turns.

PennyLane's own work around a QNode is in the time of every device. All agree before they are timed.
"""

import itertools
import statistics
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.machine import conditions
from benchmarks.peers import engine, pennylane
from benchmarks.reporting import Row, Show, Table, unseen
from benchmarks.timing import interval, ratio, take_turns, timed
from qtha_lab.core.errors import Refusal

DEVICES = {"qtha.cpu": "best", "default.qubit": "backprop", "lightning.qubit": "adjoint"}
OURS, ENGINE = "qtha.cpu", "expval_z"
MOST_SAMPLES = {"lightning.qubit": 64}  # it runs a batch sample by sample
KINDS = ("values", "values and gradients")
TOLERANCE = 1e-5  # PennyLane gives a batch of lightning.qubit in float32
Call = Callable[[], list[torch.Tensor]]


def bench_device(
    qubits: tuple[int, ...] = (4, 8),
    samples: tuple[int, ...] = (1, 64, 512, 2048),
    layers: int = 2,
    rounds: int = 11,
    threads: int | None = None,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time QNodes of the QTHA circuit on `qtha.cpu`, `default.qubit` and `lightning.qubit`.

    Args:
        qubits: Numbers of qubits.
        samples: Samples of a call.
        layers: Layers of the circuit.
        rounds: Counted rounds; an interval needs six.
        threads: Threads of torch and the engine; default: all.
        show: Called with the number of finished cases and of all.

    Raises:
        Refusal: If the values or gradients of two differ.
    """
    before = conditions()
    grid = list(itertools.product(qubits, samples, KINDS))
    cases = []
    for done, (n, batch, kind) in enumerate(grid):
        show(done, len(grid), f"{n} qubits, {batch:,} samples, {kind}")
        calls = _calls(n, layers, batch, kind)
        _check(calls)
        seconds = dict(zip(calls, take_turns(list(calls.values()), rounds), strict=True))
        cases.append({"case": f"{n}, {batch:,}", "kind": kind, **_figures(seconds)})
    settings = {"layers": layers, "rounds": rounds, "threads": torch.get_num_threads()}
    return {"benchmark": "device", **before, "settings": settings, "cases": cases}


def _calls(n: int, layers: int, batch: int, kind: str) -> dict[str, Call]:
    """Return the engine's and every device's call, on the same float64 numbers."""
    runs = {ENGINE: engine(n, layers, "cpu")}
    for device, method in DEVICES.items():
        if batch <= MOST_SAMPLES.get(device, batch):
            runs[device] = pennylane(n, layers, device, method)
    generator = torch.Generator().manual_seed(0)
    shapes = (batch, n), (layers, 4, n), (batch, n)
    *leaves, grads = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    for leaf in leaves:
        leaf.requires_grad_(kind != KINDS[0])

    def call(run: Callable) -> list[torch.Tensor]:
        values = run(*leaves)
        gradients = torch.autograd.grad(values, leaves, grads) if values.requires_grad else ()
        return [values.detach(), *gradients]

    return {name: lambda run=run: call(run) for name, run in runs.items()}


def _check(calls: dict[str, Call]) -> None:
    expected = calls[ENGINE]()
    for name, call in calls.items():
        off = max((a - b).abs().max().item() for a, b in zip(call(), expected, strict=True))
        if not off < TOLERANCE:
            raise Refusal(f"{name} must agree with {ENGINE}, got a difference of {off:.1e}.")


def _figures(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Return the times of each, and what the device adds to the engine within a round."""
    added = [a - b for a, b in zip(seconds[OURS], seconds[ENGINE], strict=True)]
    devices = {name: timed(times, seconds[OURS]) for name, times in seconds.items()}
    median, bounds = statistics.median(added), list(interval(added))
    return {"devices": devices, "added_seconds": median, "added_seconds_interval": bounds}


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return milliseconds of the engine and of our device, and ratios of the others."""
    settings = figures["settings"]
    caption = (
        f"QTHA circuit of {settings['layers']} layers, float64, torch interface; medians of "
        f"{settings['rounds']} rounds, 95 % intervals by ranks; {settings['threads']} thread(s)"
    )
    others = [(name, method) for name, method in DEVICES.items() if name != OURS]
    heading = ("qubits, samples", "result", "expval_z, ms", "qtha.cpu, ms", "added, ms")
    heading += tuple(f"{name} ({method}), × qtha.cpu" for name, method in others)
    return [(caption, [heading, *map(_row, figures["cases"])])]


def _row(case: dict[str, Any]) -> Row:
    devices = case["devices"]
    times = (f"{1000 * devices[name]['seconds']:,.1f}" for name in (ENGINE, OURS))
    low, high = case["added_seconds_interval"]
    bounds = f" [{1000 * low:.1f}, {1000 * high:.1f}]" if low is not None else ""
    added = f"{1000 * case['added_seconds']:.1f}{bounds}"
    others = (ratio(devices[n]) if n in devices else "–" for n in DEVICES if n != OURS)
    return (case["case"], case["kind"], *times, added, *others)
