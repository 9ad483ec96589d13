"""`qtha-lab explain`: state the findings of runs in words."""

import shlex
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_text
from qtha_lab.cli.run import Json
from qtha_lab.core.io import show


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
