"""Time and memory of a training step by method, measured alternately in one process.

All methods share one copy of the base weights and use the Trainer's optimiser. Token ids are
random, since the cost of a step does not depend on them.
"""

import copy
import statistics
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer

from benchmarks.machine import conditions, forget_peak_memory, peak_memory_bytes
from benchmarks.reporting import Row, Show, Table, unseen
from benchmarks.roofline import sweep_peak, work_per_sample
from benchmarks.timing import ratio, take_turns, timed
from qtha_lab.adapters import add_adapter, get_method, hold_products
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.peft.shared_products import with_products
from qtha_lab.experiment import MethodChoice
from qtha_lab.models import default_target_modules, load_model
from qtha_lab.simulators.cpu.evaluation import EngineCall
from qtha_lab.simulators.cpu.plan import plan

MEMORY_ROUNDS = 3  # apart, since freeing the heap slows the next step
PARTS = {
    "layers": "adapted layers beyond LoRA's",
    "circuits": "their circuits",
    "roofline": "circuits at their roofline",
    "networks": "their tensor networks",
    "rest": "rest of the step beyond LoRA's",
}


def bench_step(
    model: str = "smollm2-135m",
    methods: tuple[str, ...] = ("lora(r=8)", "qtha(r=8)"),
    batch_size: int = 4,
    tokens: int = 64,
    rounds: int = 9,
    clock: str = "wall",
    threads: int | None = None,
    parts: bool = False,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time a training step and measure its memory, by method, alternately.

    Args:
        model: Name of the base model.
        methods: Methods; the first is the reference of the ratios.
        batch_size: Rows per step.
        tokens: Tokens per row.
        rounds: Counted turns of each method.
        clock: wall, or cpu for the processor time of all threads.
        threads: Threads of torch; all cores by default.
        parts: Also measure layers, circuits and tensor networks alone.
        show: Called with the number of finished rounds and of all.
    """
    before, choices = conditions(), [MethodChoice.parse(text) for text in methods]
    models = adapted_models(model, choices)
    config = models[0].config
    ids = torch.randint(10, config.vocab_size, (batch_size, tokens))
    steps = [_Step(adapted, ids) for adapted in models]
    seconds = take_turns([step.take for step in steps], rounds, show, clock)
    for _ in range(MEMORY_ROUNDS):
        for step in steps:
            step.measure_memory()
    peaks = [statistics.median(step.memory) if step.memory else None for step in steps]
    entries = [
        {
            "label": choice.label,
            "trainable_parameters": sum(p.numel() for p in step.trained),
            **timed(of_step, seconds[0]),
            "peak_memory_bytes": peak,
            "memory_ratio": peak / peaks[0] if peak else None,
        }
        for choice, step, of_step, peak in zip(choices, steps, seconds, peaks, strict=True)
    ]
    if parts:
        of_steps = _parts(steps, seconds, rounds, show, clock)
        for entry, of_step in zip(entries[1:], of_steps, strict=True):
            entry["parts"] = of_step
    settings = {"model": model, "batch_size": batch_size, "tokens": tokens, "rounds": rounds}
    settings |= {"clock": clock, "dtype": str(config.dtype).removeprefix("torch.")}
    return {"benchmark": "step", **before, "settings": settings, "methods": entries}


def adapted_models(model: str, choices: Iterable[MethodChoice]) -> list[Any]:
    """Return one model per method, all on the same base weights."""
    torch.manual_seed(0)
    base = load_model(model).model
    shared = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
    models = []
    for choice in choices:
        targets = choice.target_modules or default_target_modules(model)
        config = get_method(choice.name).make_config(
            task_type="CAUSAL_LM", target_modules=targets, **choice.options
        )
        models.append(add_adapter(copy.deepcopy(base, dict(shared)), config))
    return models


class _Step:
    """Model and optimiser of a method, and the peak memory of its steps."""

    def __init__(self, model: Any, ids: torch.Tensor):
        self.model, self.ids = model.train(), ids
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = _trainers_optimizer(self.trained)
        self.memory: list[int] = []

    def take(self) -> None:
        self.model(input_ids=self.ids, labels=self.ids).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def measure_memory(self) -> None:
        forget_peak_memory()
        self.take()
        if peak := peak_memory_bytes():
            self.memory.append(peak)


def _trainers_optimizer(parameters: list) -> torch.optim.Optimizer:
    """Return the optimiser that transformers' Trainer makes: AdamW, fused."""
    from transformers import Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, learning_rate=1e-4, use_cpu=not torch.accelerator.is_available()
        )
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    return kind(parameters, **options)


def _parts(
    steps: list[_Step], seconds: list[list[float]], rounds: int, show: Show, clock: str
) -> list[dict[str, Any]]:
    """Return the seconds of the parts of a step, for each method but the first."""
    kinds = (_layers_alone, _circuits_alone, _networks_alone)
    taken = take_turns([kind(step) for step in steps for kind in kinds], rounds, show, clock)
    reference, results = statistics.median(seconds[0]), []
    for number, step in enumerate(steps[1:], 1):
        layers, circuits, networks = taken[3 * number : 3 * number + 3]
        beyond = [a - b for a, b in zip(layers, taken[0], strict=True)]
        added = statistics.median(beyond)
        results.append({
            "layers": added,
            "circuits": statistics.median(circuits),
            "roofline": _at_roofline(step, clock),
            "networks": statistics.median(networks),
            "rest": statistics.median(seconds[number]) - reference - added,
            "with_layers": timed([reference + b for b in beyond], [reference] * len(beyond)),
        })  # fmt: skip
    return results


def _layers_alone(step: _Step) -> Callable[[], None]:
    """Return the forward and backward pass of every adapted layer, of ours or of PEFT's."""
    layers: list[Any] = [m for m in step.model.modules() if isinstance(m, BaseTunerLayer)]
    inputs = [torch.randn(*step.ids.shape, layer.in_features).requires_grad_() for layer in layers]
    gradients = [torch.randn(*step.ids.shape, layer.out_features) for layer in layers]

    def work() -> None:
        with hold_products(step.model):
            outputs = [layer(x) for layer, x in zip(layers, inputs, strict=True)]
        torch.autograd.backward(outputs, gradients)
        for tensor in (*inputs, *step.trained):  # `zero_grad` would search the whole model
            tensor.grad = None

    return work


def _layers(step: _Step) -> list[Any]:
    return [module for module in step.model.modules() if isinstance(module, AdapterLayer)]


def _circuits(step: _Step) -> list[Any]:
    changes = (change for layer in _layers(step) for change in layer.changes.values())
    return [circuit for change in changes for circuit in change.circuits()]


def _circuits_alone(step: _Step) -> Callable[[], None]:
    """Return values and gradients of every circuit, by engine `cpu` without autograd."""
    samples, cases = step.ids.numel(), []
    for circuit in _circuits(step):
        inputs, params = torch.randn(samples, circuit.n_inputs), torch.randn(circuit.n_params)
        cases.append((plan(circuit), inputs, params, torch.randn(samples, circuit.n_qubits)))

    def work() -> None:
        calls = [EngineCall(tables, inputs, saves=True) for tables, inputs, *_ in cases]
        for call, (_, inputs, params, _) in zip(calls, cases, strict=True):
            call.forward(inputs, params)
        for call, (_, inputs, _, grad) in zip(reversed(calls), reversed(cases), strict=True):
            call.backward(inputs, grad)

    return work


def _networks_alone(step: _Step) -> Callable[[], None]:
    """Return the products of all layers and their gradients, which reach only tensor networks."""

    def work() -> None:
        outputs = []
        with hold_products(step.model):
            for layer in _layers(step):
                for name, change in layer.changes.items():
                    if change.product_sources():
                        tensors = layer.adapter_tensors(name)
                        products = with_products(layer, name, tensors, torch.float32)
                        outputs += [products[key] for key in products.keys() - tensors.keys()]
        if outputs:
            torch.autograd.backward(outputs, [torch.ones_like(output) for output in outputs])
            for parameter in step.trained:
                parameter.grad = None

    return work


def _at_roofline(step: _Step, clock: str) -> float:
    """Return the seconds of all circuits at the peaks of this machine."""
    circuits = _circuits(step)
    threads = torch.get_num_threads() if clock == "wall" else 1
    peaks = {n: sweep_peak(n, threads=threads) for n in {circuit.n_qubits for circuit in circuits}}
    work = [(part, peaks[c.n_qubits]) for c in circuits for part in work_per_sample(c)]
    return step.ids.numel() * sum(part.seconds(peak) for part, peak in work)


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per method, and the parts of a step in milliseconds."""
    settings = ", ".join(f"{name} {value}" for name, value in figures["settings"].items())
    caption = f"{settings}; {figures['machine']['torch_threads']} threads"
    heading = ("method", "parameters", "ms per step", "time, × the first", "peak MiB", "memory, ×")
    rows = [heading, *map(_row, figures["methods"])]
    parts = [
        (
            f"`{entry['label']}`",
            ratio(of["with_layers"]),
            *(f"{1e3 * of[name]:,.1f}" for name in PARTS),
        )
        for entry in figures["methods"]
        if (of := entry.get("parts"))
    ]
    titles = ("method", "(LoRA's step + layers) / LoRA's step", *PARTS.values())
    return [(caption, rows), ("parts in ms per step", [titles, *parts])][: 1 + bool(parts)]


def _row(entry: dict[str, Any]) -> Row:
    peak, memory = entry["peak_memory_bytes"], entry["memory_ratio"]
    return (
        f"`{entry['label']}`",
        f"{entry['trainable_parameters']:,}",
        f"{1000 * entry['seconds']:,.0f}",
        ratio(entry),
        f"{peak / 2**20:,.0f}" if peak else "–",
        f"{memory:.2f}" if memory else "–",
    )
