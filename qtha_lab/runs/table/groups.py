"""Groups of runs that differ only in their seed, with mean, minimum and maximum."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.runs.table.rows import DISK, SAME, Row

BY = ("seeds",)


def group_rows(rows: list[Row], by: str) -> list[Row]:
    """Group rows by description, or return them unchanged.

    A group takes the position of its first run.

    Args:
        rows: Rows as returned by `qtha_lab.runs.table.rows.rows`.
        by: "seeds", or "" for the rows as they are.

    Returns:
        A group has its settings, `runs` (their number), `seeds`, `members` (the ids of the runs)
            and
        `state` (with counts if there are several). It has the mean of each measure over the runs
            with a
        value, and learnt measures also as `…_min` and `…_max`. Its tags are those that all runs
            have.

    Raises:
        Refusal: If `by` is neither.

    Example:
        >>> same = {"state": "finished", "same": "{}"}
        >>> pair = [{"run": f"r{s}", "seed": s, "eval_loss": 4.0 + s, **same} for s in (0, 1)]
        >>> group_rows(pair, "seeds")[0]["eval_loss"], group_rows(pair, "seeds")[0]["members"]
        (4.5, ['r0', 'r1'])
    """
    if by and by not in BY:
        raise Refusal(f"group must be one of {' or '.join(BY)}, got {by!r:.60}.")
    return _groups(rows) if by else rows


def _groups(rows: Iterable[Row]) -> list[Row]:
    members: dict[str, list[Row]] = {}
    for row in rows:
        members.setdefault(row[SAME], []).append(row)
    return [_group(part) for part in members.values()]


def _group(rows: list[Row]) -> Row:
    states = Counter(row["state"] for row in rows)
    counts = ", ".join(f"{count} {state}" for state, count in states.items())
    seeds = sorted({row["seed"] for row in rows if "seed" in row})
    group = _shared(rows) | {
        "runs": len(rows),
        "seeds": seeds,
        "members": [row["run"] for row in rows],
        "state": counts if len(states) > 1 else rows[0]["state"],
        "tags": [t for t in rows[0].get("tags", ()) if all(t in row["tags"] for row in rows)],
        "pinned": any(row.get("pinned") for row in rows),
        SAME: rows[0][SAME],
    }
    for name, measure in MEASURES.items():
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            group[name] = statistics.fmean(values) if len(set(values)) > 1 else values[0]
            if measure.learnt:
                group |= {f"{name}_min": min(values), f"{name}_max": max(values)}
    if DISK in rows[0]:
        group[DISK] = round(sum(row[DISK] for row in rows), 2)
    return group


def _shared(rows: list[Row]) -> dict[str, Any]:
    """Return the fields with equal values in all rows, such as the settings."""
    first, others = rows[0], rows[1:]
    exceptions = {*MEASURES, "run", "seed", "step"}
    rate = next((row["learning_rate"] for row in rows if row.get("learning_rate")), None)
    alike = {
        name: value
        for name, value in first.items()
        if name not in exceptions and all(row.get(name) == value for row in others)
    }
    return alike | ({} if rate is None else {"learning_rate": rate})
