"""`qtha-lab doctor`, `fetch` and `lab`: check this machine, fetch models, open JupyterLab."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table, progress
from qtha_lab.core.io import show
from qtha_lab.core.libraries import require_extra


@app.command()
def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Compile the kernels of engine cpu beforehand.")
    ] = False,
) -> None:
    """Check Python, packages, models, disk and browser; exit status 1 if anything is broken."""
    from qtha_lab.cli.diagnosis import compile_kernels, examine

    if compile_:
        with progress() as bars:
            task = bars.add_task("kernels", total=0, message="")

            def show_kernel(done: int, name: str) -> None:
                bars.update(task, completed=done, total=done, message=name)

            compile_kernels(show_kernel)
    findings = examine()
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        labels = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
        rows = [(f.name, labels[f.level], f.message, f.mend) for f in findings]
        print_table([("check", "state", "result", "remedy"), *rows])
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


@app.command("fetch")
def fetch_files(
    name: Annotated[
        str, typer.Argument(help="A model, such as smollm2-135m, or recordings: speech.")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Download a model, or the recordings of a reproduction, to this machine, once."""
    if name == "speech":
        from qtha_lab.tasks.problems import speech

        folder = speech.fetch_speech()
    else:
        from qtha_lab import models

        folder = models.fetch(name)
    print_json({"name": name, "folder": str(folder)}) if json else show(f"{name}: {folder}")


@app.command()
def lab(
    folder: Annotated[
        Path, typer.Option("--dir", help="The folder for the notebooks and their runs.")
    ] = Path("."),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where JupyterLab listens.")] = 8888,
    browser: Annotated[bool, typer.Option(help="Open a page in the browser.")] = True,
) -> None:
    """Copy the notebooks into a folder, and open JupyterLab at the tour.

    Existing notebooks stay unchanged.
    """
    from qtha_lab.lessons.copying import copy_notebooks, lab_command

    require_extra("lab", "The workbench", "jupyterlab")
    copies = copy_notebooks(folder)
    if copies.new:
        show(f"copied into {copies.folder}: {', '.join(copies.new)}")
    if copies.changed:
        show(f"left as they are, though the shipped ones differ: {', '.join(copies.changed)}")
    command = lab_command(copies.folder, port, browser)
    sys.stdout.flush()
    os.chdir(copies.folder)
    os.execv(command[0], command)
