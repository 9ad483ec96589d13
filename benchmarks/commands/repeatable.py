"""`qtha-lab bench repeatable`: equality of two runs of each quick reproduction."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table


def repeatable(
    names: Annotated[str, typer.Option(help="Some reproductions, by name; empty is all.")] = "",
    seeds: Annotated[int | None, typer.Option(help="Number of seeds of each.")] = None,
    out: Annotated[
        Path, typer.Option(help="Keeps the runs; finished pairs are not run again.")
    ] = Path("out/repeatable"),
    page: Annotated[
        Path | None, typer.Option(help="Also write the table here, as Markdown.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Run every quick reproduction twice and compare all recorded numbers bit for bit."""
    from benchmarks.repeatable import bench_repeatable, markdown, table
    from qtha_lab.core.io import show

    out.mkdir(parents=True, exist_ok=True)
    chosen = names.split(",") if names else ()
    measured = bench_repeatable(
        out, chosen, seeds, lambda row: show(f"{row['name']}: {row['difference'] or 'equal'}")
    )
    print_table(table(measured))
    if page:
        page.write_text(markdown(measured), encoding="utf-8")
    write_json(measured, json)
