"""How much faster engine `cpu` can be at most: a call's passes over its rows, its angles and autograd, which no change around them takes away."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.expval import bench_expval
from benchmarks.machine import conditions
from benchmarks.reporting import pipes


def bench_floor(
    *,
    qubits: Sequence[int] = (4, 6, 8, 10),
    n_layers: int = 4,
    batches: Sequence[int] = (64, 2048),
    threads: int = 1,
    rounds: int = 15,
    on_case: Callable[[str], None] = lambda label: None,
) -> dict[str, Any]:
    """Measure the parts of whole calls in turns, in one process: hours of a machine differ, shares of a turn less.

    Args:
        qubits: Sizes of the QTHA circuit.
        n_layers: Its layers.
        batches: Samples.
        threads: Of torch and the engine.
        rounds: Turns of every case.
        on_case: Called with every case in words.

    Returns:
        `machine`, `commit` and `cases`, each with `n_qubits`, `n_layers`, `batch`, the `parts` of `bench_expval` in
        microseconds, and `passes`, `angles`, `kernel` and `autograd`, the medians over the turns of their shares of a whole call.
    """
    before, cases = conditions(), []
    before["machine"]["torch_threads"] = threads
    for batch in batches:
        for n_qubits in qubits:
            on_case(f"{n_qubits} qubits, batch {batch:,}")
            measured = bench_expval(
                n_qubits=n_qubits,
                n_layers=n_layers,
                batch=batch,
                threads=threads,
                rounds=rounds,
                graph=False,
            )
            seconds = measured["parts_all"]
            shares = {
                name: statistics.median(
                    part / whole
                    for part, whole in zip(seconds[name], seconds["whole"], strict=True)
                )
                for name in ("passes", "angles", "kernel", "autograd")
            }
            case = {"n_qubits": n_qubits, "n_layers": n_layers, "batch": batch}
            cases.append(case | {"parts": measured["parts"]} | shares)
    return {"benchmark": "floor", **before, "cases": cases}


def rows(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row a case: what a call takes, its passes and autograd as shares of it, and how much faster it can be."""
    heading = (
        "QTHA circuit, batch",
        "µs a sample",
        "its passes",
        "its angles",
        "its compiled walk",
        "autograd",
        "passes, angles and autograd alone",
    )
    return [
        heading,
        *(
            (
                f"n = {case['n_qubits']}, L = {case['n_layers']}, {case['batch']:,}",
                f"{case['parts']['whole'] / case['batch']:.2f}",
                f"{case['passes']:.0%}",
                f"{case['angles']:.0%}",
                f"{case['kernel']:.0%}",
                f"{case['autograd']:.0%}",
                f"{1 / (case['passes'] + case['angles'] + case['autograd']):.2f} × as fast",
            )
            for case in figures["cases"]
        ),
    ]


def markdown(figures: dict[str, Any]) -> str:
    """The table of docs/engines.md."""
    machine_ = figures["machine"]
    threads = machine_["torch_threads"]
    caption = (
        f"Values and both gradients, medians of turns in one process; {machine_['processor']}, {threads} "
        f"thread{'s' * (threads > 1)}"
    )
    return f"{caption}\n\n{pipes(rows(figures))}\n"
