"""Evaluation variants of a trained adapter: other engines, other tasks, or ablated parts.

Trains nothing and writes no file. An ablated part is set to zero in the trained adapter.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from qtha_lab import adapters, models, tasks
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.qtha_branches import CircuitBranch
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.plan import HEADS
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.plugins import load_run_plugins
from qtha_lab.figures.loss_by_variant import START, loss_by_variant
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.simulators import check_engine
from qtha_lab.training.evaluation import evaluating, predict

log = logging.getLogger(__name__)

Side = Literal["test", "eval", "train"]
CUTS = {"W_q": "W_q", "W_c": "W_c", "angles": "params"}
"""What can be cut, and the tensor that is set to zero."""


@dataclass(frozen=True)
class Variant:
    """Scores of one evaluation variant.

    Attributes:
        name: "as trained", or the difference from the trained adapter.
        scores: Loss and other scores.
        rows: Number of evaluated rows.
        on: Task and side of the rows.
    """

    name: str
    scores: dict[str, float]
    rows: int
    on: str = ""


def evaluate_variants(
    run: RunDir,
    *,
    engine: str | Sequence[str] | None = None,
    task: str | Sequence[str] | None = None,
    side: Side = "test",
    rows: int | None = 128,
    cuts: Sequence[str] = (),
    start: bool = False,
) -> Iterator[Variant]:
    """Evaluate the adapter of a finished run: as trained, per engine, and per ablated part.

    Raises:
        Refusal: If the run has no adapter, or the adapter lacks a part of `cuts`. Also if the
            engine cannot run its circuit, or the head has other labels than the task.
    """
    for cut in cuts:
        if cut not in CUTS:
            raise Refusal(f"cut must be one of {', '.join(CUTS)}, got {cut!r}.")
    experiment = run.experiment
    if not run.adapter.is_dir():
        raise Refusal(
            f"The run must have an adapter, got {run.path.name} without. Let it finish first."
        )
    names = _listed(task) or [experiment.task]
    load_run_plugins(run)
    data = _data(run, names)
    kind, labels = data[0].kind, data[0].labels
    base = models.load_model(
        experiment.model,
        head=HEADS[kind],
        n_labels=1 if kind == "regression" else len(labels) or None,
        dtype=experiment.training.precision,
        quantization=experiment.quantization,
        head_seed=experiment.seed,
    )
    model = adapters.load_adapter(base.model, run.adapter)
    layers = [m for m in model.modules() if isinstance(m, AdapterLayer)]
    variants = _variants(layers, _listed(engine), cuts)
    if start:
        variants.append((START, model.disable_adapter))
    collate, training = tasks.collate(base.tokenizer), experiment.training
    for each in data:
        chosen = getattr(each, side)[:rows]
        encoded = each.encode(chosen, base.tokenizer, training.max_length)
        for name, change in variants:
            with change(), evaluating(model):
                predictions = predict(
                    model, encoded, collate, training.batch_size, lambda: None, training.beta
                )
            log.info("%s %s: loss %.4f", run.path.name, name, predictions.loss)
            on = f"{each.name}, {side} rows"
            yield Variant(name, predictions.scores(kind, each.scale, each.labels), len(encoded), on)


def _data(run: RunDir, names: Sequence[str]) -> list[tasks.Task]:
    """Load the tasks; refuse a task whose labels differ from those of the run's head."""
    experiment = run.experiment
    source = tasks.load_task(experiment.task, seed=experiment.seed, **experiment.task_options)
    data = [
        source if name == experiment.task else tasks.load_task(name, seed=experiment.seed)
        for name in names
    ]
    for other in data:
        classes = other.kind == "classification"
        if other.kind != source.kind or (classes and other.labels != source.labels):
            raise Refusal(
                f"The task must be {source.name}, for which the head of {run.path.name} was "
                "trained, got "
                f"{other.name}."
            )
    return data


def draw(variants: Iterable[Variant]) -> Figure:
    """Draw the losses of variants, one panel per task.

    Example:
        >>> found = [Variant("as trained", {"loss": 4.0}, 8, "qa, test rows")]
        >>> draw(found).alt
        'Loss on qa, test rows: as trained 4.000.'
    """
    return loss_by_variant(
        [{"name": v.name, "on": v.on, "loss": v.scores["loss"], "rows": v.rows} for v in variants]
    )


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [names] if isinstance(names, str) else list(names or ())


def _variants(
    layers: list[AdapterLayer], engines: Sequence[str], cuts: Sequence[str]
) -> list[tuple[str, Callable[[], AbstractContextManager]]]:
    """Return each variant's name and a context manager that applies the variant.

    Raises `Refusal` before any computation if a variant is not possible.
    """
    variants: list[tuple[str, Callable[[], AbstractContextManager]]] = [("as trained", nullcontext)]
    for engine in engines:
        circuits = [layer for layer in layers if layer.changes["default"].circuits()]
        if not circuits:
            raise Refusal(f"engine must be empty for an adapter without a circuit, got {engine}.")
        for layer in circuits:
            change = layer.changes["default"]
            for circuit in change.circuits():
                check_engine(engine, circuit, CircuitBranch.readout_of(change.config))
        variants.append((f"on {engine}", functools.partial(_on_engine, circuits, engine)))
    for cut in cuts:
        tensors = [layer.adapter_tensors("default").get(CUTS[cut]) for layer in layers]
        present = [tensor for tensor in tensors if tensor is not None]
        if not present:
            raise Refusal(f"cut must be a tensor of the adapter, got {cut}.")
        variants.append((f"without {cut}", functools.partial(_at_zero, present)))
    return variants


@contextmanager
def _on_engine(layers: list[AdapterLayer], engine: str) -> Iterator[None]:
    """Run the circuits of these layers on another engine inside the block."""
    configs: list[Any] = [layer.changes["default"].config for layer in layers]
    before = [config.engine for config in configs]
    for config in configs:
        config.engine = engine
    try:
        yield
    finally:
        for config, name in zip(configs, before, strict=True):
            config.engine = name


@contextmanager
def _at_zero(tensors: list[torch.Tensor]) -> Iterator[None]:
    """Set these tensors to zero inside the block."""
    before = [tensor.detach().clone() for tensor in tensors]
    with torch.no_grad():
        for tensor in tensors:
            tensor.zero_()
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, values in zip(tensors, before, strict=True):
                tensor.copy_(values)
