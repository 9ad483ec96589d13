"""`qtha-lab doctor` and `qtha-lab fetch`: what this machine has, and what it lacks."""

from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table


@app.command()
def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Look at Python, packages, models, disk and browser; exit status 1 if anything is broken."""
    from qtha_lab.doctor import examine

    findings = examine()
    if json:
        print_json([finding.as_dict() for finding in findings])
    else:
        marks = {"ok": "ok", "note": "note", "problem": "PROBLEM"}
        rows = [(f.name, marks[f.level], f.said, f.mend) for f in findings]
        print_table([("what", "state", "found", "to mend it"), *rows])
    if any(finding.level == "problem" for finding in findings):
        raise typer.Exit(1)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="The model, such as smollm2-135m.")]) -> None:
    """Bring a model to this machine, once."""
    from qtha_lab import models

    print(f"{name}: {models.fetch(name)}")
