"""A QNode on `qtha.cpu`, `default.qubit` and `lightning.qubit`, in turns: values, and values with both gradients.

Agreement first: nobody is timed who disagrees. Each device has the gradient method that suits it, and PennyLane's
own work around a QNode is in the time of all three.
"""

import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil
import torch

from benchmarks.machine import commit, machine, package_versions
from benchmarks.reporting import pipes
from benchmarks.turns import ratio, take_turns, timed
from qtha_lab.core.errors import Refusal

METHODS = {"qtha.cpu": "best", "default.qubit": "backprop", "lightning.qubit": "adjoint"}
KINDS = {"values": False, "values and gradients": True}
TURN_SECONDS = 0.1  # of a turn at least, so that a small call is no moment of it
TOLERANCE = 1e-5  # PennyLane's torch interface gives a batch of lightning's in float32
Call = Callable[[], list[torch.Tensor]]


def bench_device(
    *,
    qubits: Sequence[int] = (4, 8, 12),
    n_layers: int = 2,
    batches: Sequence[int] = (1, 64),
    rounds: int = 11,
    on_case: Callable[[int, int, str], None] = lambda done, of, label: None,
) -> dict[str, Any]:
    """Time a QNode of torch: angles turn every wire about Y, StronglyEntanglingLayers, ⟨Z⟩ of every wire, float64.

    Args:
        qubits: Sizes of the circuit.
        n_layers: Of StronglyEntanglingLayers.
        batches: Samples of a call.
        rounds: Counted turns of every device; an interval needs six.
        on_case: Called with the cases done, their number and one in words.

    Returns:
        `machine`, `versions`, `commit`, `load`, `settings` and `cases`: each `n_qubits`, `batch`, `kind` and under
        `devices` one entry each, `label` and `method` with what `timed` says, seconds of a call, ratios to the first.

    Raises:
        Refusal: If a device's values or gradients are not those of the first.
    """
    grid = list(itertools.product(qubits, batches, KINDS))
    cases = []
    for done, (n_qubits, batch, kind) in enumerate(grid):
        label = f"{n_qubits} qubits, batch {batch:,}, {kind}"
        on_case(done, len(grid), label)
        calls = {
            name: _call(name, n_qubits, n_layers, batch, gradients=KINDS[kind]) for name in METHODS
        }
        _check(calls, label)
        cases.append(
            {"n_qubits": n_qubits, "batch": batch, "kind": kind, "devices": _timed(calls, rounds)}
        )
    return {
        "benchmark": "device",
        "machine": machine(),
        "versions": package_versions(),
        "commit": commit(),
        "load": round(psutil.getloadavg()[0], 1),
        "settings": {"n_layers": n_layers, "rounds": rounds, "dtype": "float64"},
        "cases": cases,
    }


def _call(name: str, n_qubits: int, n_layers: int, batch: int, gradients: bool) -> Call:
    """What a turn repeats: the QNode's values, (n_qubits, batch), and if asked for both gradients."""
    import pennylane as qml

    wires = range(n_qubits)

    @qml.qnode(qml.device(name, wires=n_qubits), interface="torch", diff_method=METHODS[name])
    def circuit(inputs, weights):
        qml.AngleEmbedding(inputs, wires=wires, rotation="Y")
        qml.StronglyEntanglingLayers(weights, wires=wires)
        return [qml.expval(qml.Z(wire)) for wire in wires]

    generator = torch.Generator().manual_seed(0)

    def numbers(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    leaves = [numbers(batch, n_qubits), numbers(n_layers, n_qubits, 3)]
    grads = numbers(n_qubits, batch)
    for leaf in leaves:
        leaf.requires_grad_(gradients)

    def call() -> list[torch.Tensor]:
        values = torch.stack(circuit(*leaves))
        if not gradients:
            return [values]
        return [values.detach(), *torch.autograd.grad(values, leaves, grads.to(values.dtype))]

    return call


def _check(calls: dict[str, Call], label: str) -> None:
    first, *others = calls
    expected = calls[first]()
    for name in others:
        for a, b in zip(calls[name](), expected, strict=True):
            difference = (a - b).abs().max().item()
            if not difference < TOLERANCE:
                raise Refusal(f"{name} differs from {first} by {difference:.1e}: {label}")


def _timed(calls: dict[str, Call], rounds: int) -> list[dict[str, Any]]:
    """Seconds of a call of every device; a turn is as many calls as it has room for."""
    counts = [_calls_of_a_turn(call) for call in calls.values()]
    works = [
        lambda call=call, count=count: [call() for _ in range(count)]
        for call, count in zip(calls.values(), counts, strict=True)
    ]
    turns = take_turns(works, rounds, lambda done, of: None)
    seconds = [
        [turn / count for turn in of_device] for of_device, count in zip(turns, counts, strict=True)
    ]
    return [
        {"label": name, "method": METHODS[name], **timed(of_device, seconds[0])}
        for name, of_device in zip(calls, seconds, strict=True)
    ]


def _calls_of_a_turn(call: Call) -> int:
    start = time.perf_counter()
    call()
    return max(1, round(TURN_SECONDS / (time.perf_counter() - start)))


def rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row a case: milliseconds of the first device's call, and the others' time over it."""
    first, *others = METHODS.items()
    heading = (
        "qubits, batch", "what", f"{first[0]}, ms", *(f"{n} ({m}), × that" for n, m in others),
    )  # fmt: skip
    return [
        heading,
        *(
            (
                f"{case['n_qubits']}, {case['batch']:,}",
                case["kind"],
                f"{1000 * case['devices'][0]['seconds']:,.1f}",
                *map(ratio, case["devices"][1:]),
            )
            for case in figures["cases"]
        ),
    ]


def caption(figures: dict[str, Any]) -> str:
    """What the table holds and what it was measured under."""
    settings, versions = figures["settings"], figures["versions"]
    threads = figures["machine"]["torch_threads"]
    return (
        f"A QNode of StronglyEntanglingLayers ({settings['n_layers']} layers), {settings['dtype']}, torch interface, "
        f"PennyLane {versions['pennylane']}; medians of {settings['rounds']} turns, and of ratios within one with the "
        f"interval of 95 % by ranks; {threads} thread{'s' * (threads > 1)}, load {figures['load']} at the end"
    )


def markdown(figures: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(figures)}\n\n{pipes(rows(figures))}\n"
