"""`qtha-lab evaluate`: a trained adapter on another engine or task, or with a part cut off."""

from dataclasses import asdict
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table
from qtha_lab.errors import Refusal


@app.command()
def evaluate(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A finished run.")],
    engine: Annotated[
        str | None, typer.Option(help="Another engine, such as device:default.qubit(shots=1000).")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Another task.")] = None,
    side: Annotated[str, typer.Option(help="Rows: test, eval or train.")] = "test",
    rows: Annotated[int, typer.Option(help="The most rows.", min=1)] = 128,
    cut: Annotated[
        str, typer.Option(help="Parts to set to zero, one at a time: W_q, W_c, angles.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate the adapter of a run as it was trained, and beside it elsewhere or without a part."""
    from qtha_lab import runs
    from qtha_lab.training.elsewhere import evaluate_elsewhere

    if side not in ("test", "eval", "train"):
        raise Refusal(f"side must be test, eval or train, not {side!r}")
    cuts = [name.strip() for name in cut.split(",") if name.strip()]
    variants = list(
        evaluate_elsewhere(
            runs.attach(run_id).files, engine=engine, task=task, side=side, rows=rows, cuts=cuts
        )
    )
    if json:
        print_json([asdict(variant) for variant in variants])
        return
    first = variants[0].scores["loss"]
    print_table([
        ("adapter", "rows", "loss", "difference"),
        *(
            (v.name, str(v.rows), f"{v.scores['loss']:.4f}", f"{v.scores['loss'] - first:+.4f}")
            for v in variants
        ),
    ])  # fmt: skip
