"""Report sections over several (model, task) pairs: pooled results, then each pair."""

from __future__ import annotations

from dataclasses import replace

from qtha_lab.experiment.description import ModelTask, name_in
from qtha_lab.figures.forest import forest
from qtha_lab.figures.machinery.table import Table
from qtha_lab.studies.comparison.claims import without_a_loss
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.report.section import Section
from qtha_lab.studies.comparison.report.sections import (
    OF_MODEL_TASK,
    differences_of,
    missing,
    named,
    results_tables,
    stated,
)

POOLED = ("first", "second", "pairs", "mean", "low", "high", "spread", "heterogeneity", "verdict")


def pooled_verdicts(compared: Compared) -> Section:
    """Build the section of claims over several pairs; each pair has its numbers."""
    sentences = compared.pivot_table.counts() if compared.pivot_table else []
    sentences += [pooled["sentence"] for pooled in compared.summary.get("pooled", ())]
    sentences += [claim["sentence"] for claim in compared.claims]
    lacking = [missing.sentence for missing in without_a_loss(compared.entries)]
    if not compared.claims and not lacking:
        sentences.append(f"No claim is made: an interval needs {LEAST_SEEDS} seeds of two methods.")
    sentences += lacking
    return Section("verdicts", "Verdicts", [*missing(compared), *sentences])


def across(compared: Compared) -> Section:
    """Build the section of the pivot table, as table and as figure."""
    title, pivot_table = "Across models and tasks", compared.pivot_table
    if pivot_table is None:
        return Section("across", title, ["There is one method, so nothing is compared."])
    heading, *rows = pivot_table.rows()
    caption = (
        f"Each method minus {pivot_table.reference}, paired by seed, with its interval: lower is "
        "better, and all intervals of this table hold simultaneously with 95 %"
    )
    sentences = [
        "A method is named as in the file; its size and settings may differ between pairs."
    ]
    pooled = compared.summary.get("pooled", [])
    figures = []
    if compared.claims:
        by_place = [
            claim | {"first": name_in(named(compared, claim["first"]), ModelTask.of(claim), 2)}
            for claim in compared.claims
        ]
        pooled_intervals = [record for record in pooled if record["low"] is not None]
        measure, level = compared.claims[0]["measure"], compared.claims[0]["level"]
        figures.append(
            replace(
                forest(differences_of([*by_place, *pooled_intervals], "first"), measure, "", level),
                title="Every difference to the first method",
            )
        )
    tables = {caption: Table(heading, rows)}
    if pooled:
        tables["Pooled over models and tasks (random effects)"] = Table(
            POOLED, [[record[name] for name in POOLED] for record in pooled]
        )
    return Section("across", title, sentences, figures, tables)


def model_task(compared: Compared, number: int) -> Section:
    """Build the section of one (model, task) pair.

    Args:
        compared: Contents restricted to this pair.
        number: Index of the pair, which prefixes the names of its parts.
    """
    title, name = str(compared.model_tasks[0]), f"cell-{number}"
    sentences = stated(compared)
    parts = [
        replace(part, name=f"{name}-{part.name}")
        for part in (make(compared) for make in OF_MODEL_TASK)
    ]
    return Section(
        name, title, [*sentences, *compared.protocol], tables=results_tables(compared), parts=parts
    )
