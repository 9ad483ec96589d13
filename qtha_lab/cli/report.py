"""`qtha-lab report`, `explain` and `plot`: the findings of runs as pages, words and figures."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table, print_text
from qtha_lab.cli.run import Json
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show
from qtha_lab.core.libraries import require_extra

if TYPE_CHECKING:
    from qtha_lab.figures.machinery.figure import Figure


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="What `qtha-lab compare` wrote (its --out).")],
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes. Default: the same folder.")
    ] = None,
    json: Json = False,
) -> None:
    """Write report.html, report.json and report.ipynb of a comparison, finished or in progress."""
    from qtha_lab.studies import comparison

    report = comparison.Report.of(folder)
    files = report.write(folder if out is None else out)
    if json:
        print_json({"files": [str(file) for file in files], "report": report.plain()})
        return
    print_verdicts(report["verdicts"].sentences)
    show(f"in {files[0]}")


def print_verdicts(sentences: Iterable[str]) -> None:
    """Print the verdicts of a comparison."""
    for sentence in sentences:
        print_text(sentence, "- ")


@app.command("explain")
def explain_runs(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs, or folders of runs.")],
    json: Json = False,
) -> None:
    """State which method is lower, by how much and how certainly, with next steps."""
    from qtha_lab.studies.comparison.explain import explain

    findings = explain(runs)
    if json:
        print_json(
            {
                "sentences": findings.sentences,
                "claims": [claim.plain() for claim in findings.claims],
                "next_steps": [step.plain() for step in findings.next_steps],
            }
        )
        return
    for sentence in findings.sentences:
        print_text(sentence)
    for number, step in enumerate(findings.next_steps, 1):
        print_text(f"Next: {step.text}")
        added = f"out/next-{number}"  # the new runs are judged together with these
        together = f" --out {added} && qtha-lab explain {shlex.join([*runs, added])}"
        show(f"  {step.command}{together if step.comparison else ''}")


Places = Annotated[
    list[str],
    typer.Argument(metavar="RUN…", help="Runs, folders of runs, or comparisons' folders."),
]


@app.command()
def plot(
    places: Places,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("out/figures"),
    formats: Annotated[
        str, typer.Option(help="Any of pdf, svg, png, html, csv, tex, md.")
    ] = "pdf,svg,html,csv,tex",
    target: Annotated[
        str, typer.Option(help="one-column, two-column, beamer or poster.")
    ] = "one-column",
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    only: Annotated[
        str,
        typer.Option(help="Names of figures to write, with * for any letters: forest*,results."),
    ] = "*",
    list_: Annotated[bool, typer.Option("--list", help="List the figures; write none.")] = False,
    names: Annotated[
        str, typer.Option(help="short (options that differ between methods) or full (all options).")
    ] = "short",
    font: Annotated[
        str,
        typer.Option(help="Font family, such as 'Times New Roman, serif'; the theme's if empty."),
    ] = "",
    points: Annotated[float, typer.Option(help="Font size in points; the target's if 0.")] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the figures of a comparison: differences, results, curves, costs, circuits, spectra."""
    forms = [form.strip() for form in formats.split(",") if form.strip()]
    if not list_:
        _require_packages(forms)
    from qtha_lab.figures.machinery.export import FORMATS, export_all
    from qtha_lab.figures.machinery.page_style import PageStyle
    from qtha_lab.figures.machinery.provenance import Provenance
    from qtha_lab.studies.comparison import found_runs
    from qtha_lab.studies.comparison.findings import figures

    if unknown := [form for form in forms if form not in FORMATS]:
        raise Refusal(
            f"formats must be of {', '.join(FORMATS)}, got {shortened(', '.join(unknown))}."
        )
    page_style = PageStyle(theme, target, font, points, legend="below")
    runs = found_runs.find_runs(places)
    for run_id, reason in (problems := found_runs.left_out(places)).items():
        show(f"left out: {run_id}: unreadable: {reason}", to=sys.stderr)
    every = list(figures(runs, lambda reason: show(reason, to=sys.stderr), names))
    figure_list = _chosen(every, only)
    if list_:
        _list(figure_list, json)
        return
    origin = Provenance(runs=[run.id for run in runs], commits=found_runs.commits(runs))
    paths, message = export_all(figure_list, out, forms, page_style=page_style, origin=origin)
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
        print_text(f"{figure.name}: {figure.alt}")
    if message:
        show(f"no pictures: {message}")
    show(f"{len(paths)} files in {out}")


def _require_packages(forms: Sequence[str]) -> None:
    """Refuse formats whose packages are missing, before large libraries are imported."""
    if {"pdf", "svg", "png"} & set(forms):
        require_extra("figures", "A picture of a figure", "kaleido")
    if {"html", "tex"} & set(forms):
        require_extra("figures", "A table in HTML or LaTeX", "great_tables")


def _chosen(every: Sequence["Figure"], only: str) -> list["Figure"]:
    """Return the figures whose names match one of the patterns, in their order.

    Raises:
        Refusal: If a pattern matches none.
    """
    patterns = [part.strip() for part in only.split(",") if part.strip()]
    for pattern in patterns:
        if not any(fnmatchcase(figure.name, pattern) for figure in every):
            raise Refusal(
                f"only must name figures of these runs, got {shortened(pattern)}. `--list` lists"
                " the names."
            )
    return [f for f in every if any(fnmatchcase(f.name, pattern) for pattern in patterns)]


def _list(figure_list: Sequence["Figure"], json: bool) -> None:
    """Print the name and title of each figure."""
    if json:
        print_json([{"name": f.name, "title": f.title, "finding": f.alt} for f in figure_list])
    else:
        print_table([("figure", "title"), *((f.name, str(f.title)) for f in figure_list)])
