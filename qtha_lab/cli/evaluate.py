"""`qtha-lab evaluate`: evaluate a trained adapter on other engines or tasks, or in part."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show


@app.command()
def evaluate(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="A finished run.")],
    engine: Annotated[
        list[str] | None,
        typer.Option(
            help="Another engine, such as device:default.qubit(shots=1000); may be repeated."
        ),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option(help="A task in place of the run's own; may be repeated.")
    ] = None,
    side: Annotated[str, typer.Option(help="Rows: test, eval or train.")] = "test",
    rows: Annotated[int, typer.Option(help="The most rows.", min=1)] = 128,
    cut: Annotated[
        str, typer.Option(help="Parts to set to zero, one at a time: W_q, W_c, angles.")
    ] = "",
    figure: Annotated[
        list[Path] | None,
        typer.Option(
            help=(
                "Also draw it, to a .pdf, .svg, .png, .html, .csv, .tex, .md or .py; may be"
                " repeated."
            )
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Evaluate a run's adapter as trained, in variants, without parts, and at its start."""
    from qtha_lab.figures.machinery.export import FORMATS
    from qtha_lab.figures.machinery.provenance import Provenance
    from qtha_lab.runs.run import attach
    from qtha_lab.studies.comparison.run_data import commits
    from qtha_lab.training import evaluation_variants

    if side not in ("test", "eval", "train"):
        raise Refusal(f"side must be test, eval or train, got {shortened(repr(side))}.")
    for path in figure or ():
        if path.suffix.removeprefix(".").lower() not in FORMATS:
            raise Refusal(
                f"format must be one of {', '.join(FORMATS)}, got {shortened(repr(path.name))}."
            )
    cuts = [name.strip() for name in cut.split(",") if name.strip()]
    run = attach(run_id)
    variants = list(
        evaluation_variants.evaluate_variants(
            run.files,
            engine=engine,
            task=task,
            side=side,
            rows=rows,
            cuts=cuts,
            start=True,
        )
    )
    for path in figure or ():
        origin = Provenance(runs=[run.id], commits=commits([run]))
        show(evaluation_variants.draw(variants).export(path, origin=origin), to=sys.stderr)
    if json:
        print_json([asdict(variant) for variant in variants])
        return
    for on in dict.fromkeys(variant.on for variant in variants):
        group = [variant for variant in variants if variant.on == on]
        show(f"{on}:")
        print_table(
            [
                ("adapter", "rows", "loss", "difference"),
                *(
                    (
                        v.name,
                        str(v.rows),
                        f"{v.scores['loss']:.4f}",
                        f"{v.scores['loss'] - group[0].scores['loss']:+.4f}",
                    )
                    for v in group
                ),
            ]
        )
