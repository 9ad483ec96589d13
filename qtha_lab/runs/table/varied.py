"""Settings that differ between runs, and short labels made of them.

Fills options that a description omits, for which a method may be loaded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from qtha_lab.core import call_syntax
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.runs.run import Run
from qtha_lab.runs.table.columns import distinct, settings_in, taken
from qtha_lab.runs.table.frame import frame

if TYPE_CHECKING:
    import pandas

OF_NO_EFFECT = frozenset(
    {"seed", "threads", "report_to", "checkpoint_every", "eval_every", "spectrum_every", "title"}
)
"""Settings without effect on learning results."""
NESTED = ["plugins", "task_options", "training", "rate_ratios"]


def filled(runs: Iterable[Run], defaults: bool = True) -> pandas.DataFrame:
    """Return readable runs, oldest first, with one column per axis of a sweep.

    Args:
        runs: Runs of any folders.
        defaults: If true, fill options that only some runs of a method set with the method's
            defaults; this may load the method.
    """
    runs = sorted((run for run in runs if not run.unreadable), key=lambda run: run.id)
    table = frame(runs)
    for group in dict.fromkeys(name for of in table["rate_ratios"] for name in of):
        table[f"rate_ratios.{group}"] = [of.get(group, 1) for of in table["rate_ratios"]]
    table["target_modules"] = [of and ", ".join(of) for of in table["target_modules"]]
    options = [name for name in settings_in(table) if name not in taken()]
    if defaults:
        _fill_options(table, options)
        table["learning_rate"] = list(map(_rate, table["learning_rate"], runs))
    first = ["method", "learning_rate", *options, "target_modules"]
    others = [name for name in table.columns if name not in (*first, *NESTED)]
    return table[[*first, *others]]


def _fill_options(table: pandas.DataFrame, options: Iterable[str]) -> None:
    from qtha_lab.adapters import get_method

    for method, members in table.groupby("method", sort=False):
        missing = members[options].isna()
        for name in missing.columns[missing.any() & ~missing.all()]:
            declared = get_method(str(method)).settings().get(name.removeprefix("method."))
            if declared is not None:
                places = table["method"].eq(method) & table[name].isna()
                table[name] = table[name].mask(places, declared.default)


def _rate(rate: float | None, run: Run) -> float | None:
    is_known = rate is not None or isinstance(run.experiment, Reproduced)
    return rate if is_known else run.experiment.method.peak_learning_rate


def varied(table: pandas.DataFrame, beside: Collection[str] = OF_NO_EFFECT) -> list[str]:
    """Return the settings with several values, the method first."""
    names = [name for name in settings_in(table) if name not in beside]
    return [name for name in names if len(distinct(table[name].dropna())) > 1]


def short_labels(table: pandas.DataFrame, apart: Collection[str] = ()) -> dict[str, str]:
    """Return a short label per run id: method and distinctive settings."""
    labels: dict[str, str] = {}
    for method, members in table.groupby("method", sort=False):
        names = varied(members, OF_NO_EFFECT | {*apart})
        for run, row in zip(members["run"], members[names].to_dict("records"), strict=True):
            options = {name: value for name, value in row.items() if value is not None}
            labels[run] = call_syntax.call(str(method), options)
    return labels
