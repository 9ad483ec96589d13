"""The command line as one object, to which each file of commands adds its own."""

import typer

app = typer.Typer(
    name="qtha-lab",
    help="Quantum parameter-efficient fine-tuning: QTHA against LoRA, from the shell.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
