"""`qtha-lab check-plugin`: check a plugin against the contract of its registered members."""

from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_table


@app.command("check-plugin")
def check_plugin(
    plugin: Annotated[
        str, typer.Argument(help="A Python file or an importable module.", metavar="plugin")
    ],
) -> None:
    """Check every contract fact of a method, ansatz, gate, engine, task or figure.

    The exit status is 1 if a fact does not hold.
    """
    from qtha_lab import testing as contract

    verdicts = contract.check_plugin(plugin)
    for member in dict.fromkeys((verdict.kind, verdict.member) for verdict in verdicts):
        rows = [(v.fact, v.seen or "holds") for v in verdicts if (v.kind, v.member) == member]
        print_table([(" ".join(member), "seen"), *rows])
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)
