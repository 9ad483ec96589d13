"""Names of models and tasks in exported comparison files, without absolute paths."""

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any


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
    entries = [*summary.get("runs", ()), *(summary.get("contenders") or ())]
    return [str(entry[key]) for entry in entries for key in ("model", "task") if key in entry]


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Replace names in every text of a nested value, the longest first."""
    if not names:
        return value
    if isinstance(value, str):
        for name in sorted(names, key=len, reverse=True):
            value = value.replace(name, names[name])
        return value
    if isinstance(value, Mapping):
        return {key: renamed(inner, names) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(renamed(inner, names) for inner in value)
    return value
