"""Findings on the circuits of compared runs: diagrams, inputs and outputs."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from qtha_lab.circuits.gate_table import gate_rows
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.figures.circuit_diagram import GateRow, circuit_diagram
from qtha_lab.figures.circuit_history import circuit_history
from qtha_lab.figures.circuit_inputs import Blocks, by_block, circuit_inputs, over_steps
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.finding import Finding, drawn_seeds, noted

log = logging.getLogger(__name__)


def why(compared: Compared) -> Finding:
    """Draw circuit inputs and outputs of one run per method, with their affine parts."""
    if not compared.runs:
        return Finding(["The directories of the runs are not here to be read."])
    recorded = compared.first_recorded(over_steps)
    facts = {name: by_block(of.value) for name, of in recorded.items()}
    if not facts:
        sentence = (
            "No run recorded what a circuit is fed: none of these methods has one, or they ran"
            " before it was recorded."
        )
        return Finding([sentence])
    sentence = (
        "One run of each method that has a circuit or something in its place, at its best learning"
        " rate."
    )
    sentences = [sentence, *_affine_parts(facts)]
    return Finding(sentences, [circuit_inputs(facts)], names=compared.names)


def _affine_parts(facts: Mapping[str, Mapping[str, Blocks]]) -> list[str]:
    """State the share of circuit output power that an affine map reproduces."""
    shares = {}
    for name, times in facts.items():
        blocks = times.get("end", {}).values()
        known = [part for block in blocks if (part := block.get("affine_part")) is not None]
        if known:
            shares[name] = f"{name} {100 * float(np.mean(known)):.0f} %"
    if not shares:
        return []
    return [
        "An affine map of what the bottleneck is fed would give as much of the power of ⟨Z⟩ at the"
        f" end, in the mean over blocks: {', '.join(shares.values())}; the rest is what a linear"
        " branch and a bias cannot do."
    ]


def diagrams(compared: Compared) -> Finding:
    """Draw each different circuit once, with the labels of its methods."""
    drawn: dict[str, tuple[Any, list[str]]] = {}
    left_out = []
    for name, experiment in _experiments(compared).items():
        try:
            different = circuits_of(experiment)
        except Refusal as refused:
            left_out.append(f"no circuit of {name}: {refused}")
            continue
        for circuit in different:
            size = f", {circuit.n_qubits} qubits" if len(different) > 1 else ""
            drawn.setdefault(repr(gate_rows(circuit)), (circuit, []))[1].append(f"{name}{size}")
    figures = []
    for circuit, names in drawn.values():
        rows, label = cast(list[GateRow], gate_rows(circuit)), ", ".join(names)
        figure = circuit_diagram(circuit.n_qubits, rows)
        figures.append(replace(figure, name=f"circuit_{label}", title=f"Circuit of {label}"))
    return Finding(figures=figures, left_out=left_out)


def _experiments(compared: Compared) -> dict[str, Experiment | Reproduced]:
    first = compared.drawn.drop_duplicates("name")
    runs = zip(first["name"], first["run_id"], strict=True)
    return {name: compared.runs[run_id].experiment for name, run_id in runs}


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


def _has_circuit(experiment: Experiment | Reproduced) -> bool:
    """Return True if a method runs a circuit; True if its model is unavailable."""
    try:
        return bool(circuits_of(experiment))
    except Refusal as refused:
        log.debug("circuits of %s: %s", experiment, refused)
        return True


def circuit_numbers(compared: Compared) -> Finding:
    """Draw recorded circuit inputs and outputs, at first and last step and over training."""
    with_circuit = {name for name, of in _experiments(compared).items() if _has_circuit(of)}
    recorded = compared.first_recorded(over_steps)
    recorded = {name: of for name, of in recorded.items() if name in with_circuit}
    if not recorded:
        return Finding()
    histories = {name: of.value for name, of in recorded.items()}
    figures = [circuit_inputs({name: by_block(history) for name, history in histories.items()})]
    # more than first and last step
    if histories := {name: history for name, history in histories.items() if len(history) > 2}:
        figures.append(circuit_history(histories))
    note = drawn_seeds({name: of.seed for name, of in recorded.items()})
    return Finding(figures=[noted(figure, note) for figure in figures])


def circuits(compared: Compared) -> Figure:
    """Draw circuit inputs and outputs by block, for one recorded run per method."""
    labels, histories, without = compared.labels, {}, {}
    seeds: dict[str, tuple[int, int]] = {}
    for run in compared.oldest_first:
        events, label = compared.events(run), labels[run.id]
        if not _has_circuit(run.experiment):
            without[label] = None
        elif history := over_steps(events):
            histories.setdefault(label, history)
            others = [other for other in compared.oldest_first if labels[other.id] == label]
            count = len({other.experiment.seed for other in others})
            seeds.setdefault(label, (run.experiment.seed, count))
        elif any(event["kind"] in ("eval", "train") for event in events):
            without[label] = None  # runs with a circuit record it before their first evaluation
    if not histories:
        names = ", ".join(without)
        why = (
            f"no circuit, or from before it was recorded: {names}" if names else "no run has begun"
        )
        raise Refusal(f"A run must have recorded circuit inputs, got none ({why}).")
    none = [label for label in without if label not in histories]
    return noted(circuit_history(histories, none), drawn_seeds(seeds))
