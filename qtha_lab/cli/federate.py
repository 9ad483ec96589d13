"""`qtha-lab federate`: federated averaging over clients; loss against bytes sent."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from qtha_lab.cli.flags import combine, fields_of, with_flags
from qtha_lab.cli.output import app, bar_per_run, print_json, print_table, print_text, progress
from qtha_lab.cli.run import DryRun, Json
from qtha_lab.core.io import show
from qtha_lab.experiment import Federation, Training
from qtha_lab.runs.worker import use_threads


@app.command()
@with_flags((Federation, "The federation"), (Training, "The training of every client"))
def federate(
    file: Annotated[Path | None, typer.Argument(help="A federation file (YAML).")] = None,
    out: Annotated[Path, typer.Option(help="Where runs, summary.json and the figure go.")] = Path(
        "out/federation"
    ),
    on: Annotated[
        Literal["here", "flower"],
        typer.Option(
            help="Clients run one after another here, or in processes of Flower's simulation."
        ),
    ] = "here",
    dry_run: DryRun = False,
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Train every method by federated averaging and print one table.

    Run the command again to continue after an interruption.
    """
    file_fields = fields_of(Federation.from_yaml(file) if file else None)
    described = Federation(**combine(file_fields, flags or {}, Training))
    use_threads(
        described.training.threads
    )  # before the import of torch: clients compute bit for bit like workers
    if on == "flower":
        from qtha_lab.studies.federated.flower import check_flower

        check_flower(described)
    if dry_run:
        described.check()
        show(described.to_yaml(), end="")
        return
    from qtha_lab.studies import federated

    with progress() as bars:
        run = federated.federate_on_flower if on == "flower" else federated.federate
        show_run = bar_per_run(
            bars,
            lambda run: f"{run.experiment.method.label} seed {run.experiment.seed}",
            lambda run, status: status.message or status.state,
        )
        summary = run(described, out, show_run)
    figure = _figure(summary)
    if json:
        print_json(summary)
        return
    print_runs(summary)
    print_text(figure.alt)
    show(f"in {out}")


def _figure(summary: dict[str, Any]):
    from qtha_lab.figures import loss_against_bytes

    courses: list[Any] = [
        {name: run[name] for name in ("label", "seed", "rounds")} for run in summary["runs"]
    ]
    return loss_against_bytes(courses)


def print_runs(summary: dict[str, Any]) -> None:
    """Print a line per method and seed."""
    rows = [
        (
            "method",
            "seed",
            "parameters",
            "loss, start",
            "loss, last round",
            "test loss",
            "bytes sent",
        ),
        *(
            (
                run["label"],
                str(run["seed"]),
                f"{run['trainable_parameters']:,}",
                f"{run['eval_loss_start']:.3f}",
                f"{run['eval_loss']:.3f}",
                f"{run['test_loss']:.3f}",
                f"{run['rounds'][-1]['bytes_sent']:,}",
            )
            for run in summary["runs"]
        ),
    ]
    print_table(rows)
