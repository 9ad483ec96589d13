"""The command line as one object, to which each file of commands adds its own."""

from typing import Annotated

import typer

from qtha_lab import __version__
from qtha_lab.core.io import show

app = typer.Typer(
    name="qtha-lab",
    help="Quantum parameter-efficient fine-tuning: QTHA against LoRA, from the shell.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(requested: bool) -> None:
    if requested:
        show(f"qtha-lab {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Quantum parameter-efficient fine-tuning: QTHA against LoRA, from the shell."""
