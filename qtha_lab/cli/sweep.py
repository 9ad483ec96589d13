"""`qtha-lab sweep`: try methods at many points on axes of their settings.

An interrupted sweep can be continued.
"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.flags import combine, fields_of, with_flags
from qtha_lab.cli.output import app, print_json, print_table, print_text, progress
from qtha_lab.cli.run import Detach, DryRun, Json, On
from qtha_lab.core.io import show
from qtha_lab.experiment import Sweep, Training


@app.command()
@with_flags((Sweep, "The sweep"), (Training, "The training"))
def sweep(
    file: Annotated[
        Path | None, typer.Argument(help="A sweep file (YAML), or the folder of a sweep to go on.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Its folder; default a new one among the runs.")
    ] = None,
    on: On = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    json: Json = False,
    confirm: Annotated[
        int,
        typer.Option(
            min=0,
            help=(
                "Print the best of each method as a comparison with so many fresh seeds, once all"
                " trials have ended."
            ),
        ),
    ] = 0,
    flags: dict[str, Any] | None = None,
) -> None:
    """Try methods at many points, equally many per method, and print the best of each.

    Given the folder of a sweep, continue that sweep, with the trials or values typed beside it.
    """
    from qtha_lab.studies.sweep import SweepStudy

    if file and file.is_dir():
        trials = _go_on(SweepStudy.find(file), flags or {}, on)
    else:
        file_fields = fields_of(Sweep.from_yaml(file) if file else None)
        described = Sweep(**combine(file_fields, flags or {}, Training, own=Sweep.model_fields))
        if dry_run:
            _print_plan(described)
            return
        if on:
            from qtha_lab.runs.remote import remote_backend_named

            remote_backend_named(on).close()  # refuse here, where the user sees it
        trials = SweepStudy.begin(described, out, on=on)
    if detach:
        show(f"{trials.path}: started; `qtha-lab sweep {trials.path}` follows it")
        return
    _follow(trials)
    if confirm and trials.state == "finished":
        return show(trials.confirmation(confirm).to_yaml(), end="")
    print_result(trials, json)
    if trials.state not in ("finished", "stopped"):
        raise typer.Exit(1)


def _go_on(trials, changes: dict[str, Any], on: str | None):
    if changes:
        return trials.extend(on, **changes)
    return trials if trials.state in ("running", "stopping", "finished") else trials.resume(on)


def _print_plan(described: Sweep) -> None:
    """Check a sweep, then print its YAML and, as comments, its forecast."""
    from qtha_lab.studies.sweep.forecast import forecast

    described.check()
    show(described.to_yaml(), end="")
    for sentence in forecast(described).sentences:
        show(f"# {sentence}")


def _follow(trials) -> None:
    """Show a bar per method until the scheduler has ended; Ctrl-C stops it softly."""
    sweep_ = trials.sweep
    with progress() as bars:
        bar_of = {
            method.label: bars.add_task(method.label, total=sweep_.trials_of(method), message="")
            for method in sweep_.methods
        }
        try:
            while True:
                is_running = trials.state in ("running", "stopping")
                records = trials.records()
                best = trials.best()
                for label, bar in bar_of.items():
                    ended = sum(r.method == label and r.state != "running" for r in records)
                    leader = best.get(label)
                    message = f"best {leader.value:.4g}" if leader else ""
                    bars.update(bar, completed=ended, message=message)
                if not is_running:
                    return
                time.sleep(0.5)
        except KeyboardInterrupt:
            trials.stop()


def print_result(trials, json: bool) -> None:
    """Print the best trial of each method, and the number of trials by state."""
    described, records = trials.sweep, trials.records()
    if json:
        fields = ("method", "number", "state", "point", "value", "runs", "message")
        print_json([{name: getattr(record, name) for name in fields} for record in records])
        return
    axes = list(described.axes)
    best = trials.best().values()
    rows = [
        (record.method, *(_written(record.point.get(a, "–")) for a in axes), f"{record.value:.4g}")
        for record in best
    ]
    print_table([("best of", *axes, described.objective.replace("_", " ")), *rows])
    for record in best:
        print_text(f"runs of {record.method}: {' '.join(record.runs)}", "- ")
    states = [record.state for record in records]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    show(f"{trials.state}: {len(records)} of {trials.planned} trials, {counts}")
    show(f"in {trials.path}")


def _written(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
