"""`qtha-lab ansatze`: list and profile ansatze without training."""

import dataclasses
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table
from qtha_lab.core.call_syntax import parse_call, split_list
from qtha_lab.core.io import show

ansatze = typer.Typer(help="List ansatze, or show some side by side.", invoke_without_command=True)
app.add_typer(ansatze, name="ansatze")

MOST_SAMPLES = 1_000_000


@ansatze.callback()
def listing(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List ansatze, or show some side by side."""
    if context.invoked_subcommand is not None:
        return
    from qtha_lab.circuits.ansatze import ANSATZE

    rows = [(info.name, info.summary, info.source) for info in ANSATZE.values()]
    if json:
        print_json([dict(zip(("name", "summary", "source"), row, strict=True)) for row in rows])
    else:
        print_table([("ansatz", "summary", "source"), *rows])


@ansatze.command("show")
def show_profiles(
    names: Annotated[
        str, typer.Argument(help="One, or several: qtha,product,brickwork(block=ry_cz).")
    ],
    qubits: Annotated[int, typer.Option(min=1, help="Qubits.")] = 4,
    layers: Annotated[int, typer.Option(min=1, max=1024, help="Repeated blocks.")] = 3,
    samples: Annotated[
        int, typer.Option(min=2, max=MOST_SAMPLES, help="Draws of the angles.")
    ] = 1000,
    inputs: Annotated[str, typer.Option(help="The data: zeros or uniform in ±π.")] = "zeros",
    observable: Annotated[str, typer.Option(help="Whose gradient.")] = "Z0",
    topology: Annotated[
        str, typer.Option(help="line, ring, all-to-all, grid (4×5), or as grid:3x4.")
    ] = "grid",
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    draw: Annotated[bool, typer.Option("--draw", help="Draw the circuit too.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare ansatze: size, chip cost, expressibility, entanglement, gradients and Lie algebra."""
    from qtha_lab.analysis.circuits.ansatz_profile import profile_ansatz, profile_table
    from qtha_lab.circuits.ansatze import build

    profiles = {}
    for text in split_list(names):
        name, options = parse_call(text, "ansatz")
        circuit = build(name, qubits, layers, **options)
        if draw and not json:
            show(f"{text}\n{circuit}\n")
        profiles[text] = profile_ansatz(circuit, samples, inputs, seed, observable, topology)
    if json:
        print_json({text: _plain(profile) for text, profile in profiles.items()})
        return
    caption = (
        f"{_count(qubits, 'qubit')}, {_count(layers, 'layer')}, data: {inputs}; {samples:,} draws"
        f" of the angles in ±π, ± one standard error, seed {seed}"
    )
    print_table(profile_table(profiles), caption=caption)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _plain(value):
    """Convert a profile to plain numbers, texts and lists, without the circuit."""
    if dataclasses.is_dataclass(value):
        fields = (f.name for f in dataclasses.fields(value) if f.name != "circuit")
        return {name: _plain(getattr(value, name)) for name in fields}
    return value.tolist() if hasattr(value, "tolist") else value
