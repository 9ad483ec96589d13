"""`qtha-lab export`: export a run for other programs."""

from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table
from qtha_lab.cli.run import Json, RunId
from qtha_lab.core.io import show
from qtha_lab.runs.export import KINDS


@app.command("export")
def export_run(
    run_id: RunId,
    kind: Annotated[str | None, typer.Argument(help=f"One of: {', '.join(KINDS)}.")] = None,
    to: Annotated[
        Path | None, typer.Option(help="A new folder or file; default one in the run's folder.")
    ] = None,
    r: Annotated[int | None, typer.Option(min=1, help="Rank of a plain LoRA. Default: 8.")] = None,
    offset: Annotated[
        bool | None, typer.Option(help="Offset of a plain LoRA. Default: if it helps.")
    ] = None,
    json: Json = False,
) -> None:
    """Export a run: its adapter, a plain LoRA, a merged model, card, or description."""
    from qtha_lab.core.errors import Refusal
    from qtha_lab.runs import export
    from qtha_lab.runs.run import attach

    run = attach(run_id)
    if kind is None:
        print_table([("kind", "description"), *((name, k.summary) for name, k in KINDS.items())])
        return
    options = {n: v for n, v in (("r", r), ("offset", offset)) if v is not None}
    if options and kind != "lora":
        name = next(iter(options))
        raise Refusal(f"--{name} must be empty for {kind!r}, since it is that of a plain LoRA.")
    result = export.export_run(run, kind, to, **options)
    if json:
        print_json({"path": str(result.path), "message": result.message})
    else:
        show(f"{result.path}: {result.message}")
