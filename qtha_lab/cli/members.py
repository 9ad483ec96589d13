"""`qtha-lab models`, `tasks` and `engines`: members that an experiment can name."""

from collections.abc import Sequence
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table

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
