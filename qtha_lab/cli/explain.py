"""`qtha-lab explain`: state the findings of runs in words."""

from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json
from qtha_lab.cli.run import Json
from qtha_lab.core.io import show


@app.command()
def explain(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="Runs, or folders of runs.")],
    json: Json = False,
) -> None:
    """State which method is lower, by how much and how certainly, with next steps."""
    from qtha_lab.studies.explain import explain as explained

    explanation = explained(runs)
    if json:
        print_json(
            {
                "sentences": explanation.sentences,
                "claims": [claim.plain() for claim in explanation.claims],
                "next_steps": [step.plain() for step in explanation.next_steps],
            }
        )
        return
    for sentence in explanation.sentences:
        show(sentence)
    for step in explanation.next_steps:
        show(f"Next: {step.text}")
        show(f"  {step.comparison.to_command()}")
