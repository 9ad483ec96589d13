"""`qtha-lab map`: find the leading method for each task and number of steps."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from qtha_lab.cli.output import app, print_json, print_text, progress
from qtha_lab.cli.run import DryRun, Json, print_plan
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened, show, whole_number


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
