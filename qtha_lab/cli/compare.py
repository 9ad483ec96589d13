"""`qtha-lab compare`: compare several methods over several seeds in one table and one page."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qtha_lab.cli.flags import combine, fields_of, with_flags
from qtha_lab.cli.output import (
    UNLIMITED,
    app,
    bar_per_run,
    page_width,
    print_json,
    print_table,
    print_text,
    progress,
)
from qtha_lab.cli.run import DryRun, Json, On, print_plan
from qtha_lab.cli.text_table import fitting
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.io import show
from qtha_lab.experiment import Comparison, Experiment, Training, Tuning
from qtha_lab.experiment.description import ModelTask, name_in

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.compared import Compared

PAGE = 80  # characters per line
ALL = "all"


@app.command()
@with_flags(
    (Comparison, "The comparison"), (Training, "The training"), tuning=(Tuning, "The tuning")
)
def compare(
    file: Annotated[Path | None, typer.Argument(help="A comparison file (YAML).")] = None,
    out: Annotated[Path, typer.Option(help="Where runs, summary.json and report.html go.")] = Path(
        "out/comparison"
    ),
    on: On = None,
    columns: Annotated[
        str, typer.Option(help="Columns, with commas between; `all` shows each.")
    ] = "",
    wide: Annotated[
        bool, typer.Option("--wide", help="Print all columns and rates, in lines of any length.")
    ] = False,
    dry_run: DryRun = False,
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Run every method with every seed, on every model and task, and print one table.

    Run the command again to continue after an interruption, or to add seeds, methods, models, tasks
    or trials. The table has lines of 80 characters, also in a file or pipe.
    """
    from qtha_lab.runs.process_start import FORKABLE

    os.environ.update(FORKABLE)  # before numpy is imported
    from qtha_lab.studies.comparison import ComparisonStudy, report, run_comparison

    chosen = _columns(columns)
    file_fields = fields_of(Comparison.from_yaml(file) if file else None)
    comparison = Comparison(**combine(file_fields, flags or {}, Training, "tuning"))
    if dry_run:
        ComparisonStudy(out).check_edit(comparison)
        print_plan(comparison, comparison.typical())
        return
    with progress() as bars:
        pairs = len(comparison.model_tasks)
        show_run = bar_per_run(bars, lambda run: _title(run.experiment, pairs))
        summary = run_comparison(comparison, out, show_run, on=on)
    written = report(out)
    if json:
        print_json(summary)
        return
    from qtha_lab.studies.comparison.compared import Compared

    print_comparison(Compared.of(out), written["verdicts"].sentences, chosen, wide)
    show(f"in {out / 'summary.json'}, reported in {out / 'report.html'}")


def _title(experiment: Experiment, model_tasks: int) -> str:
    name = name_in(experiment.method.label, experiment.model_task, model_tasks)
    return f"{name} seed {experiment.seed}"


def _columns(text: str) -> list[str]:
    """Return the named columns; refuse an unknown name before any run."""
    from qtha_lab.runs.table.columns import check_column
    from qtha_lab.studies.comparison.brief_table import COLUMNS

    if text in ("", ALL):
        return [text] if text else []
    return [check_column(name, COLUMNS) for name in split_list(text)]


def print_comparison(
    compared: "Compared", verdicts: Iterable[str], columns: Sequence[str] = (), wide: bool = False
) -> None:
    """Print the results of a comparison, the verdicts directly below, then the notes."""
    from qtha_lab.studies.comparison import brief_table

    page = UNLIMITED if wide else min(PAGE, page_width())
    names = {} if wide else brief_table.names_in_table(compared)
    verdicts = list(verdicts)
    if wide and not columns:
        _print_in_full(compared)
    else:
        _print_results(compared, columns, names, page)
    for sentence in verdicts:
        print_text(brief_table.with_names(sentence, names), "- ", page)
    if compared.parts:
        print_table(decomposition_rows(compared.parts, names), page=page)
    stated = {*verdicts, *(claim["sentence"] for claim in compared.claims)}
    notes = [note for note in compared.summary["notes"] if note not in stated]
    show("Notes:")
    for name, label in ((name, label) for label, name in names.items() if name != label):
        print_text(f"{name} is {label}.", "- ", page)
    for note in notes:
        print_text(brief_table.with_names(note, names), "- ", page)


def _print_results(
    compared: "Compared", columns: Sequence[str], names: Mapping[str, str], page: int
) -> None:
    """Print a table per (model, task) pair, in fitting or named columns."""
    from qtha_lab.studies.comparison import brief_table

    for model_task in compared.model_tasks:
        if len(compared.model_tasks) > 1:
            show(f"{model_task}:")
        part = compared.of_model_task(model_task)
        rows = brief_table.results(part, names)
        present = list(rows[0]) if rows and columns == [ALL] else columns
        cells = {
            brief_table.HEADINGS.get(name, name): [row.get(name, brief_table.NONE) for row in rows]
            for name in present or brief_table.default_columns(part)
        }
        if not columns:
            cells = brief_table.without_ranges(cells)
            cells = fitting(
                cells, page, [brief_table.HEADINGS[name] for name in brief_table.OMITTED]
            )
        print_table([list(cells), *zip(*cells.values(), strict=True)], page=page)


def _print_in_full(compared: "Compared") -> None:
    """Print every learning rate in every column, and the pivot table."""
    from qtha_lab.studies import comparison

    for part in comparison.tables(compared.summary):
        print_table(part, page=UNLIMITED)
    if compared.pivot_table:
        print_table(compared.pivot_table.rows(), page=UNLIMITED)


def decomposition_rows(
    parts: list[dict[str, Any]], names: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Return the table of the contribution of each part of QTHA, as text."""
    from qtha_lab.studies.comparison.pivot_table import difference_text

    model_tasks = len({ModelTask.of(row) for row in parts})
    rows: list[tuple[str, ...]] = [("part", "with it\nwithout it", "difference", "verdict")]
    for row in parts:
        name = name_in(row["part"], ModelTask.of(row), model_tasks)
        sides = "\n".join(names.get(row[side], row[side]) for side in ("first", "second"))
        rows.append((name, sides, difference_text(row), row["verdict"]))
    return rows
