"""Report sections over several (model, task) pairs: pooled results, then each pair."""

from __future__ import annotations

from dataclasses import replace

from qtha_lab.experiment.model_task_pairs import Cell, name_in
from qtha_lab.figures.forest import forest
from qtha_lab.figures.machinery.table import Table
from qtha_lab.studies.comparison.claims import without_a_loss
from qtha_lab.studies.comparison.paired import LEAST_SEEDS
from qtha_lab.studies.comparison.report.contents import Compared
from qtha_lab.studies.comparison.report.section import Section
from qtha_lab.studies.comparison.report.sections import (
    OF_A_CELL,
    differences_of,
    missing,
    named,
    results_tables,
    stated,
)


def verdicts(compared: Compared) -> Section:
    """Build the section of claims over several pairs; each pair has its numbers."""
    sentences = compared.pivot_table.counts() if compared.pivot_table else []
    sentences += [claim["verdict"] for claim in compared.claims]
    lacking = [lack.sentence for lack in without_a_loss(compared.entries)]
    if not compared.claims and not lacking:
        sentences.append(
            f"No difference is claimed: an interval needs {LEAST_SEEDS} seeds of two methods in a cell."
        )
    sentences += lacking
    return Section("verdicts", "Verdicts", [*sentences, *missing(compared)])


def across(compared: Compared) -> Section:
    """Build the section of the pivot table, as table and as figure."""
    title, pivot_table = "Across models and tasks", compared.pivot_table
    if pivot_table is None:
        return Section("across", title, ["There is one method, and nothing to hold it against."])
    heading, *rows = pivot_table.rows()
    caption = (
        f"Each method minus {pivot_table.reference}, paired by seed, with an interval: less is better, and the intervals of "
        "this table, over all cells, hold together with 95 %"
    )
    sentences = [
        "A method is the one that the file names, with the size and the settings that it came to in each cell."
    ]
    figures = []
    if compared.claims:
        by_place = [
            claim | {"first": name_in(named(compared, claim["first"]), Cell.of(claim), 2)}
            for claim in compared.claims
        ]
        measure, level = compared.claims[0]["measure"], compared.claims[0]["level"]
        figures.append(
            replace(
                forest(differences_of(by_place, "first"), measure, "", level),
                title="Every difference to the first method",
            )
        )
    return Section("across", title, sentences, figures, {caption: Table(heading, rows)})


def cell(compared: Compared, number: int) -> Section:
    """Build the section of one (model, task) pair.

    Args:
        compared: Contents restricted to this pair.
        number: Index of the pair, which prefixes the names of its parts.
    """
    title, name = str(compared.cells[0]), f"cell-{number}"
    sentences = stated(compared)
    parts = [
        replace(part, name=f"{name}-{part.name}") for part in (make(compared) for make in OF_A_CELL)
    ]
    return Section(
        name, title, [*sentences, *compared.terms], tables=results_tables(compared), parts=parts
    )
