"""Rows of the brief table of runs: title, result, differences and age.

Pure functions over the rows of `qtha_lab.runs.table`.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from qtha_lab.core.metrics import MEASURES, written
from qtha_lab.runs.table.columns import differing
from qtha_lab.runs.table.rows import Row

from .runs_grid import Column, GridRow

COLUMNS = (
    Column("name", 16, editable=True, sortable=False),
    Column("result", 15, sortable=False),
    Column("differences", 28, sortable=False),
    Column("age", 11, sortable=False),
)
WRONG = ("dead", "failed", "diverged", "unreadable")
SHORT = {"learning_rate": "rate", "bond_dim": "bond", "n_layers": "layers", "n_qubits": "qubits"}
LAUNCHED = "workbench "  # beginning of the name of a run that the page launched


def brief_rows(rows: Sequence[Row], now: datetime) -> list[GridRow]:
    """Return rows with a heading per launch or sweep, the newest group first.

    Args:
        rows: Rows, newest first.
        now: The present time, with a time zone.

    Example:
        >>> row = {"run": "20261129-101500-tiny-qa-lora-s0-1a2b", "origin": "launch", "name": "",
        ...        "state": "finished", "model": "tiny", "task": "qa", "method": "lora", "seed": 0,
        ...        "eval_loss": 4.5}
        >>> at = datetime(2026, 11, 29, 10, 18, tzinfo=UTC)
        >>> [line.cells[1] for line in brief_rows([row], at)]
        ['', '4.500']
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_group_of(row), []).append(row)
    return [line for members in groups.values() for line in _group(members, now)]


def of_yesterday(rows: Sequence[Row], now: datetime) -> list[Row]:
    """Return the rows of runs that were made yesterday, in local time.

    Example:
        >>> noon = datetime(2026, 11, 29, 12, tzinfo=UTC)
        >>> rows = [{"run": f"202611{day}-120000-tiny-qa-lora-s0-1a2b"} for day in (29, 28, 27)]
        >>> [row["run"][:8] for row in of_yesterday(rows, noon)]
        ['20261128']
    """
    midnight = now.astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    begin, end = (
        (midnight - timedelta(days=days)).astimezone(UTC).strftime("%Y%m%d-%H%M%S")
        for days in (1, 0)
    )
    return [row for row in rows if begin <= row["run"][:15] < end]


def _group_of(row: Row) -> str:
    """Return the sweep or reproduction, else the launch, to which a run belongs."""
    if row.get("origin", "launch") != "launch":
        return row["origin"]
    name = row.get("name") or ""
    return f"launch {name if name.startswith(LAUNCHED) else row['run'][:13]}"


def _group(members: list[Row], now: datetime) -> list[GridRow]:
    ids = tuple(row["run"] for row in members)
    names = differing(members) - {"method", "seed", "learning_rate"} if len(members) > 1 else set()
    shown = [n for n in ("learning_rate", *sorted(names)) if any(n in row for row in members)]
    losses = [row["eval_loss"] for row in members if row.get("eval_loss") is not None]
    best = min(losses) if len(losses) > 1 else None
    heading = GridRow(ids, (_heading(members, now), "", "", ""), heading=True)
    return [heading, *(_line(row, shown, best, now) for row in members)]


def _heading(members: list[Row], now: datetime) -> str:
    first = members[-1]
    kind = first.get("origin", "launch").partition(" ")[0]
    methods = ", ".join(dict.fromkeys(str(row.get("method", "?")) for row in members[::-1]))
    place = f"{first.get('model', '?')} · {first.get('task', '?')}"
    count = f"{len(members)} run{'s' if len(members) > 1 else ''}"
    day = day_of(first["run"], now)
    return " · ".join(filter(None, [day, kind, place, methods, count]))


def _line(row: Row, names: list[str], best: float | None, now: datetime) -> GridRow:
    annotations = [row.get("note"), *row.get("tags", ())]
    name = row.get("name") or ""
    title = str(row.get("method") or row["run"])
    title = title if "seed" not in row else f"{title} · seed {row['seed']}"
    title = name if name and not name.startswith(LAUNCHED) else title
    parts = [
        f"{SHORT.get(name, name.replace('_', ' '))} {_value(row[name])}"
        for name in names
        if row.get(name) not in (None, "")
    ]
    differs = " · ".join([*parts, *filter(None, annotations)])
    is_best = best is not None and row.get("eval_loss") == best
    cells = (title, _result(row) + (" · best" if is_best else ""), differs, age(row["run"], now))
    return GridRow((row["run"],), cells, bool(row.get("pinned")), row["state"] in WRONG)


def _result(row: Row) -> str:
    loss = row.get("eval_loss")
    number = "" if loss is None else written(MEASURES["eval_loss"], loss)
    state = row["state"]
    if state == "finished" and number:
        return number
    if state == "running" and row.get("steps"):
        return f"running {row.get('step', 0)}/{row['steps']}"
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
