"""How far predicted times are from real ones: circuits of every engine, and training steps.

A ratio of 1 is a perfect prediction. Both are taken next to each other, several times; the median is
told. It belongs on a quiet machine: a neighbour disturbs either side.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.machine import conditions
from qtha_lab.experiment import Experiment, Training

CIRCUIT_CASES = {
    "cpu": (1, 300, 5_000, 200_000),
    "torch": (1, 300, 5_000),
    "lightning": (1, 300, 20_000),
    "device:default.qubit": (1, 300),
    "device:lightning.qubit": (1, 20),
    "device:default.qubit(shots=100)": (1, 3),
}
METHODS = ("lora", "qtha(r=4,waist=16)")
REPEATS = 3


def bench_predictions(
    circuits: dict[str, Sequence[int]] | None = None,
    methods: Sequence[str] = METHODS,
    *,
    model: str = "tiny",
    rounds: int = 5,
    on_case: Callable[[str], None] = lambda label: None,
) -> dict[str, Any]:
    """Predict, then do, for every case.

    Args:
        circuits: Samples to try on each engine, with values and both gradients of QTHA's circuit
            (n = 4, L = 2); None takes all.
        methods: Whose training step on `model` is previewed and then taken, on one thread.
        rounds: Predictions of each case, each made anew.

    Returns:
        `machine`, `commit` and under `cases` one entry each: `label`, `predicted` and `real` (seconds, of every
        round) and `ratio` (the median of predicted / real).
    """
    before, cases = conditions(), []
    names = CIRCUIT_CASES if circuits is None else circuits
    for label, pair in [*_circuit_cases(names), *_step_cases(methods, model)]:
        on_case(label)
        pairs = [pair() for _ in range(rounds)]
        predicted, real = (list(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(p / r for p, r in pairs)
        cases.append({"label": label, "predicted": predicted, "real": real, "ratio": ratio})
    return {"benchmark": "predictions", **before, "cases": cases}


Pair = Callable[[], tuple[float, float]]  # seconds: predicted, real


def _circuit_cases(circuits: dict[str, Sequence[int]]) -> Iterator[tuple[str, Pair]]:
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import cost, estimate

    circuit = ansatze.build("qtha", 4, 2)
    for engine, batches in circuits.items():
        for batch in batches:

            def pair(engine=engine, batch=batch) -> tuple[float, float]:
                cost.forget()
                predicted = estimate(circuit, batch, engine).seconds
                real = min(_circuit_seconds(circuit, batch, engine) for _ in range(REPEATS))
                return predicted, real

            yield f"{engine}, {batch:,} samples", pair


def _circuit_seconds(circuit, batch: int, engine: str) -> float:
    import torch

    from qtha_lab.simulators import expval_z

    inputs = torch.rand(batch, circuit.n_inputs).requires_grad_()
    params = torch.rand(circuit.n_params).requires_grad_()
    start = time.perf_counter()
    torch.autograd.grad(expval_z(circuit, inputs, params, engine).sum(), (inputs, params))
    return time.perf_counter() - start


def _step_cases(methods: Sequence[str], model: str) -> Iterator[tuple[str, Pair]]:
    from qtha_lab.experiment.cost.preview import preview

    for method in methods:
        experiment = Experiment(model=model, method=method, training=Training(threads=1))

        def pair(experiment=experiment) -> tuple[float, float]:
            return preview(experiment).seconds_per_step, _step_seconds(experiment)

        yield f"step of {method} on {model}", pair


def _step_seconds(experiment: Experiment) -> float:
    """The mean of the five fastest of ten real steps."""
    import torch

    from qtha_lab import adapters, models, tasks
    from qtha_lab.experiment.cost import calibration as measured
    from qtha_lab.experiment.plan import resolve

    plan = resolve(experiment)
    task = plan.task
    loaded = models.load_model(experiment.model, head=plan.head)
    model = adapters.add_adapter(loaded.model, plan.config)
    training = experiment.training
    rows = task.encode(task.train, loaded.tokenizer, training.max_length)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
    durations = []
    with measured.threads(1):
        for start in range(0, 10 * training.batch_size, training.batch_size):
            batch = tasks.collate(loaded.tokenizer)(rows[start : start + training.batch_size])
            begin = time.perf_counter()
            model(**batch).loss.backward()
            optimiser.step()
            optimiser.zero_grad()
            durations.append(time.perf_counter() - begin)
    return statistics.mean(sorted(durations)[:5])
