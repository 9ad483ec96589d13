"""A trained adapter elsewhere: on another engine, another task, or with a part of it cut off.

Trains nothing and writes nothing. What is cut is set to zero, as it stands in the trained adapter.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from qtha_lab import adapters, models, tasks
from qtha_lab.adapters.branches import CircuitBranch
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.errors import Refusal
from qtha_lab.experiment import editions
from qtha_lab.experiment.plan import HEADS
from qtha_lab.rundir import RunDir
from qtha_lab.rundir.plugins import bring_plugins
from qtha_lab.simulators import check_engine
from qtha_lab.training.evaluation import evaluating, predict

log = logging.getLogger(__name__)

Side = Literal["test", "eval", "train"]
CUTS = {"W_q": "W_q", "W_c": "W_c", "angles": "params"}
"""What can be cut, and the tensor that is set to zero."""


@dataclass(frozen=True)
class Variant:
    """One way in which the adapter was evaluated.

    Attributes:
        name: "as trained", or what differs.
        scores: Loss and scores.
        rows: How many rows.
    """

    name: str
    scores: dict[str, float]
    rows: int


def evaluate_elsewhere(
    run: RunDir,
    *,
    engine: str | None = None,
    task: str | None = None,
    side: Side = "test",
    rows: int | None = 128,
    cuts: Sequence[str] = (),
) -> Iterator[Variant]:
    """The adapter of a finished run: as trained, then on the engine, then with each part cut off.

    Args:
        run: Its directory.
        engine: A simulator or `device:NAME(option=value)`; None leaves that out.
        task: Another task; None is the run's own.
        side: Which rows.
        rows: The most of them; None is all.
        cuts: Parts to cut off, one at a time: names of `CUTS`.

    Raises:
        Refusal: If there is no adapter, it has no such part, the engine cannot run its circuit, or a classifier has
            other labels than the task, or the run trained on the test rows.
    """
    for cut in cuts:
        if cut not in CUTS:
            raise Refusal(f"cut must be one of {', '.join(CUTS)}, not {cut!r}")
    experiment = run.experiment
    if not run.adapter.is_dir():
        raise Refusal(f"run {run.path.name} has no adapter yet: let it finish first")
    edition = editions.recorded(run.experiment_file.read_text(encoding="utf-8"))
    if task is None and side == "test" and edition < editions.TESTED:
        raise Refusal(
            f"run {run.path.name} was recorded before tasks had test rows, and trained on some of them: "
            "take its evaluation rows (side eval) or another task"
        )
    bring_plugins(run)
    options = experiment.task_options if task is None else {}
    source = tasks.load_task(experiment.task, seed=experiment.seed, **experiment.task_options)
    data = source if task is None else tasks.load_task(task, seed=experiment.seed, **options)
    if data.kind != source.kind or (data.kind == "classification" and data.labels != source.labels):
        raise Refusal(
            f"the head of {run.path.name} was trained for {source.name}, not for {data.name}"
        )
    base = models.load_model(
        experiment.model, head=HEADS[data.kind], n_labels=len(data.labels) or None,
        dtype=experiment.training.precision, quantization=experiment.quantization,
        head_seed=experiment.seed,
    )  # fmt: skip
    model = adapters.load_adapter(base.model, run.adapter)
    layers = [m for m in model.modules() if isinstance(m, AdapterLayer)]
    ways = _ways(layers, engine, cuts)
    chosen = getattr(data, side)[:rows]
    encoded = data.encode(chosen, base.tokenizer, experiment.training.max_length)
    collate, size = tasks.collate(base.tokenizer), experiment.training.batch_size
    for name, change in ways:
        with change, evaluating(model):
            predictions = predict(model, encoded, collate, size, lambda: None)
        log.info("%s %s: loss %.4f", run.path.name, name, predictions.loss)
        yield Variant(name, predictions.scores(data.kind), len(encoded))


def _ways(layers: list[AdapterLayer], engine: str | None, cuts: Sequence[str]) -> list[tuple]:
    """What differs, each with a block in which it does; refused before anything is computed."""
    ways: list[tuple[str, Any]] = [("as trained", _on_engine([], ""))]
    if engine is not None:
        circuits = [layer for layer in layers if layer.changes["default"].circuits()]
        if not circuits:
            raise Refusal(f"the adapter runs no circuit, so none on engine {engine}")
        for layer in circuits:
            change = layer.changes["default"]
            for circuit in change.circuits():
                check_engine(engine, circuit, CircuitBranch.readout_of(change.config))
        ways.append((f"on {engine}", _on_engine(circuits, engine)))
    for cut in cuts:
        tensors = [layer.adapter_tensors("default").get(CUTS[cut]) for layer in layers]
        present = [tensor for tensor in tensors if tensor is not None]
        if not present:
            raise Refusal(f"the adapter has no {cut} to cut off")
        ways.append((f"without {cut}", _at_zero(present)))
    return ways


@contextmanager
def _on_engine(layers: list[AdapterLayer], engine: str) -> Iterator[None]:
    """While open, the circuits of these layers run on another engine."""
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
    """While open, these tensors are zero."""
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
