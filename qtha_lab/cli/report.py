"""`qtha-lab report`: write a comparison as a standalone page, as data and as a notebook."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_text
from qtha_lab.cli.run import Json
from qtha_lab.core.io import show


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
