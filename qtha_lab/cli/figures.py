"""`qtha-lab figures`: the whole set of figures of some runs, fit for a paper, a slide or a poster."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json
from qtha_lab.errors import Refusal

Places = Annotated[
    list[str],
    typer.Argument(metavar="RUN…", help="Runs, folders of runs, or comparisons' folders."),
]


@app.command()
def figures(
    places: Places,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("out/figures"),
    formats: Annotated[
        str, typer.Option(help="Any of pdf, svg, png, html, csv, tex, md, py (matplotlib).")
    ] = "pdf,svg,html,csv,tex",
    target: Annotated[
        str, typer.Option(help="one-column, two-column, beamer or poster.")
    ] = "one-column",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the figures of a comparison: curves, Pareto plots, table, circuits, spectra where recorded."""
    from qtha_lab.compare import reading
    from qtha_lab.compare.figure_set import figure_set
    from qtha_lab.figures.machinery.export import FORMATS, export_all
    from qtha_lab.figures.machinery.look import Look
    from qtha_lab.figures.machinery.provenance import Origin

    forms = [form.strip() for form in formats.split(",") if form.strip()]
    if unknown := [form for form in forms if form not in FORMATS]:
        raise Refusal(f"formats must be of {', '.join(FORMATS)}, not {', '.join(unknown)}")
    Look(theme, target)
    runs = reading.find_runs(places)
    for run_id, reason in (problems := reading.left_out(places)).items():
        print(f"left out: {run_id}: unreadable: {reason}", file=sys.stderr)
    origin = Origin(runs=[run.id for run in runs], commits=reading.commits(runs))
    figure_list = list(figure_set(runs, on_left_out=lambda reason: print(reason, file=sys.stderr)))
    paths, message = export_all(figure_list, out, forms, target=target, theme=theme, origin=origin)
    if json:
        print_json(
            {
                "files": [str(path) for path in paths],
                "pictures_missing": message or None,
                "left_out": problems,
            }
        )
        return
    for figure in figure_list:
        print(f"{figure.name}: {figure.alt}")
    if message:
        print(f"no pictures: {message}")
    print(f"{len(paths)} files in {out}")
