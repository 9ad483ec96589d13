"""`qtha-lab bench simulators`: every engine and every installed peer on QTHA's circuit."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table, progress
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json, shortened, show


def simulators(
    json: JsonFile = None,
    table: Annotated[
        Path | None, typer.Option(help="Measure nothing: the README's tables from such a file.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="A few small cases, in about a minute.")] = False,
    qubits: Annotated[str, typer.Option(help="Sizes of the circuit.")] = "",
    layers: Annotated[str, typer.Option(help="Layers of the circuit.")] = "",
    batches: Annotated[str, typer.Option(help="Samples at once.")] = "",
    engines: Annotated[str, typer.Option(help="Ours; default all but auto and device:…")] = "",
    peers: Annotated[str, typer.Option(help="Others; `none`, or default all.")] = "",
    peer_python: Annotated[
        list[str] | None,
        typer.Option(help="NAME=PATH: the Python that has a peer, where not from `make peers`."),
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="Most counted turns.")] = None,
    seconds_per_case: Annotated[
        float | None, typer.Option(help="Budget of one contender in one case.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="After so many no case is begun.")] = None,
    longest_first: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Of a first call: who compiles longer is left out of larger batches.",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of every contender; default torch's.")
    ] = None,
) -> None:
    """Every engine and every installed peer on the QTHA circuit, checked, then timed in turns."""
    from benchmarks import simulators_table as table_

    if table:
        show(_tables_of(table), end="")
        return
    sizes = {
        "qubits": whole_numbers(qubits, "qubits"), "layers": whole_numbers(layers, "layers"),
        "batches": whole_numbers(batches, "batches"), "rounds": rounds, "seconds": seconds_per_case,
        "minutes": minutes, "longest_first": longest_first,
    }  # fmt: skip
    measured = _measure_simulators(sizes, quick, engines, peers, peer_python or [], threads)
    for caption, rows in table_.tables(measured):
        print_table(rows, caption=f"{caption}: µs per sample; † timed on fewer samples")
    if measured["roofline"]:
        print_table(table_.roofline_rows(measured))
    show("\n".join(table_.left_out(measured)))
    write_json(measured, json)


def _tables_of(file: Path) -> str:
    """Return the tables of a file that `--json` wrote, as Markdown."""
    from benchmarks import simulators_table

    try:
        return simulators_table.markdown(read_json(file))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
        if isinstance(problem, Refusal):
            raise
        raise Refusal(
            f"--table must be a file that `bench simulators --json` wrote, got {shortened(file)}."
        ) from None


def _measure_simulators(
    sizes: dict, quick: bool, engines: str, peers: str, pythons: list[str], threads: int | None
) -> dict:
    import torch

    from benchmarks.contenders import PEERS
    from benchmarks.grid import QUICK, Grid
    from benchmarks.simulators import bench_simulators
    from qtha_lab.simulators import engine_names

    options = {**(QUICK if quick else {}), **{k: v for k, v in sizes.items() if v}}
    own_engines = [name for name in engine_names() if name != "auto" and ":" not in name]
    usual_peers = list(PEERS)
    torch.set_num_threads(threads or torch.get_num_threads())
    with progress() as bars:
        bar = bars.add_task("simulators", total=1, message="starting the peers")
        return bench_simulators(
            Grid(**options),
            split_list(engines) if engines else own_engines,
            [] if peers == "none" else split_list(peers) if peers else usual_peers,
            pythons=dict(map(_python_of, pythons)),
            on_case=lambda done, of, message: bars.update(
                bar, completed=done, total=of, message=message
            ),
        )


def _python_of(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise Refusal(f"peer-python is NAME=PATH, not {text!r}")
    return name, Path(path)
