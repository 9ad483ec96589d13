"""`qtha-lab search`: search for a bottleneck circuit, with noise in the simulation."""

from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.flags import with_flags
from qtha_lab.cli.output import app, print_json, print_table, progress
from qtha_lab.cli.run import Detach, Json
from qtha_lab.core import paths
from qtha_lab.core.io import show
from qtha_lab.studies.circuit_search import CircuitSearch, CircuitSearchStudy


@app.command()
@with_flags((CircuitSearch, "The search"))
def search(
    out: Annotated[
        Path | None, typer.Option(help="Its folder; default a new one among the runs.")
    ] = None,
    detach: Detach = False,
    json: Json = False,
    flags: dict[str, Any] | None = None,
) -> None:
    """Search a space of circuits, and compare the result with three baselines.

    The baselines are random search, a fixed circuit, and no CNOT.
    """
    described = CircuitSearch(**(flags or {}))
    place = out or CircuitSearchStudy.new_place(paths.runs_dir())
    if detach:
        CircuitSearchStudy.begin(described, place)
        show(f"{place}: started; the same command with --out {place} prints the result")
        return
    with progress() as bar:
        line = bar.add_task("shared angles", total=described.steps, message="")

        def show_step(step: int, loss: float) -> None:
            bar.update(line, completed=step, message=f"loss {loss:.3f}")

        circuits = CircuitSearchStudy(place, show_step).run(described)
    if json:
        print_json(circuits)
    else:
        _print(described, circuits)


def _print(described: CircuitSearch, circuits: list[dict[str, Any]]) -> None:
    """Print the circuits as a table, and draw the first."""
    from qtha_lab.circuits import ansatze
    from qtha_lab.studies.architecture_search import space_of

    space = space_of(described.space)
    rows = [
        (each["name"], f"{each['loss']:.4f}", str(each["cnots"]), each["code"]) for each in circuits
    ]
    noise = "without noise" if described.noise == "none" else f"with {described.noise}"
    caption = (
        f"Loss on inputs that nothing was trained on, {noise}; of {space.n_points:,} circuits. One"
        " seed: whether search is worth it is asked by qtha-lab reproduce architecture_search."
    )
    print_table([("circuit", "loss", "CNOTs", "code"), *rows], caption)
    code = circuits[0]["code"]
    show(ansatze.build("searched", space.n_qubits, space.n_layers, code=code))
    show(
        f"use it as ansatz=searched(code={code}) with r={space.n_qubits}, n_layers={space.n_layers}"
    )
