"""Whether "auto" takes the fastest engine: every engine it may take, in turns, over a grid of sizes."""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch

from benchmarks.machine import conditions
from benchmarks.reporting import pipes
from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.ansatze import build
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z
from qtha_lab.simulators.engine_selection import automatic, choose, refusal

QUBITS = (2, 4, 8, 12, 14, 16, 18, 20)
LAYERS = (1, 2, 8)
BATCHES = (1, 16, 256, 2048)
MOST = (
    2**22
)  # amplitudes of a batch times layers, so that a case takes seconds and the grid two minutes
TURN_SECONDS = 0.01  # of a turn at least
BUDGET = 1.5  # seconds of an engine in a case
SLACK = 1.2  # times the fastest that "auto" may take
CALLS = 100  # by which it is judged: the first makes the tables of a circuit, which takes some engines long


def bench_auto(
    qubits: Iterable[int] = QUBITS,
    layers: Iterable[int] = LAYERS,
    batches: Iterable[int] = BATCHES,
    rounds: int = 5,
    on_case: Callable[[str], None] = lambda label: None,
) -> dict[str, Any]:
    """Time values with gradients of the QTHA circuit on CPU tensors, float32.

    One thread is timed by its CPU time, which other programs lengthen little; several by the clock.

    Args:
        qubits: Sizes of the circuit.
        layers: Its layers.
        batches: Samples; a case of more than `MOST` amplitudes times layers is passed over.
        rounds: Turns of every engine, of which the fastest counts: a busy machine only adds time.
        on_case: Called with every case in words.

    Returns:
        `machine`, `commit` and `cases`, each with `seconds` by engine of a call and `first` of the first one, what
        "auto" chose, and `ratio`, the time of its first `CALLS` calls over that of the fastest; and `passed_over`, the
        sizes of the cases that would take longer.

    Raises:
        Refusal: If a size is no positive number, or there is none.
    """
    sizes = {"qubits": tuple(qubits), "layers": tuple(layers), "batches": tuple(batches)}
    for name, of in sizes.items():
        if not of or min(of) < 1:
            raise Refusal(f"{name} must be 1 or more, not {', '.join(map(str, of)) or 'none'}")
    before, cases, passed_over = conditions(), [], []
    smallest = build("qtha", 2, 1)
    for name in _able(smallest, 1):
        _seconds(_call(smallest, 1, name))  # imports, compiles
    for n_qubits, n_layers, batch in itertools.product(*sizes.values()):
        if n_layers * batch * 2**n_qubits > MOST:
            passed_over.append((n_qubits, n_layers, batch))
            continue
        on_case(f"{n_qubits} qubits, {n_layers} layers, batch {batch:,}")
        cases.append(_case(build("qtha", n_qubits, n_layers), n_layers, batch, rounds))
    return {"benchmark": "auto", **before, "cases": cases, "passed_over": passed_over}


def _case(circuit: Circuit, n_layers: int, batch: int, rounds: int) -> dict[str, Any]:
    names = _able(circuit, batch)
    calls = {name: _call(circuit, batch, name) for name in names}
    first = {name: _seconds(call) for name, call in calls.items()}
    seconds = {name: _turn(call) for name, call in calls.items()}
    shortest = min(seconds.values())
    for _ in range(rounds - 1):
        for name, call in calls.items():
            if seconds[name] < BUDGET / rounds and seconds[name] < 4 * shortest:
                seconds[name] = min(seconds[name], _turn(call))
    chosen = choose("auto", *_situation(circuit, batch))
    spent = {name: first[name] + (CALLS - 1) * seconds[name] for name in names}
    return {
        "n_qubits": circuit.n_qubits, "n_layers": n_layers, "batch": batch, "seconds": seconds, "first": first,
        "chosen": chosen, "ratio": spent[chosen] / min(spent.values()),
    }  # fmt: skip


def _able(circuit: Circuit, batch: int) -> list[str]:
    """What "auto" may take for a batch of CPU tensors."""
    return [name for name in automatic() if not refusal(name, *_situation(circuit, batch))]


def _situation(circuit: Circuit, batch: int) -> tuple:
    return circuit, Readout.z(circuit.n_qubits), "cpu", False, batch


def _call(circuit: Circuit, batch: int, engine: str) -> Callable[[], None]:
    """Values and both gradients."""
    inputs = torch.rand(batch, circuit.n_inputs).requires_grad_()
    params = torch.rand(circuit.n_params).requires_grad_()
    grads = torch.rand(batch, circuit.n_qubits)

    def call() -> None:
        torch.autograd.grad(expval_z(circuit, inputs, params, engine), (inputs, params), grads)

    return call


def _clock() -> Callable[[], float]:
    return time.process_time if torch.get_num_threads() == 1 else time.perf_counter


def _seconds(call: Callable[[], None]) -> float:
    """Of one call."""
    clock = _clock()
    began = clock()
    call()
    return clock() - began


def _turn(call: Callable[[], None]) -> float:
    """Seconds of a call, the mean over a turn."""
    clock, calls = _clock(), 0
    began = clock()
    while True:
        call()
        calls, spent = calls + 1, clock() - began
        if spent >= TURN_SECONDS:
            return spent / calls


def table(result: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text: ms per call of every engine, what "auto" takes, and the time of its first calls over the fastest's."""
    names = list(dict.fromkeys(name for case in result["cases"] for name in case["seconds"]))
    rows = [
        (
            f"n={case['n_qubits']}, L={case['n_layers']}, {case['batch']:,}",
            *(_ms(case["seconds"][n]) if n in case["seconds"] else "–" for n in names),
            case["chosen"],
            f"{case['ratio']:.2f}",
        )
        for case in result["cases"]
    ]
    return [("QTHA circuit, batch", *names, "auto", "over the fastest"), *rows]


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:,.0f}" if seconds >= 0.1 else f"{1e3 * seconds:.3g}"


def caption(result: dict[str, Any]) -> str:
    """What the table holds, how many cases are past the slack, and which would have taken long."""
    slow = sum(case["ratio"] > SLACK for case in result["cases"])
    later = [case for case in result["cases"] if _later(case) > SLACK]
    threads = result["machine"]["torch_threads"]
    return (
        f"ms per call but the first, values and both gradients, float32; {slow} of {len(result['cases'])} cases over "
        f"{SLACK:g} times the fastest in their first {CALLS} calls, {len(later)} in a later one{_named(later)}; threads: {threads} "
        f"({'CPU time' if threads == 1 else 'by the clock'}){_passed_over(result)}"
    )


def _later(case: dict[str, Any]) -> float:
    """A call after the first of what "auto" takes over that of the fastest."""
    return case["seconds"][case["chosen"]] / min(case["seconds"].values())


def _named(cases: list[dict[str, Any]]) -> str:
    """Cases in which a later call is slower, with what the first call of the fastest takes."""
    texts = []
    for case in cases:
        fastest = min(case["seconds"], key=case["seconds"].__getitem__)
        texts.append(
            f"n={case['n_qubits']}, L={case['n_layers']}, {case['batch']:,}: {_later(case):.2f} times {fastest}, whose first "
            f"call takes {case['first'][fastest]:.1f} s for {case['first'][case['chosen']]:.1f} s"
        )
    return f" ({'; '.join(texts)})" if texts else ""


def _passed_over(result: dict[str, Any]) -> str:
    """The cases that were left out in words, by qubits and layers; "" where there is none."""
    batches: dict[tuple[int, int], list[str]] = {}
    for n_qubits, n_layers, batch in result["passed_over"]:
        batches.setdefault((n_qubits, n_layers), []).append(f"{batch:,}")
    cases = [f"n={n}, L={layers}: {' and '.join(of)}" for (n, layers), of in batches.items()]
    of = f"of more than {MOST:,} amplitudes times layers, which take long"
    return f"; left out, {of}: {'; '.join(cases)} samples" if cases else ""


def markdown(result: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(result)}\n\n{pipes(table(result))}\n"
