"""The table of all runs of a folder: which, in what order, seeds by themselves or as one; rows or a DataFrame.

Plain Python over the index of the folder: filtering and sorting 10,000 rows takes less than importing a database.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.runs.table.columns import known, present
from qtha_lab.runs.table.filters import where as filter_of
from qtha_lab.runs.table.groups import grouped
from qtha_lab.runs.table.order import ordered
from qtha_lab.runs.table.rows import DISK, Row, rows
from qtha_lab.runs.run import Run, list_runs

if TYPE_CHECKING:
    import pandas


def query(listed: list[Row], where: str = "", sort: str = "", group: str = "") -> list[Row]:
    """The rows that are meant, in their order.

    Args:
        listed: As `qtha_lab.runs.table.rows.rows` gives them.
        where: Which runs (see `qtha_lab.runs.table.filters.where`); empty takes all.
        sort: Columns to sort by, `-` before one for large to small; empty leaves the newest first, after those pinned.
        group: "seeds" takes runs that differ in nothing but their seed as one.

    Raises:
        Refusal: If an expression cannot be read, or names no column.
    """
    test = filter_of(where, known(listed))
    chosen = grouped([row for row in listed if test(row)], group)
    return ordered(chosen, sort or "-pinned", known(chosen))


def runs_table(
    where: str = "",
    sort: str = "",
    group: str = "",
    *,
    runs_dir: Path | str | None = None,
    disk: bool = False,
) -> pandas.DataFrame:
    """All runs of a folder with their settings, results and marks, a row each.

    Args:
        where: Which runs, such as `method = qtha and learning_rate >= 0.003 and tag:best`; empty takes all.
        sort: Columns to sort by, such as `method,-eval_loss`; empty takes the newest first.
        group: "seeds" takes runs that differ in nothing but their seed as one, with the mean of each measure.
        runs_dir: Default: `paths.runs_dir()`.
        disk: Also `disk_mib`, what each run takes on the disk.

    Returns:
        Columns in which some run has a value: who it is, its settings, its measures (see `qtha_lab.core.metrics`), its
        marks.

    Raises:
        Refusal: If an expression cannot be read, or names no column.

    Example:
        >>> runs_table("method = lora", sort="eval_loss")[["run", "r", "eval_loss"]]  # doctest: +SKIP
    """
    import pandas

    disk = disk or needs_disk(where, sort)
    chosen = query(rows(list_runs(runs_dir, unreadable=True), disk), where, sort, group)
    return pandas.DataFrame(chosen, columns=present(chosen))


def matching(runs: Iterable[Run], where: str) -> list[Run]:
    """The runs that an expression means.

    Raises:
        Refusal: If it cannot be read.
    """
    runs = list(runs)
    listed = rows(runs, needs_disk(where))
    test = filter_of(where, known(listed))
    return [run for run, row in zip(runs, listed, strict=True) if test(row)]


def needs_disk(*expressions: str) -> bool:
    """Whether an expression names what runs take on the disk, which is measured when it is asked for.

    Example:
        >>> needs_disk("disk_mib > 100"), needs_disk("eval_loss < 4", "-disk_mib")
        (True, True)
    """
    return any(re.search(rf"\b{DISK}\b", expression) for expression in expressions)
