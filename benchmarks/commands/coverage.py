"""`qtha-lab bench coverage`: error and power of the intervals of comparisons."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table, progress


def coverage(
    seeds: Annotated[str, typer.Option(help="Numbers of seeds.")] = "3,5,6,10,20",
    draws: Annotated[int, typer.Option(min=1, help="Tables for each claim.")] = 4000,
    json: JsonFile = None,
) -> None:
    """Error and power of the intervals of comparisons, on variances and residuals of recorded runs."""
    from benchmarks.coverage import bench_coverage, power_sentence, rows, variance_rows

    with progress() as bars:
        bar = bars.add_task("coverage", total=1, message="")
        measured = bench_coverage(
            seeds=whole_numbers(seeds, "seeds"),
            draws=draws,
            on_case=lambda label: bars.update(bar, message=label),
        )
    print_table(variance_rows(measured), caption="medians over the claims of a comparison, nats")
    print_table(rows(measured), caption=power_sentence(measured))
    write_json(measured, json)
