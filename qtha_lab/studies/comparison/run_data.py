"""Entries, spectra and commits of runs as plain data for figures and tables.

Reads run directories, including copies without checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.core.metrics import with_units
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.launch_order import in_launch_order
from qtha_lab.runs.run import Run, attach, list_runs


def find_runs(places: Iterable[str | Path | Run]) -> list[Run]:
    """Return runs by id, by directory, or from a folder of runs or comparison.

    Raises:
        ValueError: If a place has no run.
    """
    by_path: dict[Path, Run] = {}
    for place in places:
        if isinstance(place, Run):
            by_path.setdefault(place.path, place)
            continue
        folder_runs = [
            run for folder in (Path(place), Path(place) / "runs") for run in list_runs(folder)
        ]
        is_folder = folder_runs and not RunDir(Path(place)).exists
        for run in in_launch_order(folder_runs) if is_folder else [_run_at(place)]:
            by_path.setdefault(run.path, run)
    return list(by_path.values())


def left_out(places: Iterable[str | Path]) -> dict[str, str]:
    """Return the unreadable runs in these places, by id, with the reason."""
    folders = [folder for place in places for folder in (Path(place), Path(place) / "runs")]
    runs_there = [run for folder in folders for run in list_runs(folder, unreadable=True)]
    return {run.id: reason for run in runs_there if (reason := run.unreadable)}


def _run_at(place: str | Path) -> Run:
    if Path(place).is_dir() and not RunDir(Path(place)).exists:
        raise Refusal(
            f"{place} must be a run, a folder of runs or a comparison's folder, got one without "
            "runs."
        )
    return attach(place)


def entries(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return one entry per run as in `summary.json`, with MiB and KiB units."""
    return [with_units(run.outcome()) for run in runs]


class SpectrumHistory(NamedTuple):
    """Recorded spectra of one layer's update over the training of a run.

    `values` are the singular values at each step. `bonds` are the entropies (bits) of each tensor
    network's bonds, (steps, bonds), for networks recorded at all steps.
    """

    layer: str
    steps: list[int]
    values: list[list[float]]
    effective_rank: float | None
    bonds: dict[str, list[list[float]]]


def spectra(events: Iterable[Mapping[str, Any]]) -> dict[str, SpectrumHistory]:
    """Return the recorded spectra of a run by layer.

    The last record of a step counts.

    A record is `{"kind": "spectrum", "step": …}` with the result of `qtha_lab.analysis.snapshot`:
    `"layers": {layer: {"singular_values": […], "effective_rank": …, "bond_entropy_bits": {…}}}`. A
    bare list of values in place of the inner mapping is also accepted.

    Example:
        >>> event = {"kind": "spectrum", "step": 5, "layers": {"0.q": [2.0, 1.0]}}
        >>> spectra([event])["0.q"].values
        [[2.0, 1.0]]
    """
    records: dict[str, dict[int, Mapping[str, Any]]] = {}
    for event in events:
        layers = event.get("layers") if event.get("kind") == "spectrum" else None
        for layer, record in layers.items() if isinstance(layers, Mapping) else ():
            record = record if isinstance(record, Mapping) else {"singular_values": record}
            if record.get("singular_values"):
                records.setdefault(layer, {})[event.get("step", 0)] = record
    return {layer: _spectrum(layer, by_step) for layer, by_step in records.items()}


def _spectrum(layer: str, by_step: dict[int, Mapping[str, Any]]) -> SpectrumHistory:
    """Order the records of a layer by step; pad short value lists with zeros."""
    steps = sorted(by_step)
    rows = [sorted((v or 0.0 for v in by_step[s]["singular_values"]), reverse=True) for s in steps]
    width = max(map(len, rows))
    values = [row + [0.0] * (width - len(row)) for row in rows]
    entropies = [by_step[step].get("bond_entropy_bits") or {} for step in steps]
    names = [
        name
        for name in entropies[0]
        if all(len(by_bond.get(name, ())) == len(entropies[0][name]) for by_bond in entropies)
    ]
    bonds = {name: [by_bond[name] for by_bond in entropies] for name in names}
    return SpectrumHistory(layer, steps, values, by_step[steps[-1]].get("effective_rank"), bonds)


def commits(runs: Iterable[Run]) -> list[str]:
    """Return the distinct git commits of the runs, with a mark for local changes."""
    names = []
    for run in runs:
        git = (read_mapping(run.files.environment) or {}).get("git")
        git = git if isinstance(git, dict) else {}
        if isinstance(commit := git.get("commit"), str):
            names.append(commit + (" with changes" if git.get("dirty") else ""))
    return list(dict.fromkeys(names))
