"""The frame of runs: one row per run with identity, state, settings, measures and annotations.

A cell without a value is None. Reads records and checks the workers' locks; loads no method, so a
setting at the method's own default is missing.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.description import ModelTask
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.run_directory.disk import bytes_used
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.runs.table.columns import (
    DISK,
    FACTS,
    SAME,
    check_column,
    in_order,
    known,
    present,
    taken,
)
from qtha_lab.runs.table.filters import where as selected

if TYPE_CHECKING:
    import pandas

GROUPS = ("seeds",)
COSTS = {name: of for name, of in MEASURES.items() if of.kind == "run" and not of.learnt}


def frame(runs: Iterable[Run], disk: bool = False) -> pandas.DataFrame:
    """Return one row per run, in the order of the runs, by run id.

    Args:
        runs: Runs as returned by `qtha_lab.list_runs`, unreadable ones too.
        disk: Also measure the disk usage of each directory, which reads the size of every file.
    """
    return as_frame([values(run, disk) for run in runs])


def as_frame(rows: Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return values by column as a frame with all declared columns, missing values as None."""
    return _frame(rows, taken()).set_index("run", drop=False)


def _frame(rows: Iterable[Mapping[str, Any]], declared: Iterable[str]) -> pandas.DataFrame:
    import pandas

    table = pandas.DataFrame(rows, dtype=object)
    table = table.reindex(columns=in_order([*table.columns, *declared]))
    for measure in filter(lambda measure: measure.source, MEASURES.values()):
        table[measure.name] = table[measure.source] / measure.divisor
    return without_nan(table)


def without_nan(table: pandas.DataFrame) -> pandas.DataFrame:
    """Return a frame of plain objects, missing values as None."""
    return table.astype(object).where(table.notna(), None)


def results_frame(rows: pandas.DataFrame | Iterable[Mapping[str, Any]]) -> pandas.DataFrame:
    """Return the runs of a summary as a frame with one row per run.

    A frame stays as it is. Adds the pair `model_task` and `family`, the label without learning
    rate. A missing value is None. A row without a state is of a finished run.
    """
    import pandas

    if isinstance(rows, pandas.DataFrame):
        return rows
    return _frame([_result(row) for row in rows], (*FACTS, *MEASURES))


def _result(row: Mapping[str, Any]) -> dict[str, Any]:
    state = row.get("state", "finished")
    facts = {name: value for name, value in row.items() if name not in MEASURES}
    derived = {"state": state, "family": family(row), "model_task": ModelTask.of(row)}
    return facts | _measured(row, state) | derived


def family(row: Mapping[str, Any]) -> str:
    """Return the label of a run without its learning rate.

    Example:
        >>> family({"method": "lora", "options": {"r": 2}, "label": "lora(r=2,learning_rate=0.01)"})
        'lora(r=2)'
    """
    if "options" not in row:
        return row.get("label", "")
    layers = row.get("target_modules")
    return MethodChoice(name=row["method"], options=row["options"], target_modules=layers).label


def values(run: Run, disk: bool = False) -> dict[str, Any]:
    """Return the values of one run by column."""
    status = run.status()
    record = run.last_record
    annotations, described = record.annotations, dict(record.experiment)
    settings = {} if record.unreadable else {**_defaults(), **flat(described)}
    launched_as = settings.pop("name", "")
    summary = {} if record.flaw or not record.summary else record.summary
    if summary.get("learning_rate") is not None:
        settings["learning_rate"] = summary["learning_rate"]
    return {
        "run": run.id,
        "name": annotations.get("name") or launched_as,
        "state": status.state,
        "step": status.step,
        "message": (status.state == "finished" and record.flaw) or status.message,
        "origin": origin(record.origin),
        **settings,
        **_measured(summary, status.state),
        **({DISK: round(bytes_used(run.path) / 2**20, 2)} if disk else {}),
        "tags": annotations.get("tags", []),
        "note": annotations.get("note", ""),
        "pinned": annotations.get("pinned", False),
        SAME: _same(described, run.id),
        "path": str(run.path),
    }


def _measured(summary: Mapping[str, Any], state: str) -> dict[str, Any]:
    """Return the measures of a summary; a diverged run has learnt nothing that counts."""
    counted = MEASURES if state != "diverged" else COSTS
    return {n: summary[n] for n in counted.keys() & summary.keys() if summary[n] is not None}


def flat(described: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten the settings of a description, by the names of the command-line flags.

    An option of a method or a task with the name of another column is `method.…` or `task.…`, and a
    training setting with the name of a measure is `training.…`.

    Example:
        >>> method = {"name": "lora", "options": {"r": 2}}
        >>> flat({"model": "tiny", "method": method, "training": {"steps": 9}})
        {'model': 'tiny', 'steps': 9, 'method': 'lora', 'r': 2}
    """
    plain = {k: v for k, v in described.items() if not isinstance(v, dict)}
    method = described.get("method", {})
    placed = {k: v for k, v in method.items() if k not in ("name", "options")}
    return {
        **plain,
        **{_beside(k): v for k, v in described.get("training", {}).items()},
        **{_own("task", k): v for k, v in described.get("task_options", {}).items()},
        "method": method.get("name"),
        **placed,
        **{_own("method", k): v for k, v in method.get("options", {}).items()},
    }


def origin(fields: Mapping[str, Any] | None) -> str:
    """Return the origin of a run: `launch`, or the name of its sweep or reproduction.

    Example:
        >>> origin(None), origin({"sweep": "20261125-101500-1a2b", "trial": 3})
        ('launch', 'sweep 20261125-101500-1a2b')
    """
    kinds = (kind for kind in ("sweep", "reproduction") if fields and kind in fields)
    return next((f"{kind} {fields[kind]}" for kind in kinds if fields), "launch")


def _own(family: str, option: str) -> str:
    return f"{family}.{option}" if option in taken() else option


def _beside(setting: str) -> str:
    return f"training.{setting}" if setting in MEASURES else setting


@functools.cache
def _defaults() -> dict[str, Any]:
    return flat(Experiment().model_dump())


def _same(described: Mapping[str, Any], run_id: str) -> str:
    if not described:
        return run_id
    shared = {k: v for k, v in described.items() if k not in ("seed", "name")}
    return json.dumps(shared, sort_keys=True, default=str)


def query(
    table: pandas.DataFrame, where: str = "", sort: str = "", group: str = ""
) -> pandas.DataFrame:
    """Return the rows that an expression selects, sorted and grouped.

    Args:
        table: Runs as returned by `frame`.
        where: Filter (see `qtha_lab.runs.table.filters.where`); "" accepts all rows.
        sort: Columns, the first counts most: `eval_loss`, or `-seed,eval_loss` with the largest
            seed first; missing values come last. "" lists pinned runs, then newest first.
        group: "seeds" groups runs that differ only in their seed.

    Raises:
        Refusal: If an expression is invalid, or names no column.
    """
    if group and group not in GROUPS:
        raise Refusal(f"group must be one of {' or '.join(GROUPS)}, got {group!r:.60}.")
    chosen = table[selected(where, table)]
    chosen = seeds_grouped(chosen) if group and len(chosen) else chosen
    keys = [part.strip() for part in (sort or "-pinned").split(",") if part.strip()]
    names = [check_column(key.removeprefix("-"), known(chosen)) for key in keys]
    for key, name in zip(keys[::-1], names[::-1], strict=True):
        ascending = not key.startswith("-")
        chosen = chosen.sort_values(name, ascending=ascending, key=_ranks, kind="stable")
    return chosen


def _ranks(column: pandas.Series) -> pandas.Series:
    """Return sort keys: numbers before texts before lists, and none for a missing value."""
    return column.map(_rank).astype(object)


def _rank(value: Any) -> tuple[int, Any] | None:
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return 0, value
    return (1, value.lower()) if isinstance(value, str) else (2, repr(value))


def seeds_grouped(table: pandas.DataFrame) -> pandas.DataFrame:
    """Group runs that differ only in their seed, in the order of first runs.

    A group has its settings, `runs` (their number), `seeds`, `members` (the ids of the runs) and
    `state` (with counts if there are several). It has the mean of each measure over the runs with
    a value, and learnt measures also as `…_min` and `…_max`. Its tags are those that all runs have.
    """
    grouped = table.groupby(SAME, sort=False)
    measured = over_seeds(table, table[SAME])
    first = grouped.first()
    alike = grouped[["name", "message", "origin", "note"]].nunique(dropna=False) == 1
    groups = first.drop(columns=["run", "seed", "step"]).assign(
        **first[alike.columns].where(alike, None),
        **measured[[*MEASURES]],
        runs=grouped.size(),
        seeds=grouped["seed"].agg(lambda of: sorted({*of} - {None})),
        members=grouped["run"].agg(list),
        state=grouped["state"].agg(_counts),
        tags=grouped["tags"].agg(lambda of: [t for t in of.iloc[0] if all(t in o for o in of)]),
        pinned=grouped["pinned"].any(),
        **{DISK: grouped[DISK].agg(lambda of: None if of.isna().any() else round(sum(of), 2))},
    )
    groups = groups.join(measured.drop(columns=[*MEASURES])).copy().reset_index()
    return without_nan(groups.reindex(columns=in_order([*groups.columns, *taken()])))


def over_seeds(runs: pandas.DataFrame, group: pandas.Series) -> pandas.DataFrame:
    """Return the mean of each measure per group, with the ends of learnt measures.

    The ends are `…_min` and `…_max`. A measure with equal values has that value.
    """
    values = runs[[*MEASURES]]
    numbers = values.astype(float).groupby(group, sort=False)
    low, mean, high = numbers.min(), numbers.mean(), numbers.max()
    learnt = [name for name, measure in MEASURES.items() if measure.learnt]
    means = values.groupby(group, sort=False).first().where(~(low < high), mean)
    return means.join(low[learnt].add_suffix("_min")).join(high[learnt].add_suffix("_max"))


def _counts(states: pandas.Series) -> str:
    counts = states.value_counts(sort=False)
    return (
        ", ".join(f"{n} {state}" for state, n in counts.items())
        if len(counts) > 1
        else states.iloc[0]
    )


def runs_table(
    where: str = "",
    sort: str = "",
    group: str = "",
    *,
    runs_dir: Path | str | None = None,
    disk: bool = False,
) -> pandas.DataFrame:
    """Return all runs of a folder with settings, results and annotations, one per row.

    Args:
        where: Filter, such as `method == qtha and learning_rate >= 0.003`; "" accepts
            all.
        sort: Columns to sort by, such as `method,-eval_loss`; "" lists the newest first.
        group: "seeds" groups runs that differ only in their seed, with the mean of each measure.
        runs_dir: Default: `paths.runs_dir()`.
        disk: Add `disk_mib`, the disk usage of each run.

    Returns:
        Columns with a value in some run: identity, settings, measures (see `qtha_lab.core.metrics`)
        and annotations.

    Raises:
        Refusal: If an expression is invalid, or names no column.

    Example:
        >>> runs_table("method == lora", sort="eval_loss")["run"]  # doctest: +SKIP
    """
    import pandas

    table = frame(list_runs(runs_dir, unreadable=True), disk or needs_disk(where, sort))
    chosen = query(table, where, sort, group)
    return pandas.DataFrame({name: list(chosen[name]) for name in present(chosen)})


def matching(runs: Iterable[Run], where: str) -> list[Run]:
    """Return the runs that an expression selects.

    Raises:
        Refusal: If the expression is invalid.
    """
    runs = list(runs)
    chosen = selected(where, frame(runs, needs_disk(where)))
    return [run for run, is_chosen in zip(runs, chosen, strict=True) if is_chosen]


def needs_disk(*expressions: str) -> bool:
    """Return True if an expression names the disk usage, which is measured on demand.

    Example:
        >>> needs_disk("disk_mib > 100"), needs_disk("eval_loss < 4", "-disk_mib")
        (True, True)
    """
    return any(re.search(rf"\b{DISK}\b", expression) for expression in expressions)
