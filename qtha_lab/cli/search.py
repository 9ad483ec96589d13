"""`qtha-lab search` and `map`: searches of circuits, and maps of regimes."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.flags import with_flags
from qtha_lab.cli.output import app, print_json, print_table, print_text, progress
from qtha_lab.cli.run import Detach, DryRun, Json, print_plan
from qtha_lab.core import paths
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show, whole_number
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


@app.command("map")
def draw_map(
    file: Annotated[Path, typer.Argument(help="A comparison file (YAML) with several tasks.")],
    steps: Annotated[str, typer.Option(help="Numbers of steps, such as 100,1000.")] = "100,1000",
    out: Annotated[Path, typer.Option(help="Folder of runs, map.json and regimes.html.")] = Path(
        "out/map"
    ),
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Run a comparison at several numbers of steps, and print the leader of each cell.

    Run the command again to continue after an interruption.
    """
    from qtha_lab.experiment import Comparison
    from qtha_lab.figures.regimes import regimes
    from qtha_lab.studies.regime_map import RegimeMap

    words = split_list(steps)
    if not words or any(whole_number(word, 9_999_999) is None for word in words):
        raise Refusal(
            f"steps must be whole numbers such as 100,1000, got {shortened(repr(steps))}."
        )
    grid = RegimeMap(Comparison.from_yaml(file), tuple(map(int, words)))
    if dry_run:
        grid.check(out)
        for comparison in grid.comparisons():
            print_plan(comparison, comparison.typical())
        return
    with progress() as bars:
        runs = sum(len(comparison.experiments()) for comparison in grid.comparisons())
        line = bars.add_task("runs", total=runs, message="")
        ended: set[Path] = set()

        def follow(run, status) -> None:
            if status.state == "finished":
                ended.add(run.path)
            bars.update(line, completed=len(ended), message=run.id)

        found = grid.run(out, follow)
    figure = regimes(found)
    figure.export(out / "regimes.html")
    if json:
        print_json(found)
        return
    print_cells(found)
    show(f"in {out / 'map.json'}, drawn in {out / 'regimes.html'}")


def print_cells(cells: Iterable[Any]) -> None:
    """Print the finding of each cell."""
    for cell in cells:
        print_text(_sentence(cell), "- ")


def _sentence(cell: Any) -> str:
    """Return the finding of a cell, with its difference in nats."""
    difference = f"{cell['mean']:+.3f} [{cell['low']:+.3f}, {cell['high']:+.3f}]"
    leads = f"{cell['leader']} leads, next" if cell["leader"] else "undecided, nearest"
    return f"{cell['place']}, {cell['steps']} steps: {leads} {cell['against']}, {difference}"
