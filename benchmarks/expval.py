"""Parts of the time of one `expval_z` call with gradients: engine, passes, autograd, checks."""

import statistics
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.machine import conditions
from benchmarks.peers import mean_seconds
from benchmarks.reporting import Show, Table, unseen
from benchmarks.timing import brackets, interval
from qtha_lab.circuits.ansatze import build
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.cpu.evaluation import EngineCall
from qtha_lab.simulators.cpu.plan import plan
from qtha_lab.simulators.cpu.roofline import angles_alone, passes_alone

ROWS = {
    "whole": "expval_z with gradients",
    "engine": "engine cpu alone",
    "passes": "compiled passes over the rows",
    "angles": "cosines, sines and tangents of the angles",
    "autograd": "an autograd Function that computes nothing",
    "rest": "checks and conversions",
    "values": "expval_z without gradients",
    "graph": "with gradients, in a graph (aot_eager)",
}
Measure = Callable[[], float]  # seconds per call


class _Nothing(torch.autograd.Function):
    """A function of two tensors that computes nothing."""

    @staticmethod
    def forward(ctx, inputs, params):
        ctx.save_for_backward(inputs, params)
        return torch.empty_like(inputs)

    @staticmethod
    def backward(ctx, grad):
        return tuple(map(torch.empty_like, ctx.saved_tensors))


def bench_expval(
    qubits: int = 4,
    layers: int = 1,
    batch: int = 64,
    threads: int = 1,
    rounds: int = 15,
    graph: bool = True,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time one call of expval_z with gradients, and its parts, alternately.

    Args:
        qubits: Number of qubits.
        layers: Number of layers.
        batch: Number of samples.
        threads: Threads of torch and the engine.
        rounds: Turns of each part.
        graph: Also measure a graph of torch.compile.
    """
    settings = {"qubits": qubits, "layers": layers, "batch": batch, "rounds": rounds}
    before, figures = torch.get_num_threads(), conditions()
    torch.set_num_threads(threads)
    try:
        parts, in_graph = _parts(qubits, layers, batch)
        seconds = _in_turns(parts, rounds)
        if graph:  # apart, since it changes the caches of the others
            seconds |= _in_turns({"graph": partial(mean_seconds, in_graph())}, rounds)
    finally:
        torch.set_num_threads(before)
    thirds = zip(*(seconds[name] for name in ("whole", "engine", "autograd")), strict=True)
    seconds["rest"] = [whole - engine - autograd for whole, engine, autograd in thirds]
    figures["machine"]["torch_threads"] = threads
    return {"benchmark": "expval", **figures, "settings": settings, "parts": seconds}


def _parts(n_qubits: int, n_layers: int, batch: int) -> tuple[dict[str, Measure], Callable]:
    """Return the measured parts, and a function that compiles the whole for a graph."""
    circuit = build("qtha", n_qubits, n_layers)
    inputs = torch.randn(batch, n_qubits, requires_grad=True)
    params = torch.randn(circuit.n_params, requires_grad=True)
    grad, tables = torch.randn(batch, n_qubits), plan(circuit)

    def whole(x, p):
        return expval_z(circuit, x, p)

    def with_gradients(function: Callable) -> Callable[[], None]:
        def call() -> None:
            inputs.grad = params.grad = None
            function(inputs, params).backward(grad)

        return call

    def engine() -> None:
        call = EngineCall(tables, inputs, saves=True)
        call.forward(inputs, params)
        call.backward(inputs, grad)

    passes, angles = passes_alone(circuit, batch), angles_alone(circuit, batch)
    parts = {
        "whole": partial(mean_seconds, with_gradients(whole)),
        "engine": partial(mean_seconds, engine),
        "passes": lambda: batch * passes(),
        "angles": lambda: batch * angles(),
        "autograd": partial(mean_seconds, with_gradients(_Nothing.apply)),
        "values": partial(mean_seconds, lambda: whole(inputs.detach(), params.detach())),
    }
    return parts, lambda: with_gradients(torch.compile(whole, fullgraph=True, backend="aot_eager"))


def _in_turns(parts: dict[str, Measure], rounds: int) -> dict[str, list[float]]:
    turns = [{name: measure() for name, measure in parts.items()} for _ in range(rounds + 1)]
    return {name: [turn[name] for turn in turns[1:]] for name in parts}


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per part: microseconds with the interval of their median."""
    of, threads = figures["settings"], figures["machine"]["torch_threads"]
    caption = (
        f"{of['qubits']} qubits, {of['layers']} layers, batch {of['batch']}, {threads} threads;"
        f" medians of {of['rounds']} turns with their 95 % interval"
    )
    rows = [("part", "µs")]
    for name, title in ROWS.items():
        if turns := [1e6 * seconds for seconds in figures["parts"].get(name, ())]:
            text = f"{statistics.median(turns):.1f}{brackets(*interval(turns), '.1f')}"
            rows.append((title, text))
    return [(caption, rows)]
