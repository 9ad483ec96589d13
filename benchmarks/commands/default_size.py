"""`qtha-lab bench default-size`: whether QTHA learns at its default size."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table


def default_size(
    cases: Annotated[str, typer.Option(help="Some of the cases, by name; empty is all.")] = "",
    out: Annotated[
        Path, typer.Option(help="Keeps the runs; finished ones are not run again.")
    ] = Path("out/default-size"),
    page: Annotated[
        Path | None, typer.Option(help="Also write the table here, as Markdown.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Hold QTHA at its default size against the frozen model and LoRA r = 2, each at its best of
    four rates.
    """
    from benchmarks.default_size import CASES, bench_default_size, markdown, table

    measured = bench_default_size(out, cases.split(",") if cases else CASES)
    print_table(table(measured))
    if page:
        page.write_text(markdown(measured), encoding="utf-8")
    write_json(measured, json)
