"""Findings on the results of compared methods: tables, seeds and costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from qtha_lab.core.method_styles import shown
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.table import Table
from qtha_lab.figures.pareto import Point, pareto
from qtha_lab.figures.results_table import results_table
from qtha_lab.figures.seed_spread import seed_spread
from qtha_lab.studies.comparison import notes, table
from qtha_lab.studies.comparison.compared import Compared, Entry
from qtha_lab.studies.comparison.finding import Finding
from qtha_lab.studies.comparison.paired import LEAST_SEEDS

COSTS = ("trainable_parameters", "peak_memory_mib", "seconds_per_step", "adapter_kib")
METHODS = (
    "The names of methods in the figures, each with its method, options and learning rate in full."
)


def results(compared: Compared) -> Figure | None:
    """Draw the table of results."""
    rows = table.rows({"runs": [entry | {"label": entry["name"]} for entry in compared.drawn]})
    return results_table(rows) if rows else None


def method_names(compared: Compared) -> Figure | None:
    """Draw the table of the short names with their full labels."""
    first = {name: entries[0] for name, entries in compared.by_name().items()}
    if all(name == entry["label"] for name, entry in first.items()):
        return None
    rows = [
        (shown(name), entry["label"], entry.get("trainable_parameters"))
        for name, entry in first.items()
    ]
    cells: list[dict[str, str]] = [{"method": row[0], "in full": row[1]} for row in rows]
    key = Table(("method", "in full", "trainable_parameters"), rows)
    figure = results_table(cells, METHODS, best="")
    return replace(figure, name="methods", title="Methods", table=key)


def seeds(compared: Compared) -> Figure:
    """Draw the results of the seeds of each method."""
    measure = compared.measure
    ends = {
        name: [e[measure] for e in _finished(entries) if e.get(measure) is not None]
        for name, entries in compared.by_name().items()
    }
    return seed_spread({name: values for name, values in ends.items() if values}, measure)


def fronts(compared: Compared) -> Finding:
    """Draw loss against each cost, with the Pareto-optimal methods."""
    groups = {name: _finished(entries) for name, entries in compared.by_name().items()}
    groups = {name: entries for name, entries in groups.items() if entries}
    if len(groups) < 2:
        count = "One method has" if groups else "No method has"
        return Finding([f"{count} finished: a front needs two."])
    figures, sentences, bars = [], [], _bars(compared, groups)
    reference = shown(compared.name_of(compared.claims[0]["second"])) if bars == "paired" else ""
    for cost in COSTS:
        points = [
            point
            for name, entries in groups.items()
            if (point := _point(compared, name, entries, cost, bars)) is not None
        ]
        if len(points) > 1:
            figures.append(pareto(points, cost, compared.measure, bars=bars, reference=reference))
        else:
            sentences.append(f"No {MEASURES[cost].words} was recorded of two methods.")
    if beside := notes.side_by_side(compared.best):
        sentences.append(beside)
    if bars == "range":
        sentences.append(f"No interval is drawn: that needs {LEAST_SEEDS} seeds of a method.")
    return Finding(sentences, figures, names=compared.names)


def _finished(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry["state"] == "finished"]


def _bars(compared: Compared, groups: Mapping[str, Sequence[Entry]]) -> str:
    """Return the bars of mean losses that these runs allow."""
    if compared.bars == "paired":
        claimed = any(claim["measure"] == compared.measure for claim in compared.claims)
        return "paired" if claimed else "range"
    if compared.bars == "range":
        return "range"
    return "interval" if max(map(len, groups.values())) >= LEAST_SEEDS else "range"


def _point(
    compared: Compared, name: str, entries: Sequence[Entry], cost: str, bars: str
) -> Point | None:
    """Return means over seeds, with bars for quality and for varying costs."""
    pairs = [(e.get(cost), e.get(compared.measure)) for e in entries]
    pairs = [pair for pair in pairs if None not in pair]
    if not pairs:
        return None
    costs, values = np.array(pairs, float).T
    point: Point = {"label": name, "cost": float(costs.mean()), "quality": float(values.mean())}
    if bars == "paired":
        claim = next((c for c in compared.claims if compared.name_of(c["first"]) == name), None)
        if claim:
            shift = point["quality"] - claim["mean"]
            point["quality_low"] = claim["low"] + shift
            point["quality_high"] = claim["high"] + shift
        return point
    if ends := _ends(values, bars):
        point["quality_low"], point["quality_high"] = ends
    if np.ptp(costs) and (ends := _ends(costs, bars)):
        point["cost_low"], point["cost_high"] = ends
    return point


def _ends(values: Float[np.ndarray, " seeds"], bars: str) -> tuple[float, float] | None:
    """Return the range, or the 95 % interval of the mean for three values."""
    from scipy import stats  # not where a page is opened

    if bars == "range":
        return float(values.min()), float(values.max())
    if len(values) < LEAST_SEEDS:
        return None
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return float(values.mean()) - half, float(values.mean()) + half
