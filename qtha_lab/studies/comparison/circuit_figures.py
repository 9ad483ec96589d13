"""Circuit figures of runs: diagrams, and recorded inputs and outputs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.figures.circuit import GateRow, circuit_diagram
from qtha_lab.figures.circuit_history import circuit_history
from qtha_lab.figures.circuit_inputs import by_block, circuit_inputs, over_steps
from qtha_lab.figures.machinery.figure import Figure

log = logging.getLogger(__name__)
Events = Sequence[Mapping[str, Any]]


def diagrams(
    experiments: Mapping[str, Experiment | Reproduced], on_left_out: Callable[[str], None]
) -> Iterator[tuple[str, Figure]]:
    """Draw each different circuit once, with the labels of its methods."""
    drawn: dict[str, tuple[Any, list[str]]] = {}
    for label, experiment in experiments.items():
        try:
            different = circuits_of(experiment)
        except Refusal as refused:
            on_left_out(f"no circuit of {label}: {refused}")
            continue
        for circuit in different:
            size = f", {circuit.n_qubits} qubits" if len(different) > 1 else ""
            drawn.setdefault(repr(gate_rows(circuit)), (circuit, []))[1].append(f"{label}{size}")
    for circuit, labels in drawn.values():
        rows = cast(list[GateRow], gate_rows(circuit))
        yield ", ".join(labels), circuit_diagram(circuit.n_qubits, rows)


def circuits_of(experiment: Experiment | Reproduced) -> list[Any]:
    """Return the different circuits of an experiment, built without model weights."""
    if isinstance(experiment, Reproduced):
        return []
    from qtha_lab.adapters import OUR_METHODS
    from qtha_lab.circuits.ansatze.registry import ANSATZE
    from qtha_lab.models.catalogue import locate
    from qtha_lab.models.loading import files_of

    folder, revisions = locate(experiment.model), (OUR_METHODS.revision, ANSATZE.revision)
    files = files_of(folder) if folder else ()
    text = experiment.method.model_dump_json()
    return list(_circuits(text, experiment.model, files, revisions))


@functools.lru_cache(256)
def _circuits(method: str, model: str, files: tuple, revisions: tuple[int, int]) -> tuple[Any, ...]:
    """Return the circuits of a method; `files` and `revisions` change with model and plugins."""
    from qtha_lab import adapters, models

    choice = MethodChoice.model_validate_json(method)
    described = adapters.get_method(choice.name)
    if not described.ours:
        return ()
    targets = choice.target_modules or models.default_target_modules(model)
    config = described.make_config(None, targets, **choice.options)
    # the circuits do not depend on the head
    empty = models.empty_model(model, head="classification", n_labels=2)
    return tuple(adapters.circuits_of(empty, config))


def has_circuit(experiment: Experiment | Reproduced) -> bool:
    """Return True if a method runs a circuit; True if its model is unavailable."""
    try:
        return bool(circuits_of(experiment))
    except Refusal as refused:
        log.debug("circuits of %s: %s", experiment, refused)
        return True


def recorded_numbers(events: Mapping[str, Events]) -> Iterator[Figure]:
    """Draw recorded circuit inputs and outputs, at first and last step and over training.

    Args:
        events: Events of one run per method with a circuit, by method label.
    """
    histories = {label: history for label, of in events.items() if (history := over_steps(of))}
    if histories:
        yield circuit_inputs({label: by_block(events[label]) for label in histories})
    histories = {label: history for label, history in histories.items() if len(history) > 2}
    if histories:  # more than first and last step
        yield circuit_history(histories)
