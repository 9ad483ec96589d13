"""`qtha-lab runs`: the runs of the folder as a list or table; annotations, trash.

`qtha-lab runs` alone is `qtha-lab runs list`; with the name of a run it shows that run.
"""

import calendar
import csv
import logging
import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from qtha_lab.cli.output import UNLIMITED, app, page_width, print_json, print_table
from qtha_lab.cli.run import SUMMARISED, Json, plain_state, print_state
from qtha_lab.cli.text_table import fitting
from qtha_lab.core import paths
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import csv_cell, shortened, show

log = logging.getLogger(__name__)

LIST = "list"
STATES = ("run", "state", "step", "loss", "age", "title")
OMITTED = ("age", "step", "title", "loss")  # from a narrow page, the first first
LEAST_TITLE = 14
NEVER_HIDDEN = ("run", "runs", "state", "method", "eval_loss")


class RunsGroup(TyperGroup):
    """A group of commands whose default command is `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert `list` before arguments that begin with no command."""
        named = args[:1] and (
            args[0] in self.commands or args[0] in ("--help", "--show-completion")
        )
        return super().parse_args(ctx, args if named else [LIST, *args])


runs = typer.Typer(
    cls=RunsGroup,
    no_args_is_help=False,
    help=(
        "List the runs, newest first, show one, filter and sort them (`qtha-lab runs list"
        " --help`), annotate or delete them."
    ),
)
app.add_typer(runs, name="runs")

RunIds = Annotated[list[str] | None, typer.Argument(metavar="RUN…", help="The runs.")]
RunId = Annotated[str, typer.Argument(help="The run, as `qtha-lab runs` names it.")]
Where = Annotated[
    str, typer.Option(help="Filter: `method == qtha and learning_rate >= 0.003 and best in tags`.")
]


@runs.callback()
def runs_commands() -> None:
    """List the runs, newest first; show, filter, sort, annotate or delete runs."""


@runs.command(LIST)
def list_(
    run_id: Annotated[str | None, typer.Argument(help="Show this run's last output.")] = None,
    where: Where = "",
    sort: Annotated[
        str, typer.Option(help="Columns to sort by; `-eval_loss` begins with the largest.")
    ] = "",
    group: Annotated[
        str, typer.Option(help="`seeds` takes runs that differ in it only as one.")
    ] = "",
    columns: Annotated[
        str, typer.Option(help="Columns, with commas between; `all` shows each.")
    ] = "",
    wide: Annotated[
        bool, typer.Option("--wide", help="Print all default columns, in lines of any length.")
    ] = False,
    deleted: Annotated[bool, typer.Option("--trash", help="Show deleted runs.")] = False,
    json: Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """List the runs, newest first, or show one run.

    With any option, print a table of settings and results.
    """
    from qtha_lab.experiment.run_directory.annotations import trash_of
    from qtha_lab.runs.run import list_runs, load_run

    folder = trash_of(paths.runs_dir()) if deleted else paths.runs_dir()
    if not (where or sort or group or columns or wide or csv or (deleted and not run_id)):
        matches = [load_run(run_id, folder)] if run_id else list_runs(folder, unreadable=True)
        return _print_standing(matches, bool(run_id), json)
    if run_id:
        raise Refusal(
            "--where, --sort, --group, --columns, --wide and --csv must be used without a run, got"
            " one."
        )
    form = "json" if json else "csv" if csv else "wide" if wide else ""
    _print_rows(folder, where, sort, group, columns, form)


@runs.command("show")
def show_run(run_id: RunId, json: Json = False) -> None:
    """Show a run: state, results, directory and last output."""
    from qtha_lab.runs.run import load_run

    _print_standing([load_run(run_id)], True, json)


@runs.command()
def tag(
    tags: Annotated[str, typer.Argument(help="Tags, with commas between.")],
    run_ids: RunIds = None,
    where: Where = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take them away.")] = False,
    json: Json = False,
) -> None:
    """Add tags to runs, or remove tags."""
    words = [part.strip() for part in tags.split(",")]
    _annotate(run_ids, where, json, **{"remove" if remove else "add": words})


@runs.command()
def note(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="Empty takes it away.")],
    json: Json = False,
) -> None:
    """Write a note on a run."""
    _annotate([run_id], "", json, note=text)


@runs.command()
def rename(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="Empty takes it away.")],
    json: Json = False,
) -> None:
    """Set the display name of a run; its directory stays unchanged."""
    _annotate([run_id], "", json, name=name)


@runs.command()
def pin(
    run_ids: RunIds = None,
    where: Where = "",
    off: Annotated[bool, typer.Option("--off", help="Let go of them.")] = False,
    json: Json = False,
) -> None:
    """Pin runs, so that they are listed first."""
    _annotate(run_ids, where, json, pinned=not off)


@runs.command()
def delete(run_ids: RunIds = None, where: Where = "", json: Json = False) -> None:
    """Move runs to the trash, from which `qtha-lab runs restore` restores them."""
    from qtha_lab.experiment.run_directory.annotations import delete

    names = []
    for run in _picked(run_ids, where):
        delete(run.files)
        names.append(run.id)
        if not json:
            show(f"{run.id}: in the trash")
    if json:
        print_json(names)


@runs.command()
def restore(run_ids: RunIds = None, where: Where = "", json: Json = False) -> None:
    """Restore runs from the trash."""
    from qtha_lab.experiment.run_directory.annotations import restore, trash_of

    folder = paths.runs_dir()
    names = _picked_names(run_ids, where, trash_of(folder))
    for name in names:
        restore(name, folder)
        if not json:
            show(f"{name}: restored")
    if json:
        print_json(names)


@runs.command("trash")
def trash_(
    empty: Annotated[bool, typer.Option("--empty", help="Erase them permanently.")] = False,
    json: Json = False,
) -> None:
    """List the deleted runs and their disk usage, or erase them."""
    from qtha_lab.experiment.run_directory import annotations
    from qtha_lab.experiment.run_directory.disk import bytes_used

    folder = paths.runs_dir()
    names, size = annotations.list_trash(folder), bytes_used(annotations.trash_of(folder)) / 2**20
    listed = annotations.empty_trash(folder) if empty else names
    if json:
        return print_json({"runs": list(listed), "erased": empty, "mib": size})
    for name in listed:
        show(name)
    count = "1 run" if len(names) == 1 else f"{len(names):,} runs"
    show(f"{count} {'erased' if empty else 'in the trash'}, {size:,.1f} MiB")


def _annotate(run_ids: list[str] | None, where: str, json: bool, **changes: Any) -> None:
    from qtha_lab.experiment.run_directory.annotations import annotate

    annotated = {run.id: annotate(run.files, **changes).plain() for run in _picked(run_ids, where)}
    if json:
        return print_json(annotated)
    for name, annotations in annotated.items():
        written = "; ".join(f"{key} {_written(value)}" for key, value in annotations.items())
        show(f"{name}: {written or 'no annotations'}")


def _written(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "yes" if value is True else str(value)


def _picked(run_ids: list[str] | None, where: str, folder: Path | None = None) -> list:
    """Return the runs that are named or match an expression; refuse an empty selection."""
    from qtha_lab.runs.run import list_runs, load_run
    from qtha_lab.runs.table.frame import matching

    if bool(run_ids) == bool(where.strip()):
        raise Refusal(
            f"Runs must be named, or selected by --where, got {'both' if run_ids else 'neither'}."
        )
    if run_ids:
        return [load_run(run_id, folder) for run_id in run_ids]
    matches = matching(list_runs(folder, unreadable=True), where)
    if not matches:
        raise Refusal(f"--where must match a run, got {where:.200}.")
    return matches


def _picked_names(run_ids: list[str] | None, where: str, folder: Path) -> list[str]:
    return (
        list(run_ids) if run_ids and not where else [r.id for r in _picked(run_ids, where, folder)]
    )


def _print_standing(matches: list, is_single: bool, json: bool) -> None:
    if json:
        return print_json([plain_state(run) for run in matches])
    if is_single:
        print_state(matches[0])
        _print_broken_lines(matches[0])
        return show(matches[0].log_tail())
    if not matches:
        return show(
            f"No run is in {paths.runs_dir()}. Start one with qtha-lab run or the workbench."
        )
    _print_states(list(map(_standing_cells, matches)))


def _print_states(rows: list[tuple[str, ...]]) -> None:
    """Print a line per run, with shortened titles and without columns that do not fit."""
    page = page_width()
    columns = {name: [row[i] for row in rows] for i, name in enumerate(STATES)}
    *others, titles = ([name, *cells] for name, cells in columns.items())
    width = page - 2 - sum(1 + max(map(len, cells)) for cells in others)
    columns[STATES[-1]] = [shortened(title, max(width, LEAST_TITLE)) for title in titles[1:]]
    fitted = fitting(columns, page, OMITTED)
    print_table([list(fitted), *zip(*fitted.values(), strict=True)])


def _standing_cells(run) -> tuple[str, ...]:
    """Return id, state, step, evaluation loss, age, and title with message of a run."""
    status = run.status()
    loss = (run.summary or {}).get("eval_loss") if status.state in SUMMARISED else None
    try:
        title = run.name if run.name != run.id else run.record.experiment["method"]["name"]
    except (Refusal, KeyError, TypeError, AttributeError) as reason:
        log.debug("%s has no title: %s", run.id, reason)
        title = ""
    return (
        run.id,
        status.state,
        f"{status.step}/{status.steps}",
        f"{loss:.3f}" if isinstance(loss, int | float) else "",
        _age_of(run.id),
        ": ".join(filter(None, (title, status.message))),
    )


def _age_of(name: str) -> str:
    """Return the age of a run, whose directory is named by its start in UTC."""
    try:
        began = calendar.timegm(time.strptime(name[:15], "%Y%m%d-%H%M%S"))
    except ValueError:  # a directory that was renamed
        return ""
    return _age(time.time() - began)


def _age(seconds: float) -> str:
    """Return an age in its largest unit.

    Example:
        >>> _age(42), _age(7_300), _age(200_000)
        ('42 s', '2 h', '2 d')
    """
    units = ((86_400, "d"), (3_600, "h"), (60, "min"), (0, "s"))
    size, unit = next((size, unit) for size, unit in units if seconds >= size or not size)
    return f"{max(0, seconds) // max(size, 1):.0f} {unit}"


def _print_broken_lines(run) -> None:
    """Print the number of unreadable lines of the event log, if any."""
    broken = sum(event["kind"] == "broken" for event in run.events()[0])
    if broken:
        lines = "1 line" if broken == 1 else f"{broken} lines"
        show(f"{lines} of events.jsonl cannot be read and are passed over")


def _print_rows(folder: Path, where: str, sort: str, group: str, chosen: str, form: str) -> None:
    """Print the table: default columns for users, all present columns for programs."""
    from qtha_lab.runs.run import list_runs
    from qtha_lab.runs.table.columns import check_column, column_text, known, present, worth_showing
    from qtha_lab.runs.table.frame import frame, needs_disk, query

    runs = list_runs(folder, unreadable=True)
    table = query(frame(runs, needs_disk(where, sort, chosen)), where, sort, group)
    if chosen and chosen != "all":
        names = [check_column(name, known(table)) for name in split_list(chosen)]
    else:
        is_data = form in ("json", "csv")
        names = present(table) if chosen or is_data else worth_showing(table)
    listed = table.to_dict("records")
    if form == "json":
        print_json(table[names].to_dict("records"))
    elif form == "csv":
        _print_csv(names, listed)
    else:
        cells = {name: [column_text(row, name) for row in listed] for name in names}
        page = UNLIMITED if form == "wide" else page_width()
        omitted = [] if chosen else [name for name in names[::-1] if name not in NEVER_HIDDEN]
        shown = fitting(cells, page, omitted)
        caption = _count(len(listed), len(runs))
        if hidden := [name for name in names if name not in shown]:
            caption += f"; {', '.join(hidden)} with --wide"
        print_table([list(shown), *zip(*shown.values(), strict=True)], caption, page)


def _print_csv(names: list[str], listed: list[dict[str, Any]]) -> None:
    """Print CSV with unrounded numbers, and no text that spreadsheets run.

    A list becomes comma-separated text.
    """
    writer = csv.writer(sys.stdout, lineterminator=os.linesep)
    writer.writerow(map(csv_cell, names))
    for row in listed:
        values = (row.get(name) for name in names)
        cells = ("" if v is None else _written(v) if isinstance(v, list) else v for v in values)
        writer.writerow(map(csv_cell, cells))


def _count(number: int, of: int) -> str:
    return f"{number:,} of {of:,} runs" if number != of else f"{of:,} runs"
