"""Findings on the results of compared methods: tables, seeds and costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

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
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.finding import Finding
from qtha_lab.studies.comparison.paired import LEAST_SEEDS

if TYPE_CHECKING:
    import pandas

COSTS = ("trainable_parameters", "peak_memory_mib", "seconds_per_step", "adapter_kib")
METHODS = (
    "The names of methods in the figures, each with its method, options and learning rate in full."
)


def results(compared: Compared) -> Figure | None:
    """Draw the table of results."""
    rows = table.rows({"runs": compared.drawn.assign(label=compared.drawn["name"])})
    return results_table(rows) if rows else None


def method_names(compared: Compared) -> Figure | None:
    """Draw the table of the short names with their full labels."""
    first = compared.drawn.drop_duplicates("name")
    if first["name"].eq(first["label"]).all():
        return None
    names = first["name"].map(shown)
    rows = [*zip(names, first["label"], first["trainable_parameters"], strict=True)]
    cells: list[dict[str, str]] = [{"method": row[0], "in full": row[1]} for row in rows]
    key = Table(("method", "in full", "trainable_parameters"), rows)
    figure = results_table(cells, METHODS, best="")
    return replace(figure, name="methods", title="Methods", table=key)


def seeds(compared: Compared) -> Figure:
    """Draw the results of the seeds of each method."""
    measure = compared.measure
    finished = _finished(compared).dropna(subset=measure)
    losses = finished.groupby("name", sort=False)[measure]
    return seed_spread({str(name): [*of] for name, of in losses}, measure)


def fronts(compared: Compared) -> Finding:
    """Draw loss against each cost, with the Pareto-optimal methods."""
    groups = {str(name): of for name, of in _finished(compared).groupby("name", sort=False)}
    if len(groups) < 2:
        count = "One method has" if groups else "No method has"
        return Finding([f"{count} finished: a front needs two."])
    figures, sentences, bars = [], [], _bars(compared, groups)
    reference = shown(compared.name_of(compared.claims[0]["second"])) if bars == "paired" else ""
    for cost in COSTS:
        points = [
            point
            for name, runs in groups.items()
            if (point := _point(compared, name, runs, cost, bars)) is not None
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


def _finished(compared: Compared) -> pandas.DataFrame:
    return compared.drawn[compared.drawn["state"].eq("finished")]


def _bars(compared: Compared, groups: Mapping[str, pandas.DataFrame]) -> str:
    """Return the bars of mean losses that these runs allow."""
    if compared.bars == "paired":
        claimed = any(claim["measure"] == compared.measure for claim in compared.claims)
        return "paired" if claimed else "range"
    if compared.bars == "range":
        return "range"
    return "interval" if max(map(len, groups.values())) >= LEAST_SEEDS else "range"


def _point(
    compared: Compared, name: str, runs: pandas.DataFrame, cost: str, bars: str
) -> Point | None:
    """Return means over seeds, with bars for quality and for varying costs."""
    pairs = runs[[cost, compared.measure]].dropna()
    if not len(pairs):
        return None
    costs, values = pairs.to_numpy(float).T
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
