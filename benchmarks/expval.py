"""Where the time of one `expval_z` with gradients goes.

The engine, its passes alone, autograd, checks.
"""

import statistics
import time
import types
from collections.abc import Callable
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes
from benchmarks.turns import between

# of each part in a turn, at most; the first are slow, after another part has had the caches
CALLS = 400
TURN_SECONDS = 0.2  # of a part with fewer calls
ROWS = {
    "whole": "expval_z with gradients",
    "engine": "engine cpu's own work",
    "kernel": "of it what is compiled, there and back",
    "passes": "of that its passes over the rows alone",
    "angles": "and cosines, sines and tangents of the samples' angles alone",
    "autograd": "autograd: a Function that computes nothing",
    "rest": "the rest: checks, the way in and out",
    "no_slopes": "expval_z without gradients",
    "graph": "with gradients, in a graph (aot_eager)",
}


def rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Each part in words, and its microseconds."""
    return [
        (text, microseconds(figures, name))
        for name, text in ROWS.items()
        if name in figures["parts"]
    ]


def microseconds(figures: dict[str, Any], name: str) -> str:
    """A part's, with the interval of their median where turns were enough for one."""
    return f"{figures['parts'][name]:.1f}{between([1e6 * s for s in figures['parts_all'][name]], '.1f')}"


def markdown(figures: dict[str, Any]) -> str:
    """The table of docs/engines.md."""
    of, threads = figures["settings"], figures["machine"]["torch_threads"]
    caption = (
        f"{of['n_qubits']} qubits, {of['n_layers']} layers, batch {of['batch']}, medians of"
        f" {of['rounds']} turns, with the interval of 95 % of such a median; {threads}"
        f" thread{'s' * (threads > 1)}"
    )
    return f"{caption}\n\n{pipes([('part', 'µs'), *rows(figures)])}\n"


def bench_expval(
    *,
    n_qubits: int = 4,
    n_layers: int = 1,
    batch: int = 64,
    threads: int = 1,
    rounds: int = 15,
    graph: bool = True,
) -> dict[str, Any]:
    """Measure the parts in turns, on the QTHA circuit with gradients of inputs and parameters.

    Args:
        n_qubits: Qubits of the circuit.
        n_layers: Its layers.
        batch: Samples.
        threads: Of torch and the engine.
        rounds: Turns; the figures are medians over them.
        graph: Whether the same is measured inside a graph of torch.compile.

    Returns:
        `machine`, `commit`, `settings`, and under `parts` microseconds: `whole`; `engine`, engine
        cpu's own work
        without autograd; `kernel`, its compiled walk there and back; `passes` and `angles`, the
        passes of that alone
        and the making of angles alone, by the threads' CPU time; `autograd`, a Function of as many
        tensors that computes nothing; `rest`, what is
        left, the checks and the way in and out; `no_gradients`, values alone; `graph`. All turns in
        seconds under
        `parts_all`.
    """
    import torch

    taken_down, before = conditions(), torch.get_num_threads()
    taken_down["machine"]["torch_threads"] = threads
    torch.set_num_threads(threads)
    try:
        parts, in_graph = _parts(n_qubits, n_layers, batch)
        seconds = _in_turns(parts, rounds)
        if graph:  # apart: what it leaves in the caches slows the others
            seconds |= _in_turns({"graph": _calls(in_graph())}, rounds)
    finally:
        torch.set_num_threads(before)
    seconds["rest"] = [
        whole - engine - autograd
        for whole, engine, autograd in zip(
            *(seconds[name] for name in ("whole", "engine", "autograd")), strict=True
        )
    ]
    medians = {name: statistics.median(turns) * 1e6 for name, turns in seconds.items()}
    return {
        "benchmark": "expval",
        **taken_down,
        "settings": {
            "n_qubits": n_qubits,
            "n_layers": n_layers,
            "batch": batch,
            "rounds": rounds,
        },
        "parts": medians,
        "parts_all": seconds,
    }


Measure = Callable[[], float]  # seconds of one call


def _parts(
    n_qubits: int, n_layers: int, batch: int
) -> tuple[dict[str, Measure], Callable[[], Callable[[], Any]]]:
    """What takes turns, and what compiles the same for a graph."""
    import torch

    from qtha_lab.circuits.ansatze import build
    from qtha_lab.simulators import expval_z
    from qtha_lab.simulators.cpu.evaluation import Evaluation
    from qtha_lab.simulators.cpu.plan import plan
    from qtha_lab.simulators.cpu.roofline import angles_alone, passes_alone

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

    def with_gradients(function: Callable) -> Callable[[], None]:
        def call() -> None:
            inputs.grad = params.grad = None
            function(inputs, params).backward(grad)

        return call

    def engine() -> None:
        call = Evaluation(tables, inputs, saves=True)
        call.forward(inputs, params)
        call.backward(inputs, grad)

    def no_gradients() -> None:
        with torch.no_grad():
            expval_z(circuit, inputs, params)

    def whole(x, p):
        return expval_z(circuit, x, p)

    passes, angles = passes_alone(circuit, batch), angles_alone(circuit, batch)
    parts = {
        "whole": _calls(with_gradients(whole)),
        "engine": _calls(engine),
        "kernel": _calls(_compiled_of(engine)),
        "passes": lambda: batch * passes(),
        "angles": lambda: batch * angles(),
        "autograd": _calls(with_gradients(Nothing.apply)),
        "no_slopes": _calls(no_gradients),
    }
    return parts, lambda: with_gradients(torch.compile(whole, fullgraph=True, backend="aot_eager"))


def _compiled_of(call: Callable[[], Any]) -> Callable[[], None]:
    """The compiled work of a call alone, with what the engine made for it."""
    from qtha_lab.simulators.cpu import evaluation

    small_batch, jobs = evaluation.small_batch, []

    def noted(way: Callable[..., None]) -> Callable[..., None]:
        def note(*operands: Any) -> None:
            jobs.append((way, operands))
            way(*operands)

        return note

    evaluation.small_batch = types.SimpleNamespace(
        forward=noted(small_batch.forward), backward=noted(small_batch.backward)
    )
    try:
        call()
    finally:
        evaluation.small_batch = small_batch

    def again() -> None:
        for way, operands in jobs:
            way(*operands)

    return again


def _calls(call: Callable[[], Any]) -> Measure:
    """Measures so many calls as a turn has room for."""
    start = time.perf_counter()
    for _ in range(2):  # the first compiles
        start = time.perf_counter()
        call()
    count = max(1, min(CALLS, int(TURN_SECONDS / (time.perf_counter() - start))))

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(count):
            call()
        return (time.perf_counter() - start) / count

    return measure


def _in_turns(parts: dict[str, Measure], rounds: int) -> dict[str, list[float]]:
    """Seconds of a call of each part, turn by turn; one turn more goes before."""
    turns = [{name: measure() for name, measure in parts.items()} for _ in range(rounds + 1)]
    return {name: [turn[name] for turn in turns[1:]] for name in parts}
