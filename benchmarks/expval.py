"""Where the time of one small `expval_z` with gradients goes: engine, autograd, checks; on one thread."""

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.machine import commit, machine

CALLS = 400  # of each part in a turn; the first are slow, after another part has had the caches
ROWS = {
    "whole": "expval_z with gradients",
    "engine": "engine cpu's own work",
    "autograd": "autograd: a Function that computes nothing",
    "rest": "the rest: checks, the way in and out",
    "no_slopes": "expval_z without gradients",
    "graph": "with gradients, in a graph (aot_eager)",
}


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Each part in words, and its microseconds."""
    parts = figures["parts"]
    return [(text, f"{parts[name]:.1f}") for name, text in ROWS.items() if name in parts]


def markdown(figures: dict[str, Any]) -> str:
    """The table of docs/results.md."""
    lines = [f"| {text} | {number} |" for text, number in rows(figures)]
    return "\n".join(["| part | µs |", "|---|--:|", *lines])


def bench_expval(
    *, n_qubits: int = 4, n_layers: int = 1, batch: int = 64, rounds: int = 15, graph: bool = True
) -> dict[str, Any]:
    """Measure the parts in turns, on the QTHA circuit with gradients of inputs and parameters.

    Args:
        n_qubits: Qubits of the circuit.
        n_layers: Its layers.
        batch: Samples.
        rounds: Turns; the figures are medians over them.
        graph: Whether the same is measured inside a graph of torch.compile.

    Returns:
        `machine`, `commit`, `settings`, and under `parts` microseconds: `whole`; `engine`, engine cpu's own work
        without autograd; `autograd`, a Function of as many tensors that computes nothing; `rest`, what is
        left, the checks and the way in and out; `no_slopes`, values alone; `graph`.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts, in_graph = _parts(n_qubits, n_layers, batch)
        seconds = _in_turns(parts, rounds)
        if graph:  # apart: what it leaves in the caches slows the others
            seconds |= _in_turns({"graph": in_graph()}, rounds)
    finally:
        torch.set_num_threads(threads)
    medians = {name: statistics.median(turns) * 1e6 for name, turns in seconds.items()}
    rest = [
        1e6 * (whole - engine - autograd)
        for whole, engine, autograd in zip(
            *(seconds[name] for name in ("whole", "engine", "autograd")), strict=True
        )
    ]
    return {
        "benchmark": "expval",
        "commit": commit() or "",
        "machine": machine() | {"torch_threads": 1},
        "settings": {
            "n_qubits": n_qubits,
            "n_layers": n_layers,
            "batch": batch,
            "rounds": rounds,
        },
        "parts": medians | {"rest": statistics.median(rest)},
        "parts_all": seconds,
    }


Part = Callable[[], Any]


def _parts(n_qubits: int, n_layers: int, batch: int) -> tuple[dict[str, Part], Callable[[], Part]]:
    """What takes turns, and what compiles the same for a graph."""
    import torch

    from qtha_lab.ansatze import build
    from qtha_lab.simulators import expval_z
    from qtha_lab.simulators.cpu.engine import Call, shared_numbers
    from qtha_lab.simulators.cpu.plan import plan

    circuit = build("qtha", n_qubits, n_layers)
    inputs = torch.randn(batch, n_qubits, requires_grad=True)
    params = torch.randn(circuit.n_params, requires_grad=True)
    grad, tables = torch.randn(batch, n_qubits), plan(circuit)

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, inputs, params):
            ctx.save_for_backward(inputs, params)
            return torch.empty_like(inputs)

        @staticmethod
        def backward(ctx, grad):
            inputs, params = ctx.saved_tensors
            return torch.empty_like(inputs), torch.empty_like(params)

    def with_slopes(function: Callable) -> Callable[[], None]:
        def call() -> None:
            inputs.grad = params.grad = None
            function(inputs, params).backward(grad)

        return call

    def engine() -> None:
        call = Call(tables, inputs, shared_numbers(tables, params), keep=True)
        call.forward()
        call.backward(grad)

    def no_slopes() -> None:
        with torch.no_grad():
            expval_z(circuit, inputs, params)

    def whole(x, p):
        return expval_z(circuit, x, p)

    parts = {
        "whole": with_slopes(whole),
        "engine": engine,
        "autograd": with_slopes(Nothing.apply),
        "no_slopes": no_slopes,
    }
    return parts, lambda: with_slopes(torch.compile(whole, fullgraph=True, backend="aot_eager"))


def _in_turns(parts: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of a call of each part, turn by turn; one turn more goes before."""
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for turn in range(rounds + 1):
        for name, call in parts.items():
            start = time.perf_counter()
            for _ in range(CALLS):
                call()
            if turn:
                seconds[name].append((time.perf_counter() - start) / CALLS)
    return seconds
