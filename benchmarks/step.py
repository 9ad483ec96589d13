"""The time and memory of one training step, method against method, alternately in one process.

All methods share one copy of the frozen base weights. Token ids are random: the cost of a step
does not depend on which tokens it reads. Quality is not measured here; `qtha-lab compare` does.
"""

import copy
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.machine import forget_peak_memory, machine, peak_memory_bytes
from qtha_lab.experiment import MethodChoice

MEMORY_ROUNDS = 3


def bench_step(
    model: str,
    methods: Iterable[MethodChoice],
    *,
    batch_size: int = 4,
    tokens: int = 64,
    rounds: int = 9,
    on_round: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Measure a step (forward, backward, AdamW) of every method, taking turns.

    Args:
        methods: The first one is the reference of the ratios.
        rounds: Counted turns of each method; one more goes before as a warm-up. Memory is measured in
            turns of its own, since giving the heap back to the system slows the step after it.

    Returns:
        `machine`, `settings`, and under `methods` one entry each: `label`, `trainable_parameters`,
        `seconds` (median), `seconds_all`, `peak_memory_bytes` (median over rounds of the resident
        high-water mark of a step), `time_ratio` (median of the ratios within a round) and
        `memory_ratio`.
    """
    import torch

    from qtha_lab.models import load_model

    choices = list(methods)
    torch.manual_seed(0)
    base = load_model(model).model
    shared = {id(tensor): tensor for tensor in [*base.parameters(), *base.buffers()]}
    steps = [_Step(copy.deepcopy(base, dict(shared)), choice, model) for choice in choices]
    ids = torch.randint(10, base.config.vocab_size, (batch_size, tokens))
    for done in range(rounds + 1):
        for step in steps if done % 2 else reversed(steps):
            step.time(ids)
        on_round(done, rounds)
    for _ in range(MEMORY_ROUNDS):
        for step in steps:
            step.weigh(ids)
    reference = steps[0]
    return {
        "benchmark": "step",
        "machine": machine(),
        "settings": {
            "model": model, "batch_size": batch_size, "tokens": tokens, "rounds": rounds,
            "dtype": str(base.dtype).removeprefix("torch."),
        },
        "methods": [step.result(reference) for step in steps],
    }  # fmt: skip


class _Step:
    """One method's model and optimiser, and what its steps took."""

    def __init__(self, base, choice: MethodChoice, model_name: str):
        import torch

        from qtha_lab.adapters import add_adapter, get_method
        from qtha_lab.models import default_target_modules

        targets = choice.target_modules or default_target_modules(model_name)
        config = get_method(choice.name).make_config(
            task_type="CAUSAL_LM", target_modules=targets, **choice.options
        )
        self.label = choice.label
        self.model = add_adapter(base, config).train()
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=1e-4)
        self.seconds: list[float] = []
        self.memory: list[int | None] = []

    def time(self, ids) -> None:
        start = time.perf_counter()
        self._take(ids)
        self.seconds.append(time.perf_counter() - start)

    def weigh(self, ids) -> None:
        forget_peak_memory()
        self._take(ids)
        self.memory.append(peak_memory_bytes())

    def _take(self, ids) -> None:
        self.model(input_ids=ids, labels=ids).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def result(self, reference: "_Step") -> dict[str, Any]:
        seconds, reference_seconds = self.seconds[1:], reference.seconds[1:]
        peak, least = _median(self.memory), _median(reference.memory)
        return {
            "label": self.label,
            "trainable_parameters": sum(p.numel() for p in self.trained),
            "seconds": statistics.median(seconds),
            "seconds_all": seconds,
            "peak_memory_bytes": peak,
            "time_ratio": statistics.median(
                a / b for a, b in zip(seconds, reference_seconds, strict=True)
            ),
            "memory_ratio": peak / least if peak and least else None,
        }


def _median(values: list[int | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return statistics.median(numbers) if numbers else None
