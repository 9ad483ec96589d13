"""The runs of a comparison as a table: numbers by method over seeds, and the same as ready-made text."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable
from typing import Any

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES, Measure, recorded, with_units, written
from qtha_lab.experiment.model_task_pairs import Cell, by_cell
from qtha_lab.studies.comparison.findings import SIDE_BY_SIDE
from qtha_lab.studies.comparison.protocol import NOT_TUNED, matches
from qtha_lab.studies.comparison.tuning import family, rates

PLACE = ("model", "task", "method")  # who a row is of; the first two where they vary
ALWAYS = (*PLACE, "parameters", "seeds", "matching", "tuning")


def aggregate(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One entry per label and cell, in the order of the runs: mean, min and max of each measure over the seeds.

    Runs that did not finish count under `unfinished` and in nothing else. `side_by_side` is
    whether any of the seconds were taken while other runs trained, None where that is not known.

    Example:
        >>> runs = [{"label": "lora", "method": "lora", "seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> aggregate({"runs": runs})[0]["eval_loss"]
        {'mean': 2.5, 'min': 2.0, 'max': 3.0}
    """
    averaged = [name for name in recorded() if name != "trainable_parameters"]
    groups = []
    by_row: dict[tuple[Cell, str], list[dict[str, Any]]] = {}
    for entry in summary["runs"]:
        by_row.setdefault((Cell.of(entry), entry["label"]), []).append(entry)
    for (cell, label), entries in by_row.items():
        finished = [entry for entry in entries if entry.get("state", "finished") == "finished"]
        groups.append(
            {
                "label": label,
                "cell": cell,
                "family": family(entries[0]),
                "method": entries[0]["method"],
                "seeds": [entry["seed"] for entry in finished],
                "unfinished": len(entries) - len(finished),
                "trainable_parameters": next(
                    (e["trainable_parameters"] for e in entries if "trainable_parameters" in e),
                    None,
                ),
                "side_by_side": _any_known(e.get("side_by_side") for e in finished),
                **{name: spread for name in averaged if (spread := _over(finished, name))},
            }
        )
    return groups


def rows(summary: dict[str, Any]) -> list[dict[str, str]]:
    """One row of ready-made text per label and cell; only columns in which some row has a value.

    A number is the mean over the seeds; what was learnt has the smallest and the largest in
    brackets; seconds that were taken while other runs trained are marked ∥. The model and the task
    have a column where they vary; the summary of a comparison also says by what methods were
    matched and tuned.

    Args:
        summary: As `qtha_lab.studies.comparison.summarise` gives it.

    Example:
        >>> runs = [{"label": "lora", "method": "lora", "seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> rows({"runs": runs})
        [{'method': 'lora', 'parameters': '–', 'seeds': '2', 'eval loss': '2.500 [2.000–3.000]'}]
    """
    groups = [with_units(group) for group in aggregate(summary)]
    columns = [m for m in _columns() if any(m.name in group for group in groups)]
    agreed = _terms(summary)
    return [
        {
            **_place(group, groups),
            "method": shown(group["label"]),
            "parameters": _count(group["trainable_parameters"]),
            "seeds": _seeds(group),
            **agreed(group),
            **{measure.column: _cell(group, measure) for measure in columns},
        }
        for group in groups
    ]


def numbers(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """One row of plain numbers per label and cell, for programs: `rows` is the same as text.

    Args:
        summary: As `qtha_lab.studies.comparison.summarise` gives it.

    Returns:
        `model` and `task` where they vary, `method`, `trainable_parameters`, `seeds` and
        `unfinished` (both counts), then `side_by_side` where it is known (see `aggregate`) and the
        mean of each measure over the seeds; what was learnt has its least and most under `…_min`
        and `…_max`.

    Example:
        >>> runs = [{"label": "lora", "method": "lora", "seed": s, "eval_loss": 2.0 + s} for s in (0, 1)]
        >>> row = numbers({"runs": runs})[0]
        >>> row["eval_loss"], row["eval_loss_min"], row["eval_loss_max"]
        (2.5, 2.0, 3.0)
    """
    table = []
    groups = [with_units(group) for group in aggregate(summary)]
    for group in groups:
        row = {
            **_place(group, groups),
            "method": group["label"],
            "trainable_parameters": group["trainable_parameters"],
            "seeds": len(group["seeds"]),
            "unfinished": group["unfinished"],
        }
        if group["side_by_side"] is not None:
            row["side_by_side"] = group["side_by_side"]
        for measure in MEASURES.values():
            spread = group.get(measure.name)
            if isinstance(spread, dict):
                row[measure.name] = spread["mean"]
                if measure.learnt:
                    row |= {f"{measure.name}_{end}": spread[end] for end in ("min", "max")}
        table.append(row)
    return table


def tables(summary: dict[str, Any]) -> list[list[tuple[str, ...]]]:
    """The same for a terminal, a line per row: first what was learnt, then scores and cost.

    Each table begins with its titles; who a row is of comes first in both.

    Example:
        >>> run = {"label": "lora", "method": "lora", "seed": 0, "eval_loss": 2.0, "seconds_per_step": 0.1}
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


def _place(group: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, str]:
    """The model and the task of a row, each where rows differ in it."""
    cells = [other["cell"] for other in groups]
    names = {"model": lambda cell: cell.model, "task": lambda cell: cell.task_with_options}
    return {
        name: read(group["cell"]) for name, read in names.items() if len(set(map(read, cells))) > 1
    }


def _terms(summary: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, str]]:
    """What a row says of matching and tuning, for the rows of a comparison; of bare runs nothing.

    Where `runs` are those of the best rates alone, `tried` are all.
    """
    comparison = summary.get("comparison")
    if comparison is None:
        return lambda group: {}
    rule, by_row = comparison.get("matching", "as_given"), {}
    runs = by_cell(summary["runs"])
    for cell, records in by_cell(summary.get("lineup", ())).items() if rule != "as_given" else ():
        outcome = matches(rule, records, runs.get(cell, []))
        by_row |= {(cell, name): text for name, text in outcome.items()}
    tried = {cell: rates(of) for cell, of in by_cell(summary.get("tried", summary["runs"])).items()}

    def agreed(group: dict[str, Any]) -> dict[str, str]:
        place = group["cell"], group["family"]
        stated = {"matching": by_row.get(place, "–")} if rule != "as_given" else {}
        return stated | {"tuning": _tuning(comparison, tried.get(place[0], {}).get(place[1], {}))}

    return agreed


def _tuning(comparison: dict[str, Any], tried: Collection[float]) -> str:
    """By what the settings of a row were chosen."""
    if comparison.get("tuning"):
        return "tuned"
    if len(tried) > 1:
        return f"{len(tried)} rates"
    return f"in {comparison['rates_from']}" if comparison.get("rates_from") else NOT_TUNED


def _columns() -> list[Measure]:
    """The measures that have a column of their own, beside the number of parameters."""
    return [m for m in MEASURES.values() if m.column and m.column not in ALWAYS]


def _over(entries: list[dict[str, Any]], name: str) -> dict[str, float] | None:
    values = [entry[name] for entry in entries if entry.get(name) is not None]
    if not values:
        return None
    return {"mean": statistics.fmean(values), "min": min(values), "max": max(values)}


def _any_known(values: Iterable[bool | None]) -> bool | None:
    known = [value for value in values if value is not None]
    return any(known) if known else None


def _cell(group: dict[str, Any], measure: Measure) -> str:
    """The mean, with the smallest and largest in brackets where it was learnt and they read differently."""
    spread = group.get(measure.name)
    if spread is None:
        return "–"
    mean, low, high = (written(measure, spread[key]) for key in ("mean", "min", "max"))
    if measure.name == "seconds_per_step" and group["side_by_side"]:
        return f"{mean} {SIDE_BY_SIDE}"
    return f"{mean} [{low}–{high}]" if measure.learnt and low != high else mean


def _count(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _seeds(group: dict[str, Any]) -> str:
    note = f" ({group['unfinished']} not finished)" if group["unfinished"] else ""
    return f"{len(group['seeds'])}{note}"
