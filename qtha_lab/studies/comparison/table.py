"""Results table of a comparison, by method over seeds, as numbers and as text."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES, Measure, written
from qtha_lab.experiment.description import by_model_task
from qtha_lab.runs.table.columns import SPREAD, in_order
from qtha_lab.runs.table.frame import over_seeds, results_frame, without_nan
from qtha_lab.studies.comparison.notes import SIDE_BY_SIDE
from qtha_lab.studies.comparison.protocol import NOT_TUNED, matches
from qtha_lab.studies.comparison.tuning import rates

if TYPE_CHECKING:
    import pandas

PLACE = ("model", "task", "method")  # columns that identify a row; model and task only if they vary
ALWAYS = (*PLACE, "parameters", "seeds", "matching", "tuning")


def aggregate(summary: dict[str, Any]) -> pandas.DataFrame:
    """Return mean, min and max of each measure per label and (model, task) pair.

    The order is that of the runs, and the statistics are over the seeds.

    Runs that did not finish count under `unfinished` only. `side_by_side` is true if any step time
    was measured while other runs trained; None if unknown.

    Example:
        >>> run = {"label": "lora", "method": "lora"}
        >>> runs = [run | {"seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> aggregate({"runs": runs})[["eval_loss", "eval_loss_min"]].to_dict("records")
        [{'eval_loss': 2.5, 'eval_loss_min': 2.0}]
    """
    runs = results_frame(summary["runs"])
    group = runs.groupby(["model_task", "label"], sort=False).ngroup()
    is_finished = runs["state"].eq("finished")
    facts = runs[["model_task", "label", "family", "trainable_parameters"]]
    table = facts.groupby(group).first()
    table["seeds"] = is_finished.groupby(group).sum()
    table["unfinished"] = group.value_counts() - table["seeds"]
    beside = runs["side_by_side"].where(is_finished).dropna().groupby(group).any()
    measured = over_seeds(runs.where(is_finished), group).astype(float)
    measured = measured.drop(columns="trainable_parameters")
    return without_nan(table.assign(side_by_side=beside).join(measured))


def rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Return one row of formatted text per label and (model, task) pair.

    Columns without any value are omitted.

    A number is the mean over the seeds. Learning results have minimum and maximum in brackets.
    Step times measured while other runs trained are marked ∥. Model and task have a column if they
    vary. The summary of a comparison also has columns for matching and tuning.

    Example:
        >>> run = {"label": "lora", "method": "lora"}
        >>> runs = [run | {"seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> rows({"runs": runs})
        [{'method': 'lora', 'parameters': '–', 'seeds': '2', 'eval loss': '2.500 [2.000–3.000]'}]
    """
    groups = aggregate(summary)
    columns = [m for m in _columns() if groups[m.name].notna().any()]
    agreed, places = _terms(summary), _places(groups)
    return [
        {
            **place,
            "method": shown(group["label"]),
            "parameters": _count(group["trainable_parameters"]),
            "seeds": _seeds(group),
            **agreed(group),
            **{measure.column: _cell(group, measure) for measure in columns},
        }
        for place, group in zip(places, groups.to_dict("records"), strict=True)
    ]


def numbers(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one row of plain numbers per label and (model, task) pair.

    `rows` returns the same data as text.

    Returns:
        `model` and `task` if they vary, `method`, `trainable_parameters`, `seeds` and `unfinished`
        (both counts). `side_by_side` follows if known (see `aggregate`), then the mean of each
        measure over the seeds. Learning results also have `…_min` and `…_max`.

    Example:
        >>> run = {"label": "lora", "method": "lora"}
        >>> runs = [run | {"seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> row = numbers({"runs": runs})[0]
        >>> row["eval_loss"], row["eval_loss_min"], row["eval_loss_max"]
        (2.5, 2.0, 3.0)
    """
    groups = aggregate(summary)
    first = ["method", "trainable_parameters", "seeds", "unfinished", "side_by_side"]
    table = groups.rename(columns={"label": "method"}).drop(columns=["model_task", "family"])
    table = table[[*first, *(n for n in in_order(table.columns) if n not in first)]]
    return [
        place | {n: v for n, v in row.items() if v is not None or n == "trainable_parameters"}
        for place, row in zip(_places(groups), table.to_dict("records"), strict=True)
    ]


def tables(summary: dict[str, Any]) -> list[list[tuple[str, ...]]]:
    """Return the text rows as two terminal tables: learning results, then costs.

    Each table begins with a title row. Both begin with the columns that identify a row.

    Example:
        >>> measured = {"eval_loss": 2.0, "seconds_per_step": 0.1}
        >>> run = {"label": "lora", "method": "lora", "seed": 0} | measured
        >>> learnt, costs = tables({"runs": [run]})
        >>> costs
        [('method', 's per step'), ('lora', '0.1')]
    """
    texts = rows(summary)
    if not texts:
        return []
    learnt = {*ALWAYS, *(measure.column for measure in _columns() if measure.learnt)}
    first = [title for title in texts[0] if title in learnt]
    costs = [
        *(title for title in texts[0] if title in PLACE),
        *(title for title in texts[0] if title not in learnt),
    ]
    return [
        [tuple(part), *(tuple(row[t] for t in part) for row in texts)] for part in (first, costs)
    ]


def _places(groups: pandas.DataFrame) -> list[dict[str, str]]:
    """Return the model and the task of each row, each if it varies between rows."""
    pairs = groups["model_task"]
    names = groups[[]].assign(
        model=[pair.model for pair in pairs], task=[pair.task_with_options for pair in pairs]
    )
    return names.loc[:, names.nunique() > 1].to_dict("records")


def _terms(summary: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, str]]:
    """Return a function that gives the matching and tuning columns of a row.

    The columns are empty for runs outside a comparison.

    If `runs` has only the runs at the best learning rates, `tried` has all runs.
    """
    comparison = summary.get("comparison")
    if comparison is None:
        return lambda group: {}
    rule, by_row = comparison.get("matching", "as_given"), {}
    runs = dict(iter(results_frame(summary["runs"]).groupby("model_task", sort=False)))
    contenders = by_model_task(summary.get("contenders", ())) if rule != "as_given" else {}
    for model_task, records in contenders.items():
        outcome = matches(rule, records, runs.get(model_task, ()))
        by_row |= {(model_task, name): text for name, text in outcome.items()}
    every = results_frame(summary.get("tried", summary["runs"]))
    tried = {pair: rates(of) for pair, of in every.groupby("model_task", sort=False)}

    def agreed(group: dict[str, Any]) -> dict[str, str]:
        place = group["model_task"], group["family"]
        stated = {"matching": by_row.get(place, "–")} if rule != "as_given" else {}
        return stated | {"tuning": _tuning(comparison, tried.get(place[0], {}).get(place[1], {}))}

    return agreed


def _tuning(comparison: dict[str, Any], tried: Collection[float]) -> str:
    """Return the text on the selection of a row's settings."""
    if comparison.get("tuning"):
        return "tuned"
    if len(tried) > 1:
        return f"{len(tried)} rates"
    return f"in {comparison['rates_from']}" if comparison.get("rates_from") else NOT_TUNED


def _columns() -> list[Measure]:
    """Return the measures with their own column, without the parameter count."""
    return [m for m in MEASURES.values() if m.column and m.column not in ALWAYS]


def _cell(group: dict[str, Any], measure: Measure) -> str:
    """Format the mean, with minimum and maximum of learning results if they differ."""
    ends = [group.get(f"{measure.name}{end}") for end in ("", *SPREAD)]
    mean, low, high = ("–" if value is None else written(measure, value) for value in ends)
    if measure.name == "seconds_per_step" and group["side_by_side"]:
        return f"{mean} {SIDE_BY_SIDE}"
    return f"{mean} [{low}–{high}]" if measure.learnt and low != high else mean


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _seeds(group: dict[str, Any]) -> str:
    note = f" ({group['unfinished']} not finished)" if group["unfinished"] else ""
    return f"{group['seeds']}{note}"
