"""`qtha-lab run`, `stop` and `resume`: run one fine-tuning."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.flags import combine, fields_of, with_flags
from qtha_lab.cli.output import app, duration, print_json, print_table, progress
from qtha_lab.core import call_syntax
from qtha_lab.core.io import show
from qtha_lab.core.metrics import MEASURES
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Experiment, MethodChoice, Training
from qtha_lab.experiment.run_directory.events import SUMMARISED

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Detach = Annotated[bool, typer.Option(help="Return at once; the run goes on by itself.")]
On = Annotated[
    str | None,
    typer.Option(help="Other machines: ray, ray:ADDRESS, 'ray(cpus=4)', 'slurm(partition=…)'."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check, print the YAML and the cost only.")]
Rate = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER",
        help=settings_of(MethodChoice)["learning_rate"].help
        + " The same as in 'lora(learning_rate=0.01)', and wins over it.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="The folder of runs. Default: QTHA_LAB_RUNS, or runs in the project."),
]
RunId = Annotated[str, typer.Argument(help="The run, as `qtha-lab runs` names it.")]


@app.command("run")
@with_flags((Experiment, "The experiment"), (Training, "The training"))
def run_once(
    file: Annotated[Path | None, typer.Argument(help="An experiment file (YAML).")] = None,
    learning_rate: Rate = None,
    out: Out = None,
    dry_run: DryRun = False,
    detach: Detach = False,
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Fine-tune once.

    Flags override the file. Ctrl-C stops the run softly, and it can be resumed later.
    """
    from qtha_lab.runs.launch import launch

    file_fields = fields_of(Experiment.from_yaml(file) if file else None)
    experiment = Experiment(**combine(file_fields, flags or {}, Training))
    if learning_rate is not None:
        method = experiment.method.replace(learning_rate=call_syntax.read_value(learning_rate))
        experiment = experiment.replace(method=method)
    if dry_run:
        print_plan(experiment, {experiment.method.label: experiment})
        return
    _show(launch(experiment, out), detach=detach, json=json)


@app.command()
def resume(
    run_id: RunId,
    anew: Annotated[bool, typer.Option("--anew", help="Begin at step 0 again.")] = False,
    detach: Detach = False,
    json: Json = False,
) -> None:
    """Resume a run that ended early from its last whole checkpoint, or from step 0."""
    from qtha_lab.runs.run import load_run

    run = load_run(run_id)
    run.resume(anew=anew)
    _show(run, detach=detach, json=json)


@app.command()
def stop(run_id: RunId, json: Json = False) -> None:
    """Stop a run after its current step, with its state saved; kill it if needed."""
    from qtha_lab.runs.run import load_run

    run = load_run(run_id)
    run.stop()
    status = run.wait(timeout=60)
    if json:
        print_json(plain_state(run))
    else:
        show(f"{run_id}: {status.state}")


def print_plan(described, experiments: Mapping[str, Experiment]) -> None:
    """Check a description, then print its YAML and the cost of each method.

    The costs are YAML comments, under the name of each method.
    """
    from qtha_lab.experiment.cost.preview import preview

    described.check()
    show(described.to_yaml(), end="")
    for label, experiment in experiments.items():
        cost = preview(experiment)
        pace = f"about {cost.seconds_per_step:.2g} s per step"
        show(f"# {label}: {cost.trainable_parameters:,} trainable parameters, {pace}")
        if cost.simulation:
            show(f"#   {cost.simulation}")
        for warning in cost.warnings:
            show(f"#   {warning}")


def _show(run, *, detach: bool, json: bool) -> None:
    """Follow a run to its end, or only print its name."""
    if not detach:
        follow(run)
    if json:
        print_json(plain_state(run))
    elif detach:
        show(f"{run.id}: started; `qtha-lab runs {run.id}` shows it")
    else:
        print_state(run)
    if not detach and run.status().state in ("failed", "dead", "diverged"):
        raise typer.Exit(1)


def follow(run) -> None:
    """Show a live progress bar until the run ends.

    Ctrl-C stops the run softly and prints the command that resumes it.
    """
    with progress() as bars:
        status = run.status()
        bar = bars.add_task(run.id, total=status.steps, message=status.state)
        try:
            while not (status := run.status()).ended:
                left = duration(status.seconds_left)
                bars.update(bar, completed=status.step, message=f"{status.state} {left}")
                time.sleep(0.25)
        except KeyboardInterrupt:
            bars.update(bar, message="stopping after this step")
            run.stop()
            status = run.wait(timeout=60)
            show(f"resume it with: qtha-lab resume {run.id}", to=sys.stderr)
        bars.update(bar, completed=status.step, message=status.state)


def print_state(run) -> None:
    """Print a run's state, its results and its directory."""
    status = run.status()
    summary = (run.summary or {}) if status.state in SUMMARISED else {}
    state = f"{run.id}: {status.state} at step {status.step} of {status.steps}."
    show(f"{state} {status.message}".strip())
    rows = [
        (measure.name.replace("_", " "), f"{value:,}" if isinstance(value, int) else f"{value:.4g}")
        for measure in MEASURES.values()
        if measure.brief and isinstance(value := summary.get(measure.name), int | float)
    ]
    if (side_by_side := summary.get("side_by_side")) is not None:
        rows.append(("beside other runs", "yes" if side_by_side else "no"))
    if rows:
        print_table([("measure", "value"), *rows])
    show(f"in {run.path}")


def plain_state(run) -> dict[str, Any]:
    """Return the state and results of a run as `--json` prints them."""
    status = run.status()
    return {
        "run_id": run.id,
        "state": status.state,
        "step": status.step,
        "steps": status.steps,
        "message": status.message,
        "run_dir": str(run.path),
        "summary": run.summary,
    }
