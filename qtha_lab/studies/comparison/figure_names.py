"""Order and short names of methods in figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.figures.machinery.table import Table
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.tuning import family

NAMES = ("short", "full")
Entry = dict[str, Any]


def names_of(labels: Iterable[str], names: str = "short") -> dict[str, str]:
    """Map each method label to its name in figures; titled methods keep their title.

    Raises:
        Refusal: If `names` is neither.

    Example:
        >>> names_of(["lora(r=2,learning_rate=0.01)", "qtha(r=4,waist=16)"])
        {'lora(r=2,learning_rate=0.01)': 'lora', 'qtha(r=4,waist=16)': 'qtha'}
    """
    if names not in NAMES:
        raise Refusal(f"names must be one of {', '.join(NAMES)}, got {names!r}.")
    labels = list(dict.fromkeys(labels))
    if names == "full":
        return {label: label for label in labels}
    untitled = short_names(label for label in labels if shown(label) == label)
    return {label: untitled.get(label, label) for label in labels}


def summary_beside(runs: Sequence[Run]) -> dict[str, Any]:
    """Read the summary of the comparison that contains all runs.

    Empty if the runs are from several folders or no summary exists.
    """
    folders = {run.path.parent.parent for run in runs if run.path.parent.name == "runs"}
    if len(folders) != 1:
        return {}
    return read_mapping(folders.pop() / "summary.json") or {}


def in_order(entries: Sequence[Entry], summary: Mapping[str, Any]) -> list[Entry]:
    """Sort entries by the method order of a comparison; other methods come last."""
    contenders = summary.get("contenders")
    places: dict[Any, int] = {}
    for record in contenders if isinstance(contenders, list) else ():
        if isinstance(record, dict) and isinstance(record.get("method"), str):
            places.setdefault(record["method"], len(places))
    return sorted(entries, key=lambda entry: places.get(family(entry), len(places)))


def key(entries: Sequence[Entry], names: Mapping[str, str]) -> Table:
    """Return a table of the short names with their full labels."""
    first: dict[str, Entry] = {}
    for entry in entries:
        first.setdefault(entry["label"], entry)
    rows = [
        (shown(names[label]), label, entry.get("trainable_parameters"))
        for label, entry in first.items()
    ]
    return Table(("method", "in full", "trainable_parameters"), rows)


def drawn_seeds(seeds: Mapping[str, tuple[int, int]]) -> str:
    """State the drawn seed of each method; "" if every method has one seed.

    Args:
        seeds: Drawn seed and number of seeds, by name.

    Example:
        >>> drawn_seeds({"lora": (10, 20), "qtha": (10, 20)}), drawn_seeds({"lora": (0, 1)})
        ('Drawn is seed 10 of 20 seeds.', '')
        >>> drawn_seeds({"lora": (0, 3), "qtha": (1, 3)})
        'Drawn are lora: seed 0 of 3 seeds; qtha: seed 1 of 3 seeds.'
    """
    if all(count < 2 for _, count in seeds.values()):
        return ""
    words = {name: f"seed {seed} of {count} seeds" for name, (seed, count) in seeds.items()}
    if len(set(words.values())) == 1:
        return f"Drawn is {next(iter(words.values()))}."
    return f"Drawn are {'; '.join(f'{shown(name)}: {of}' for name, of in words.items())}."
