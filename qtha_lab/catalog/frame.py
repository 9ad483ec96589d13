"""The table of runs as a pandas DataFrame."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.catalog.queries import query
from qtha_lab.catalog.rows import rows
from qtha_lab.runs import list_runs

if TYPE_CHECKING:
    import pandas


def runs_table(
    where: str = "",
    sort: str = "",
    *,
    grouped: bool = False,
    disk: bool = False,
    runs_dir: Path | str | None = None,
) -> pandas.DataFrame:
    """All runs of a folder with their settings and results, a row each.

    Args:
        where: Which runs, such as `method == "qtha" and eval_loss < 4.2 and "warm" in tags`.
        sort: Columns to sort by, `-` before one for large to small; else newest first.
        grouped: Take finished runs that differ in their seed only as one, with mean, least and most.
        disk: Also `disk_mib`, what each run takes on the disk.
        runs_dir: Default: `paths.runs_dir()`.

    Raises:
        Refusal: If `where` or `sort` names no column.

    Example:
        >>> runs_table('method == "lora"', sort="eval_loss")[["run", "eval_loss"]]  # doctest: +SKIP
    """
    import pandas

    listed = rows(list_runs(runs_dir, unreadable=True), disk)
    return pandas.DataFrame(query(listed, where, sort, grouped=grouped))
