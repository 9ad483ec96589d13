"""`qtha-lab models`, `tasks`, `engines`, `methods`, `ansatze`: members by name."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table
from qtha_lab.cli.text_table import markdown_table
from qtha_lab.core.call_syntax import parse_call, split_list
from qtha_lab.core.declaration_cache import cached_declarations, declared_by_packages, is_loaded
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def models(json: Json = False) -> None:
    """List base models with a short name; a folder or a hub id works too."""
    from qtha_lab.models import KNOWN, is_available

    rows = [
        (m.name, f"{m.parameters:,}", "yes" if is_available(m.name) else "fetch it", m.summary)
        for m in KNOWN.values()
    ]
    _print(("model", "parameters", "here", "summary"), rows, json)


@app.command()
def tasks(json: Json = False) -> None:
    """List shipped tasks; a file, a folder or a hub id works too."""
    from qtha_lab.tasks import task_info, task_names

    infos = map(task_info, task_names())
    _print(("task", "kind", "summary"), [(i.name, i.kind, i.summary) for i in infos], json)


@app.command()
def engines(json: Json = False) -> None:
    """List engines that simulate circuits; `qtha-lab doctor` checks their packages."""
    from qtha_lab.simulators.registry import ENGINES

    infos = sorted(ENGINES.values(), key=lambda info: (info.place, info.name))
    _print(("engine", "strength"), [(info.name, info.strength) for info in infos], json)


def _print(heading: Sequence[str], rows: Sequence[Sequence[str]], json: bool) -> None:
    if json:
        print_json([dict(zip(heading, row, strict=True)) for row in rows])
    else:
        print_table([heading, *rows])


SIZE = re.compile(r"\s*[1-9][0-9]{,5}\s*")


@app.command()
def methods(
    sizes: Annotated[
        str, typer.Option(metavar="IN,OUT", help="Layer on which parameters are counted.")
    ] = "4096,4096",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List all methods and their classical controls."""
    parts = sizes.split(",")
    if len(parts) != 2 or not all(map(SIZE.fullmatch, parts)):
        raise Refusal(
            "sizes must have the form IN,OUT, two whole numbers of 1 to 999,999, got "
            f"{shortened(repr(sizes))}."
        )
    ins, outs = map(int, parts)
    tables = _counted(ins, outs)
    if json:
        records = [[dict(zip(t[0], row, strict=True)) for row in t[1:]] for t in tables]
        print_json({"methods": records[0], "controls": records[1]})
        return
    for table in tables:
        show(markdown_table(table) + "\n") if markdown else print_table(table)


def _counted(in_features: int, out_features: int) -> list[list]:
    """Return the tables from the cache, unless code has changed.

    They are computed if methods are already loaded or packages declare plugins, which may add rows.
    """
    name = f"methods-{in_features}-{out_features}"
    if is_loaded("qtha_lab.adapters") or declared_by_packages():
        return _tables(in_features, out_features)
    return cached_declarations(name, [""], lambda: _tables(in_features, out_features))


def _tables(in_features: int, out_features: int) -> list[list]:
    from qtha_lab.adapters import registry

    return [registry.methods_table(in_features, out_features), registry.controls_table()]


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
