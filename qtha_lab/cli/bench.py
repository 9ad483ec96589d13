"""`qtha-lab bench`: the project's own measurements, as ratios inside one process."""

import importlib.util
import json as json_
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.calls import split_list
from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_table, progress
from qtha_lab.errors import Refusal

bench = typer.Typer(help="Measure; each table names its machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")

JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write all figures here.")]


@bench.callback()
def group() -> None:
    """Measure; each table names its machine."""
    if importlib.util.find_spec("benchmarks") is None:
        raise Refusal(
            "the benchmarks are in a checkout of qtha-lab, not in the installed package: "
            "git clone it, then make install"
        )


@bench.command()
def step(
    model: Annotated[str, typer.Option(help="The base model.")] = "smollm2-135m",
    methods: Annotated[
        str, typer.Option(help="The first is the reference of the ratios.")
    ] = "lora(r=8),qtha(r=8)",
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per step.")] = 4,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens per row.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each method.")] = 9,
    json: JsonFile = None,
) -> None:
    """The time and memory of one training step, QTHA against LoRA, taking turns."""
    from benchmarks.step import bench_step
    from qtha_lab.experiment import MethodChoice

    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    with progress() as bars:
        bar = bars.add_task(f"step on {model}", total=rounds, message="warming up")
        measured = bench_step(
            model, choices, batch_size=batch_size, tokens=tokens, rounds=rounds,
            on_round=lambda done, of: bars.update(bar, completed=done, message=""),
        )  # fmt: skip
    rows = [
        (
            entry["label"],
            f"{entry['trainable_parameters']:,}",
            f"{entry['seconds'] * 1000:,.0f}",
            f"{entry['time_ratio']:.2f}",
            f"{(entry['peak_memory_bytes'] or 0) / 2**20:,.0f}",
            f"{entry['memory_ratio'] or 0:.2f}",
        )
        for entry in measured["methods"]
    ]
    machine = measured["machine"]
    print_table(
        [("method", "parameters", "ms per step", "time ratio", "peak MiB", "memory ratio"), *rows],
        caption=f"{batch_size} × {tokens} tokens, medians of {rounds} rounds, {machine['processor']}, "
        f"{machine['torch_threads']} threads",
    )
    _write(measured, json)


@bench.command()
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
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of every contender; default torch's.")
    ] = None,
) -> None:
    """Every engine and every installed peer on the QTHA circuit, checked, then timed in turns."""
    from benchmarks import simulators_table as table_

    if table:
        print(table_.markdown(json_.loads(table.read_text())), end="")
        return
    sizes = {
        "qubits": _whole(qubits, "qubits"), "layers": _whole(layers, "layers"),
        "batches": _whole(batches, "batches"), "rounds": rounds, "seconds": seconds_per_case,
        "minutes": minutes,
    }  # fmt: skip
    measured = _measure_simulators(sizes, quick, engines, peers, peer_python or [], threads)
    for caption, rows in table_.tables(measured):
        print_table(rows, caption=f"{caption}: µs per sample; † timed on fewer samples")
    if measured["roofline"]:
        print_table(table_.roofline_rows(measured))
    print("\n".join(table_.left_out(measured)))
    _write(measured, json)


@bench.command()
def predictions(
    model: Annotated[str, typer.Option(help="The base model of the training steps.")] = "tiny",
    rounds: Annotated[int, typer.Option(min=1, help="Predictions of each case.")] = 5,
    json: JsonFile = None,
) -> None:
    """How far predicted times are from real ones, for circuits and for training steps."""
    from benchmarks.predictions import bench_predictions

    with progress() as bars:
        bar = bars.add_task("predictions", total=None, message="")
        measured = bench_predictions(
            model=model, rounds=rounds, on_case=lambda label: bars.update(bar, message=label)
        )
    rows = [
        (case["label"], f"{min(case['real']):.3g}", f"{case['ratio']:.2f}")
        for case in measured["cases"]
    ]
    print_table(
        [("case", "real, s", "predicted / real"), *rows],
        caption=f"medians of {rounds} rounds, {measured['machine']['processor']}",
    )
    _write(measured, json)


def _measure_simulators(
    sizes: dict, quick: bool, engines: str, peers: str, pythons: list[str], threads: int | None
) -> dict:
    import torch

    from benchmarks.contenders import PEERS
    from benchmarks.grid import QUICK, Grid
    from benchmarks.simulators import bench_simulators
    from qtha_lab.simulators import engine_names

    chosen = {**(QUICK if quick else {}), **{k: v for k, v in sizes.items() if v}}
    ours = [name for name in engine_names() if name != "auto" and ":" not in name]
    theirs = [name for name, peer in PEERS.items() if peer.by_default]
    torch.set_num_threads(threads or torch.get_num_threads())
    with progress() as bars:
        bar = bars.add_task("simulators", total=1, message="starting the peers")
        return bench_simulators(
            Grid(**chosen),
            split_list(engines) if engines else ours,
            [] if peers == "none" else split_list(peers) if peers else theirs,
            pythons=dict(map(_python_of, pythons)),
            on_case=lambda done, of, message: bars.update(
                bar, completed=done, total=of, message=message
            ),
        )


def _whole(text: str, name: str) -> tuple[int, ...]:
    """Whole numbers from `4,6,8`."""
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise Refusal(f"{name} must be whole numbers such as 4,6,8, not {text!r}") from None


def _python_of(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise Refusal(f"peer-python is NAME=PATH, not {text!r}")
    return name, Path(path)


def _write(measured: dict, file: Path | None) -> None:
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json_.dumps(measured, indent=2) + "\n")
