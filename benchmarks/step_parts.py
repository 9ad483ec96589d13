"""Where a training step of a method goes beyond LoRA's: its layers, their circuits and tensor networks, and the rest.

A whole step whose circuits compute nothing says what is around them. The layers that carry adapters run alone, forward and
backward: what they add to LoRA's is some hundredths of a step and is heard in them, where two whole steps of one method differ by more. Circuits and networks are taken out of them in turn. So
the rest is what the parts alone do not explain: caches and memory that others used, the optimiser, and noise. Whole steps
and layers are also compared phase by phase, forward and backward, and what comes after.
"""

import itertools
import statistics
import types
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import turns
from benchmarks.reporting import pipes
from benchmarks.turns import CLOCKS, ratio, take_turns, timed

WORDS = {
    "layers": "its layers alone, beyond LoRA's",
    "circuits": "of these, its circuits",
    "roofline": "its circuits at their roofline",
    "networks": "of these, its tensor networks",
    "rest": "the rest of the step beyond LoRA's",
}
PHASES = {
    "forward": "forward",
    "forward_alone": "of its layers alone",
    "backward": "backward",
    "backward_alone": "of its layers alone",
    "after": "freeing the graph, and the optimiser",
}
FLOORS = {
    "hollow": "step, its circuits computing nothing",
    "with_layers": "(LoRA's step + layers) / LoRA's step",
    "with_circuits": "with circuits and networks only",
    "at_roofline": "with circuits at their roofline only",
}


def parts_of(
    steps: list[Any],
    seconds: list[list[float]],
    phases: list[list[tuple[float, ...]]],
    rounds: int,
    on_round: Callable[[int, int], None],
    clock: str,
) -> list[dict[str, Any]]:
    """Seconds of a step's parts for each method but the first; medians, and of differences within rounds.

    Args:
        steps: `step._Step` of every method, the first the reference.
        seconds: Of their whole steps.
        phases: Of these, forward, backward and after.
        rounds: Counted turns.
        on_round: Called with the turns done and their number.
        clock: As for `take_turns`.

    Returns:
        By method `layers` (beyond the reference's), `circuits`, `roofline`, `networks` and `rest`, in seconds; the
        reference's step and these over the reference's step: `with_layers`, an entry of `timed`, `with_circuits` and
        `at_roofline`; `hollow`, such an entry of steps whose circuits compute nothing; and `phases`, what a step's forward,
        backward and after go beyond the reference's, and the first two of layers alone.
    """
    works: list[Callable[[], object]] = []
    alone: list[list[tuple[float, ...]]] = []
    for step in steps:
        tuned, of_it = _tuned(step, CLOCKS[clock])
        alone.append(of_it)
        works += [tuned, _circuits(step.model, step.ids.numel()), _networks(step.model)]
    taken = take_turns(works, rounds, on_round, clock)
    reference, *hollow = take_turns(
        [steps[0].take, *map(_hollow, steps[1:])], rounds, on_round, clock
    )
    whole = statistics.median(seconds[0])
    results = []
    for number, step in enumerate(steps[1:], 1):
        layers, circuits, networks = taken[3 * number : 3 * number + 3]
        beyond = [a - b for a, b in zip(layers, taken[0], strict=True)]
        whole_phases = _beyond(phases[number], phases[0])
        own_phases = _beyond(alone[number][-rounds:], alone[0][-rounds:])
        roofline = _at_roofline(step.model, step.ids.numel(), clock)
        part = {
            name: statistics.median(values)
            for name, values in (("layers", beyond), ("circuits", circuits), ("networks", networks))
        }
        results.append(
            {
                **part,
                "roofline": roofline,
                "hollow": timed(hollow[number - 1], reference),
                "rest": statistics.median(seconds[number]) - whole - part["layers"],
                "with_layers": timed([whole + more for more in beyond], [whole] * len(beyond)),
                "with_circuits": 1 + (part["circuits"] + part["networks"]) / whole,
                "at_roofline": 1 + roofline / whole,
                "phases": {
                    "forward": whole_phases[0],
                    "forward_alone": own_phases[0],
                    "backward": whole_phases[1],
                    "backward_alone": own_phases[1],
                    "after": whole_phases[2],
                },
            }
        )
    return results


def _beyond(these: Sequence[tuple[float, ...]], those: Sequence[tuple[float, ...]]) -> list[float]:
    """Medians of the differences of each phase within a round."""
    pairs = zip(zip(*these, strict=True), zip(*those, strict=True), strict=True)
    return [statistics.median(a - b for a, b in zip(*pair, strict=True)) for pair in pairs]


def markdown(figures: dict[str, Any]) -> str:
    """The parts of every method but the first, in milliseconds, for a page."""
    rows = [
        (
            f"`{entry['label']}`",
            ratio(entry),
            *(ratio(parts[name]) for name in ("hollow", "with_layers")),
            *(f"{parts[name]:.2f}" for name in ("with_circuits", "at_roofline")),
            *(f"{1e3 * parts[name]:,.1f}" for name in WORDS),
        )
        for entry in figures["methods"]
        if (parts := entry.get("parts"))
    ]
    heading = ("method", "step, × the first", *FLOORS.values(), *WORDS.values())
    step = 1e3 * figures["methods"][0]["seconds"]
    text = f"The first takes {step:,.0f} ms; parts in ms of a step.\n\n{pipes([heading, *rows])}\n"
    return text + _phases(figures)


def _phases(figures: dict[str, Any]) -> str:
    rows = [
        (f"`{entry['label']}`", *(f"{1e3 * parts['phases'][name]:,.1f}" for name in PHASES))
        for entry in figures["methods"]
        if (parts := entry.get("parts")) and "phases" in parts
    ]
    heading = ("ms of a step beyond LoRA's", *PHASES.values())
    return f"\n{pipes([heading, *rows])}\n" if rows else ""


def with_steps(figures: dict[str, Any]) -> str:
    """Whole steps, and then their parts."""
    return f"{turns.markdown(figures)}\n{markdown(figures)}"


def _tuned(step, now: Callable[[], float]) -> tuple[Callable[[], None], list[tuple[float, ...]]]:
    """Every layer that carries an adapter, with its base, there and back, of ours or of PEFT's; and what each took, when done."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    from qtha_lab.adapters import hold_products

    layers: list[Any] = [m for m in step.model.modules() if isinstance(m, BaseTunerLayer)]
    inputs = [torch.randn(*step.ids.shape, layer.in_features).requires_grad_() for layer in layers]
    gradients = [torch.randn(*step.ids.shape, layer.out_features) for layer in layers]
    phases: list[tuple[float, ...]] = []

    def work() -> None:
        moments = [now()]
        with hold_products(step.model):
            outputs = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
        moments.append(now())
        torch.autograd.backward(outputs, gradients)
        moments.append(now())
        phases.append(tuple(b - a for a, b in itertools.pairwise(moments)))
        # `zero_grad` would look for them in the whole model
        for tensor in (*inputs, *step.trained):
            tensor.grad = None

    return work, phases


def _hollow(step) -> Callable[[], None]:
    """A step whose circuits compute nothing: values and slopes are zero, and all that is around them is done."""
    from qtha_lab.simulators.cpu import evaluation
    from qtha_lab.simulators.cpu.records import Operands

    small_batch, results = evaluation.small_batch, Operands._fields.index("results")

    def nothing(*given: Any) -> None:
        *_, operands = given
        operands[results].fill(0)

    def no_gradients(threads: int, team: int, gradients: Any, operands: Any) -> None:
        gradients.fill(0)
        nothing(operands)

    hollow = types.SimpleNamespace(forward=nothing, evaluate=nothing, backward=no_gradients)

    def take() -> None:
        evaluation.small_batch = hollow
        try:
            step.take()
        finally:
            evaluation.small_batch = small_batch

    return take


def _layers(model) -> list[Any]:
    from qtha_lab.adapters.peft import AdapterLayer

    return [module for module in model.modules() if isinstance(module, AdapterLayer)]


def _circuits_of(model) -> list[Any]:
    return [c for layer in _layers(model) for change in layer.changes.values() for c in change.circuits()]  # fmt: skip


def _circuits(model, samples: int) -> Callable[[], None]:
    """Values and slopes of every circuit, by engine cpu without autograd."""
    import torch

    from qtha_lab.simulators.cpu.evaluation import Evaluation
    from qtha_lab.simulators.cpu.plan import plan

    cases = []
    for circuit in _circuits_of(model):
        inputs, params = torch.randn(samples, circuit.n_inputs), torch.randn(circuit.n_params)
        cases.append((plan(circuit), inputs, params, torch.randn(samples, circuit.n_qubits)))

    def work() -> None:
        calls = [Evaluation(tables, inputs, saves=True) for tables, inputs, *_ in cases]
        for call, (_, inputs, params, _) in zip(calls, cases, strict=True):
            call.forward(inputs, params)
        for call, (_, inputs, _, grad) in zip(reversed(calls), reversed(cases), strict=True):
            call.backward(inputs, grad)

    return work


def _networks(model) -> Callable[[], None]:
    """The products of all layers and their slopes, by which alone tensors of the networks are reached."""
    import torch

    from qtha_lab.adapters import hold_products
    from qtha_lab.adapters.peft.shared_products import with_products

    layers = _layers(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]

    def work() -> None:
        outputs = []
        with hold_products(model):
            for layer in layers:
                for name, change in layer.changes.items():
                    if change.product_sources():
                        tensors = layer.adapter_tensors(name)
                        products = with_products(layer, name, tensors, torch.float32)
                        outputs += [products[key] for key in products.keys() - tensors.keys()]
        if outputs:
            torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
            for parameter in trained:  # `zero_grad` would look for them in the whole model
                parameter.grad = None

    return work


def _at_roofline(model, samples: int, clock: str) -> float:
    import torch

    from qtha_lab.simulators.cpu.roofline import sweep_peak, work_per_sample

    circuits = _circuits_of(model)
    threads = torch.get_num_threads() if clock == "wall" else 1
    peaks = {n: sweep_peak(n, threads=threads) for n in {circuit.n_qubits for circuit in circuits}}
    return samples * sum(
        part.seconds(peaks[circuit.n_qubits])
        for circuit in circuits
        for part in work_per_sample(circuit)
    )
