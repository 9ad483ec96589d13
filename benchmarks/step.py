"""The time and memory of one training step, method against method, alternately in one process.

All methods share one copy of the frozen base weights and take steps with the Trainer's optimiser.
Token
ids are random: the cost of a step does not depend on which tokens it reads. Quality is not measured
here;
`qtha-lab compare` does.
"""

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.machine import conditions, forget_peak_memory, peak_memory_bytes
from benchmarks.step_parts import parts_of
from benchmarks.turns import CLOCKS, adapted_models, measured, take_turns, timed
from qtha_lab.experiment import MethodChoice

MEMORY_ROUNDS = 3


def bench_step(
    model: str,
    methods: Iterable[MethodChoice],
    *,
    batch_size: int = 4,
    tokens: int = 64,
    rounds: int = 9,
    clock: str = "wall",
    parts: bool = False,
    on_round: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, Any]:
    """Measure a step (forward, backward, AdamW as the Trainer has it) of every method, taking
    turns.

    Args:
        model: Name of the base.
        methods: The first one is the reference of the ratios.
        batch_size: Rows per step.
        tokens: Tokens per row.
        rounds: Counted turns of each method; one more goes before as a warm-up. Memory is measured
            in
            turns of its own, since giving the heap back to the system slows the step after it.
        clock: As for `take_turns`.
        parts: Whether steps are taken apart too, see `step_parts`.
        on_round: Called with the turns done and their number.

    Returns:
        `machine`, `commit`, `settings`, and under `methods` one entry each: `label`,
        `trainable_parameters`,
        `seconds` (median), `seconds_all`, `peak_memory_bytes` (median over rounds of the resident
        high-water mark of a step), `time_ratio` (median of the ratios within a round),
        `memory_ratio` and, if asked for, `parts`.
    """
    import torch

    before, choices = conditions(), list(methods)
    models = adapted_models(model, choices)
    config = models[0].config
    ids = torch.randint(10, config.vocab_size, (batch_size, tokens))
    steps = [_Step(adapted, ids) for adapted in models]
    for step in steps:
        step.now = CLOCKS[clock]
    seconds = take_turns([step.take for step in steps], rounds, on_round, clock)
    phases = [step.phases[-rounds:] for step in steps]
    for _ in range(MEMORY_ROUNDS):
        for step in steps:
            step.weigh()
    least = _median(steps[0].memory)
    entries = []
    for choice, step, of_step in zip(choices, steps, seconds, strict=True):
        peak = _median(step.memory)
        entries.append(
            {
                "label": choice.label,
                "trainable_parameters": sum(p.numel() for p in step.trained),
                **timed(of_step, seconds[0]),
                "peak_memory_bytes": peak,
                "memory_ratio": peak / least if peak and least else None,
            }
        )
    if parts:
        taken_apart = parts_of(steps, seconds, phases, rounds, on_round, clock)
        for entry, of_step in zip(entries[1:], taken_apart, strict=True):
            entry["parts"] = of_step
    settings = {
        "model": model,
        "batch_size": batch_size,
        "tokens": tokens,
        "rounds": rounds,
        "clock": clock,
        "dtype": str(config.dtype).removeprefix("torch."),
    }
    return measured(before, "step", "step", settings, entries)


class _Step:
    """One method's model and optimiser, and the memory that its steps took."""

    def __init__(self, model, ids):
        self.model, self.ids = model.train(), ids
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = _trainers_optimizer(self.trained)
        self.memory: list[int | None] = []
        self.now = time.perf_counter
        self.phases: list[tuple[float, ...]] = []  # forward, backward, and the rest of every step

    def take(self) -> None:
        moments = [self.now()]
        loss = self.model(input_ids=self.ids, labels=self.ids).loss
        moments.append(self.now())
        loss.backward()
        moments.append(self.now())
        del loss
        self.optimizer.step()
        self.optimizer.zero_grad()
        moments.append(self.now())
        self.phases.append(tuple(b - a for a, b in itertools.pairwise(moments)))

    def weigh(self) -> None:
        forget_peak_memory()
        self.take()
        self.memory.append(peak_memory_bytes())


def _trainers_optimizer(parameters: list):
    """What transformers' Trainer would make for these parameters: AdamW, fused."""
    import torch
    from transformers import Trainer, TrainingArguments

    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, learning_rate=1e-4, use_cpu=not torch.accelerator.is_available()
        )
    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    return kind(parameters, **options)


def _median(values: list[int | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
