"""`qtha-lab compare`: compare several methods over several seeds in one table and one page."""

from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.flags import combine, fields_of, with_flags
from qtha_lab.cli.output import duration, print_json, print_table, progress
from qtha_lab.cli.run import DryRun, Json, On, print_plan
from qtha_lab.core.io import show
from qtha_lab.experiment import Comparison, Training, Tuning
from qtha_lab.experiment.model_task_pairs import ModelTask, name_in


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
    dry_run: DryRun = False,
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Run every method with every seed, on every model and task, and print one table.

    Run the command again to continue after an interruption, or to add seeds, methods, models, tasks
    or trials.
    """
    from qtha_lab.studies import comparison as comparing

    file_fields = fields_of(Comparison.from_yaml(file) if file else None)
    comparison = Comparison(**combine(file_fields, flags or {}, Training, "tuning"))
    if dry_run:
        comparing.check_edit(comparison, out)
        print_plan(comparison, comparison.typical())
        return
    with progress() as bars:
        summary = comparing.run(comparison, out, _Bars(bars, len(comparison.model_tasks)), on=on)
    if json:
        print_json(summary)
    else:
        _print(summary)
    comparing.report(out)
    if not json:
        show(f"in {out / 'summary.json'}, reported in {out / 'report.html'}")


def _print(summary: dict[str, Any]) -> None:
    """Print the tables and notes of a comparison."""
    from qtha_lab.studies import comparison as comparing

    for part in comparing.tables(summary):
        print_table(part)
    if pivot_table := comparing.PivotTable.of(summary):
        print_table(pivot_table.rows())
    if summary["decomposition"]:
        print_table(decomposition_rows(summary["decomposition"]))
    for note in summary["notes"]:
        show(f"- {note}")


def decomposition_rows(parts: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the table of the contribution of each part of QTHA, as text."""
    titles = ("part", "with it", "without it", "difference", "interval", "verdict")
    model_tasks = len({ModelTask.of(row) for row in parts})
    rows: list[tuple[str, ...]] = [titles]
    for row in parts:
        interval = f"[{row['low']:+.3f}, {row['high']:+.3f}]"
        name = name_in(row["part"], ModelTask.of(row), model_tasks)
        difference = f"{row['mean']:+.3f}"
        rows.append((name, row["first"], row["second"], difference, interval, row["verdict"]))
    return rows


class _Bars:
    """A progress bar per run, created at the run's first status."""

    def __init__(self, bars, model_tasks: int):
        self.bars, self.model_tasks, self.by_run = bars, model_tasks, {}

    def __call__(self, run, status) -> None:
        if run.id not in self.by_run:
            experiment = run.experiment
            name = name_in(experiment.method.label, experiment.model_task, self.model_tasks)
            title = f"{name} seed {experiment.seed}"
            self.by_run[run.id] = self.bars.add_task(title, total=status.steps, message="")
        message = f"{status.state} {duration(status.seconds_left)}"
        self.bars.update(self.by_run[run.id], completed=status.step, message=message)
