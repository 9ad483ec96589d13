"""Rows of the tables of runs: all columns, or title, result and age.

Pure functions over the frame of `qtha_lab.runs.table`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from qtha_lab.core.metrics import MEASURES, written
from qtha_lab.runs.table.columns import column_text, differing

from .runs_grid import Column, GridRow

if TYPE_CHECKING:
    import pandas

EDITABLE = ("name", "tags", "note")
WRONG = ("dead", "failed", "diverged", "unreadable")
WIDEST = 40  # characters


def grid_row(row: Mapping[str, Any], names: Sequence[str]) -> GridRow:
    """Return a row of the grid with the text of its cells."""
    cells = tuple(cell_text(row, name) for name in names)
    return GridRow(ids_of(row), cells, bool(row.get("pinned")), row["state"] in WRONG)


def ids_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the runs that a row represents."""
    return tuple(row["members"] or (row["run"],))


def cell_text(row: Mapping[str, Any], name: str) -> str:
    """Format a cell; a running run shows its progress."""
    cell = column_text(row, name)
    if name == "state" and row.get("step") and row.get("steps") and cell == "running":
        return f"running {row['step']}/{row['steps']}"
    return cell


def plain_value(value: Any) -> Any:
    """Convert a cell to a plain value; a list becomes comma-separated text."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def column_of(name: str, sample: Iterable[Mapping[str, Any]]) -> Column:
    """Return a column as wide as its cells, within bounds."""
    cells = [cell_text(row, name) for row in sample]
    least = 16 if name in (*EDITABLE, "state") else 4
    width = min(WIDEST, max([len(name) + 3, least, *(len(cell) + 2 for cell in cells)]))
    numbers = [row.get(name) for row in sample if row.get(name) is not None]
    numeric = bool(numbers) and all(
        isinstance(n, int | float) and not isinstance(n, bool) for n in numbers
    )
    return Column(name, width, numeric, name in EDITABLE)


COLUMNS = (
    Column("name", 16, editable=True, sortable=False),
    Column("result", 15, sortable=False),
    Column("differences", 28, sortable=False),
    Column("age", 11, sortable=False),
)
# columns of every row, beside the settings that differ
SHOWN = ["run", "name", "method", "seed", "state", "step", "steps", "eval_loss"]
SHOWN += ["tags", "note", "pinned"]
SHORT = {"learning_rate": "rate", "bond_dim": "bond", "n_layers": "layers", "n_qubits": "qubits"}
NO_USUAL = object()
# the name of a launch, which its runs have unless a user names them; "workbench …" until 0.3
LAUNCHED = re.compile(r"workbench |\d{8}-\d{6}-[0-9a-f]{4}$")


def brief_rows(table: "pandas.DataFrame", now: datetime) -> list[GridRow]:
    """Return rows with a heading per launch or sweep, the newest group first.

    Args:
        table: Runs, newest first.
        now: The present time, with a time zone.

    Example:
        >>> from qtha_lab.runs.table.frame import as_frame
        >>> row = {"run": "20261129-101500-tiny-qa-lora-s0-1a2b", "origin": "launch", "name": "",
        ...        "state": "finished", "model": "tiny", "task": "qa", "method": "lora", "seed": 0,
        ...        "eval_loss": 4.5, "tags": []}
        >>> at = datetime(2026, 11, 29, 10, 18, tzinfo=UTC)
        >>> [line.cells[1] for line in brief_rows(as_frame([row]), at)]
        ['', '4.500']
    """
    launches = map(_launch_of, table["run"], table["name"], table["origin"])
    groups = table.groupby(list(launches), sort=False)
    usual = _usual_values(table)
    return [line for _, members in groups for line in _group(members, usual, now)]


def _usual_values(table: "pandas.DataFrame") -> dict[tuple[str, str], object]:
    """Return the most frequent value of each differing setting, by method and setting.

    A setting without a single most frequent value has `NO_USUAL`, so that every row names it.
    """
    usual = {}
    for method, members in table.groupby("method", dropna=False):
        for name in differing(members):
            values = [value if value.__hash__ else repr(value) for value in members[name]]
            first, second = Counter(values).most_common(2)
            usual[str(method), name] = first[0] if first[1] > second[1] else NO_USUAL
    return usual


def of_yesterday(table: "pandas.DataFrame", now: datetime) -> "pandas.DataFrame":
    """Return the runs that were made yesterday, in local time.

    Example:
        >>> noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
        >>> from qtha_lab.runs.table.frame import as_frame
        >>> runs = [{"run": f"202611{day}-120000-tiny-qa-lora-s0-1a2b"} for day in (29, 28, 27)]
        >>> [run[:8] for run in of_yesterday(as_frame(runs), noon)["run"]]
        ['20261128']
    """
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    begin, end = (
        (midnight - timedelta(days=days)).astimezone(UTC).strftime("%Y%m%d-%H%M%S")
        for days in (1, 0)
    )
    return table[[begin <= run[:15] < end for run in table["run"]]]


def _launch_of(run: str, name: str, origin: str) -> str:
    """Return the sweep or reproduction, else the launch, to which a run belongs."""
    if origin != "launch":
        return origin
    return f"launch {name if LAUNCHED.match(name) else run[:13]}"


def _group(
    members: "pandas.DataFrame", usual: Mapping[tuple[str, str], object], now: datetime
) -> list[GridRow]:
    """Return heading and rows; a row names the settings that differ."""
    names = {*differing(members)} if len(members) > 1 else set()
    for (method, name), value in usual.items():
        of_method = members.loc[members["method"].astype(str) == method, name]
        if any((each if each.__hash__ else repr(each)) != value for each in of_method):
            names.add(name)
    names = (names | {"learning_rate"}) - {"method", "seed"}
    of_variants = {n for _, of in members.groupby("method", dropna=False) for n in differing(of)}
    order = sorted(names, key=lambda n: (n not in of_variants, n != "learning_rate", n))
    shown = [n for n in order if n in members]
    losses = members["eval_loss"].dropna()
    best = losses.min() if len(losses) > 1 else None
    needed = list(dict.fromkeys([*SHOWN, *shown]))
    heading = GridRow(tuple(members["run"]), (_heading(members, now), "", "", ""), heading=True)
    return [heading, *(_line(row, shown, best, now) for row in members[needed].to_dict("records"))]


def _heading(members: "pandas.DataFrame", now: datetime) -> str:
    first = members.iloc[-1]
    kind = first["origin"].partition(" ")[0]
    methods = ", ".join(dict.fromkeys(name or "?" for name in members["method"][::-1]))
    place = f"{first['model'] or '?'} · {first['task'] or '?'}"
    count = f"{len(members)} run{'s' if len(members) > 1 else ''}"
    day = day_of(first["run"], now)
    return " · ".join(filter(None, [day, kind, place, methods, count]))


def _line(row: Mapping, names: list[str], best: float | None, now: datetime) -> GridRow:
    annotations = [row["note"], *row["tags"]]
    name = row["name"] or ""
    title = str(row["method"] or row["run"])
    title = title if row["seed"] is None else f"{title} · seed {row['seed']}"
    title = name if name and not LAUNCHED.match(name) else title
    parts = [
        f"{SHORT.get(name, name.replace('_', ' '))} {_value(row[name])}"
        for name in names
        if row[name] not in (None, "")
    ]
    differs = " · ".join([*parts, *filter(None, annotations)])
    is_best = best is not None and row["eval_loss"] == best
    cells = (title, _result(row) + (" · best" if is_best else ""), differs, age(row["run"], now))
    return GridRow((row["run"],), cells, bool(row["pinned"]), row["state"] in WRONG)


def _result(row: Mapping) -> str:
    loss, state = row["eval_loss"], row["state"]
    number = "" if loss is None else written(MEASURES["eval_loss"], loss)
    if state == "finished" and number:
        return number
    if state == "running" and row["steps"]:
        return f"running {row['step']}/{row['steps']}"
    return " · ".join(filter(None, [state, number]))


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def time_of(run_id: str) -> datetime | None:
    """Return the time at which a run was made, from its id; None without one."""
    try:
        return datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def age(run_id: str, now: datetime) -> str:
    """Return the age of a run in words.

    Example:
        >>> age("20261129-101500-a", datetime(2026, 11, 29, 10, 18, tzinfo=UTC))
        '3 min ago'
    """
    begin = time_of(run_id)
    if begin is None:
        return ""
    minutes = max(0, int((now - begin).total_seconds() // 60))
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 60 * 24 else f"{minutes // 1440} d ago"


def day_of(run_id: str, now: datetime) -> str:
    """Return the day and the local time of a run.

    Example:
        >>> day_of("20261129-101500-a", datetime(2026, 11, 29, 10, 18, tzinfo=UTC))[:5]
        'today'
    """
    begin = time_of(run_id)
    if begin is None:
        return ""
    local, today = begin.astimezone(), now.astimezone().date()
    days = {today: "today", today - timedelta(days=1): "yesterday"}
    return f"{days.get(local.date(), f'{local:%Y-%m-%d}')} {local:%H:%M}"
