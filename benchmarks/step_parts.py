"""Where a training step of a method goes beyond LoRA's: circuits, tensor networks, and the rest.

The parts are taken out of the model and run alone, in turns with whole steps, by the processor's clock. So the rest is
what the parts alone do not explain: small products, copies, autograd, Python, and waiting for memory that others used.
"""

import statistics
from collections.abc import Callable
from typing import Any

from benchmarks.reporting import pipes
from benchmarks.turns import ratio, take_turns

WORDS = {
    "circuits": "its circuits alone",
    "roofline": "its circuits at their roofline",
    "networks": "its tensor networks alone",
    "rest": "the rest beyond LoRA's step",
}


def parts_of(
    steps: list[Any], samples: int, rounds: int, on_round: Callable[[int, int], None]
) -> list[dict[str, float]]:
    """Processor seconds of a step's parts for each method; medians within rounds.

    Args:
        steps: `step._Step` of every method, the first the reference.
        samples: Tokens of a step, each of which runs every circuit once.
        rounds: Counted turns.
        on_round: Called with the turns done and their number.

    Returns:
        By method `whole`, `circuits`, `roofline`, `networks` and `rest`, in seconds; `floor`, the reference's step and
        this method's circuits over the reference's step, and `roofline_floor`, the same at their roofline.
    """
    works: list[Callable[[], object]] = []
    for step in steps:
        works += [step.take, _circuits(step.model, samples), _networks(step.model)]
    seconds = take_turns(works, rounds, on_round, "cpu")
    reference = seconds[0]
    results = []
    for number, step in enumerate(steps):
        whole, circuits, networks = seconds[3 * number : 3 * number + 3]
        roofline = _at_roofline(step.model, samples)

        def median(values) -> float:
            return statistics.median(values)

        results.append(
            {
                "whole": median(whole),
                "circuits": median(circuits),
                "roofline": roofline,
                "networks": median(networks),
                "rest": median(w - r - c - n for w, r, c, n in zip(whole, reference, circuits, networks, strict=True)),
                "floor": median((r + c) / r for r, c in zip(reference, circuits, strict=True)),
                "roofline_floor": median((r + roofline) / r for r in reference),
            }
        )  # fmt: skip
    return results


def markdown(figures: dict[str, Any]) -> str:
    """The parts of every method but the first, in milliseconds of a processor, for a page."""
    rows = [
        (
            f"`{entry['label']}`",
            ratio(entry),
            *(f"{1e3 * entry['parts'][name]:,.1f}" for name in ("whole", *WORDS)),
            *(f"{entry['parts'][name]:.2f}" for name in ("floor", "roofline_floor")),
        )
        for entry in figures["methods"]
        if "parts" in entry
    ]
    floors = ("(LoRA + circuits) / LoRA", "at the roofline")
    return pipes([("method", "step, × the first", "step", *WORDS.values(), *floors), *rows]) + "\n"


def _layers(model) -> list[Any]:
    from qtha_lab.adapters.peft import AdapterLayer

    return [module for module in model.modules() if isinstance(module, AdapterLayer)]


def _circuits_of(model) -> list[Any]:
    return [c for layer in _layers(model) for change in layer.changes.values() for c in change.circuits()]  # fmt: skip


def _circuits(model, samples: int) -> Callable[[], None]:
    """Values and slopes of every circuit, by engine cpu without autograd."""
    import torch

    from qtha_lab.simulators.cpu.engine import Call, shared_numbers
    from qtha_lab.simulators.cpu.plan import plan

    cases = []
    for circuit in _circuits_of(model):
        inputs, params = torch.randn(samples, circuit.n_inputs), torch.randn(circuit.n_params)
        cases.append((plan(circuit), inputs, params, torch.randn(samples, circuit.n_qubits)))

    def work() -> None:
        calls = [Call(t, x, shared_numbers(t, p), keep=True) for t, x, p, _ in cases]
        for call in calls:
            call.forward()
        for call, (*_, grad) in zip(reversed(calls), reversed(cases), strict=True):
            call.backward(grad)

    return work


def _networks(model) -> Callable[[], None]:
    """The products of all layers and their slopes, by which alone tensors of the networks are reached."""
    import torch

    from qtha_lab.adapters import hold_products
    from qtha_lab.adapters.peft.products import with_products

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


def _at_roofline(model, samples: int) -> float:
    from qtha_lab.simulators.cpu.roofline import sweep_peak, work

    circuits = _circuits_of(model)
    peaks = {n: sweep_peak(n, threads=1) for n in {circuit.n_qubits for circuit in circuits}}
    return samples * sum(
        part.seconds(peaks[circuit.n_qubits]) for circuit in circuits for part in work(circuit)
    )
