"""Findings on the differences of compared methods: verdicts, forests and parts of QTHA.

A finding without data states the reason in a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from qtha_lab.core.method_styles import shown
from qtha_lab.experiment.description import ModelTask, name_in
from qtha_lab.figures.difference_by_rate import difference_by_rate
from qtha_lab.figures.forest import forest
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.table import Table, value_text
from qtha_lab.studies.comparison import notes, table
from qtha_lab.studies.comparison.claims import shared_rates, without_a_loss
from qtha_lab.studies.comparison.compared import Compared, names_of
from qtha_lab.studies.comparison.finding import Finding
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.row_losses import read_items

FEW = (
    f"No claim is made: an interval needs {LEAST_SEEDS} seeds that two methods have finished at"
    " their best rates."
)
POOLED = ("first", "second", "pairs", "mean", "low", "high", "spread", "heterogeneity", "verdict")


def in_words(compared: Compared) -> Finding:
    """State the findings on runs of any launches, as `explain` does."""
    from qtha_lab.studies.comparison.explain import explain

    return Finding(explain(compared.chosen or ()).sentences)


def verdicts(compared: Compared) -> Finding:
    """State the claims, with each method's results at its best rate or pooled over pairs."""
    counts = compared.pivot_table.counts() if compared.pivot_table else []
    pooled = [pooled["sentence"] for pooled in compared.summary.get("pooled", ())]
    tables = results_tables(compared) if len(compared.model_tasks) < 2 else {}
    return Finding([*missing(compared), *counts, *pooled, *stated(compared)], tables=tables)


def stated(compared: Compared) -> list[str]:
    """Return the verdicts and missing comparisons, or the reason for none."""
    claimed = [claim["sentence"] for claim in [*compared.claims, *compared.controls]]
    return claimed + [of.sentence for of in without_a_loss(compared.frame)] or [FEW]


def missing(compared: Compared) -> list[str]:
    """Return sentences on runs without a result and on runs to come.

    `expected` from the summary counts the runs of the whole comparison.
    """
    expected = compared.summary.get("expected") or len(compared.comparison.experiments())
    return notes.missing(compared.summary["runs"], expected)


def results_tables(compared: Compared) -> dict[str, Table]:
    """Build the tables of learning results and costs at each method's best rate."""
    best = compared.best.assign(label=compared.best["family"].map(compared.names))
    rates = {label: value_text(of["learning_rate"].iloc[0]) for label, of in best.groupby("label")}
    parts = table.tables({**compared.summary, "runs": best, "tried": compared.summary["runs"]})
    captions = (
        "Learning results at each method's best learning rate: mean [minimum–maximum]",
        "Scores and costs of the same runs",
    )
    return {
        caption: Table(
            (columns[0], "learning_rate", *columns[1:]),
            [(row[0], rates[row[0]], *row[1:]) for row in rows],
        )
        for caption, (columns, *rows) in zip(captions, parts, strict=False)
    }


def across(compared: Compared) -> Finding:
    """Show the pivot table over models and tasks, as table and as figure."""
    pivot_table = compared.pivot_table
    if pivot_table is None:
        return Finding(["There is one method, so nothing is compared."])
    heading, *rows = pivot_table.rows()
    caption = (
        f"Each method minus {pivot_table.reference}, paired by seed, with its interval: lower is "
        "better, and all intervals of this table hold simultaneously with 95 %"
    )
    sentence = "A method is named as in the file; its size and settings may differ between pairs."
    pooled = compared.summary.get("pooled", [])
    by_place = [
        claim | {"label": name_in(named(compared, claim["first"]), ModelTask.of(claim), 2)}
        for claim in compared.claims
    ]
    intervals = [row | {"label": row["first"]} for row in pooled if row["low"] is not None]
    figures = [_forest([*by_place, *intervals], "")] if by_place else []
    figures = [replace(f, title="Every difference to the first method") for f in figures]
    tables = {caption: Table(heading, rows)}
    if pooled:
        tables["Pooled over models and tasks (random effects)"] = Table(
            POOLED, [[record[name] for name in POOLED] for record in pooled]
        )
    return Finding([sentence], figures, tables)


def differences(compared: Compared) -> Finding:
    """Draw the forest of paired differences to the first method."""
    claims = compared.claims
    if not claims:
        return Finding([FEW])
    known = {claim["first"] for claim in claims}
    known |= {missing.first for missing in without_a_loss(compared.frame)}
    without = [name for name in compared.families[1:] if name not in known]
    sentences = [f"Without {LEAST_SEEDS} seeds in common: {', '.join(without)}."] if without else []
    return Finding(sentences, [forest_of(claims, compared.name_of)], names=compared.names)


def forest_of(claims: Sequence[Mapping[str, Any]], name_of: Callable[[str], str] = str) -> Figure:
    """Draw claims against the first method as a forest."""
    rows = [{**claim, "label": shown(name_of(claim["first"]))} for claim in claims]
    return _forest(rows, shown(name_of(claims[0]["second"])))


def _forest(rows: Sequence[Mapping[str, Any]], reference: str) -> Figure:
    """Draw plain claims with their `label` as a forest."""
    fields = ("label", "mean", "low", "high", "verdict", "margin")
    differences: list[Any] = [{name: row[name] for name in fields} for row in rows]
    return forest(differences, rows[0]["measure"], reference, rows[0]["level"])


def difference_at_rates(compared: Compared) -> Figure | None:
    """Draw the difference to the first method at each rate, where several were shared."""
    if not compared.claims:
        return None
    first = compared.claims[0]
    pairs = {(name, first["second"]): name for name in compared.families if name != first["second"]}
    items = read_items(compared.runs.values())
    shared = list(shared_rates(compared.frame, list(pairs), items, first["margin"]))
    if len({of.rate for of in shared}) < 2:
        return None
    names = names_of(compared.families)
    rows = [of.row(names[pairs[of.pair]]) for of in shared]
    return difference_by_rate(rows, first["measure"], shown(names[first["second"]]))


def parts(compared: Compared) -> Finding:
    """Show the effect of each part of QTHA."""
    rows = compared.parts
    if not rows:
        sentence = (
            "No part was measured: that needs a QTHA with its circuit beside its controls"
            f" (`qtha+controls` among the methods), {LEAST_SEEDS} seeds of each."
        )
        return Finding([sentence])
    figure = _forest([row | {"label": row["part"]} for row in rows], "")
    figure = replace(figure, name="forest_of_parts", title="What each part changes")
    columns = ("part", "with it", "without it", "difference", "low", "high", "p", "verdict")
    cells = [
        (
            row["part"],
            *(named(compared, row[side]) for side in ("first", "second")),
            *(row[name] for name in ("mean", "low", "high", "p", "verdict")),
        )
        for row in rows
    ]
    sentence = (
        "Each part is the difference of a method that has it to the same method without it; less is"
        " better, so a part that helps lies left of zero."
    )
    caption = "The two methods of each part, and their difference (p of the same intervals)"
    return Finding([sentence], [figure], {caption: Table(columns, cells)}, names=compared.names)


def named(compared: Compared, label: str) -> str:
    """Return the short name of a method, or the label without a short name."""
    return compared.names.get(label) or label
