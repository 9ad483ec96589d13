"""Runs, spectra and commits of runs as plain data for figures and tables.

Reads run directories, including copies without checkpoints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.runs.launch import in_launch_order
from qtha_lab.runs.run import Run, list_runs, load_run


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
    return load_run(place)


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


def shared_names(names: Iterable[str]) -> dict[str, str]:
    """Map each absolute path to the fewest last parts that are unique.

    Example:
        >>> shared_names(["qa", "/home/ada/one/rows.jsonl", "/home/ada/two/rows.jsonl"])
        {'/home/ada/one/rows.jsonl': 'one/rows.jsonl', '/home/ada/two/rows.jsonl': 'two/rows.jsonl'}
    """
    paths = {name: PurePath(name).parts for name in names if PurePath(name).is_absolute()}
    shared = {}
    for name, parts in paths.items():
        others = [other for other in paths.values() if other != parts]
        count = next(
            n for n in range(1, len(parts) + 1) if all(o[-n:] != parts[-n:] for o in others)
        )
        shared[name] = "/".join(parts[-count:])
    return shared


def names_in(summary: Mapping[str, Any]) -> list[str]:
    """Return the models and tasks of the runs and contenders in a summary."""
    records = [*summary.get("runs", ()), *(summary.get("contenders") or ())]
    return [str(record[key]) for record in records for key in ("model", "task") if key in record]


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Replace names in every text of a nested value in one pass, the longest first."""
    if not names:
        return value
    if isinstance(value, str):
        known = map(re.escape, sorted(names, key=len, reverse=True))
        return re.sub("|".join(known), lambda match: names[match[0]], value)
    if isinstance(value, Mapping):
        return {key: renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(renamed(inner, names) for inner in value)
    return value


GROUP = "comparisons"
EARLIER_TRIAL_SEEDS = [1000]  # of folders that do not state them, written before 0.4.0


def described(file: Path) -> Comparison:
    """Read the `comparison.yaml` of a folder; an earlier one may lack the trial seeds."""
    comparison = Comparison.from_yaml(file, links=False)
    tuning = comparison.tuning
    if tuning is None or "seeds" in tuning.model_fields_set:
        return comparison
    return comparison.replace(tuning=tuning.replace(seeds=EARLIER_TRIAL_SEEDS))


def contender_records_of(run: Run) -> tuple[Path, list[dict[str, Any]]] | None:
    """Return the comparison's folder of a run with its tuned contenders; None without one.

    The contenders have their losses by trial seed. Records of another form, as of damaged or
    earlier summaries, are omitted.
    """
    runs_dir, name = run.path.parent, run.experiment.name
    shared = [runs_dir / GROUP / name] if name else []
    own = [runs_dir.parent] if runs_dir.name == "runs" else []
    for place in (*shared, *own):
        if (place / "comparison.yaml").is_file():
            records = (read_mapping(place / "summary.json") or {}).get("contenders")
            return place, list(filter(_is_tuned, records if isinstance(records, list) else []))
    return None


def _is_tuned(record: Any) -> bool:
    """Return True if a contender's record has its point and losses by seed."""
    if not isinstance(record, dict):
        return False
    texts = [record.get(name) for name in ("model", "task", "declared", "method")]
    dicts = [record.get(name) for name in ("task_options", "point", "tried")]
    if not all(isinstance(each, str) for each in texts):
        return False
    return all(isinstance(each, dict) for each in dicts) and all(
        isinstance(losses, list) and all(isinstance(loss, int | float) for loss in losses)
        for losses in record["tried"].values()
    )
