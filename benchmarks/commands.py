"""Commands of `qtha-lab bench`; heavy libraries are imported when a command runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from typer import Option

from benchmarks.reporting import report
from qtha_lab.core.call_syntax import split_list
from qtha_lab.core.errors import Refusal

app = typer.Typer(add_completion=False)
JsonFile = Annotated[Path | None, Option("--json", help="Also write all figures here.")]
Threads = Annotated[int | None, Option(min=1, help="Threads of torch; all cores by default.")]


def whole_numbers(text: str, name: str) -> tuple[int, ...]:
    """Return the whole numbers of a list such as `4,6,8`."""
    try:
        return tuple(int(word) for word in text.split(",")) if text else ()
    except ValueError:
        raise Refusal(f"{name} must be whole numbers such as 4,6,8, got {text!r}.") from None


@contextmanager
def _bar(label: str, total: float = 1) -> Iterator[Callable[..., None]]:
    """Show a progress bar, and yield the function that updates it."""
    from qtha_lab.cli.output import progress

    with progress() as bars:
        task = bars.add_task(label, total=total, message="")
        yield lambda **changes: bars.update(task, **changes)


@app.command()
def expval(
    qubits: Annotated[int, Option(min=1, help="Qubits of the QTHA circuit.")] = 4,
    layers: Annotated[int, Option(min=1, help="Layers of the QTHA circuit.")] = 1,
    batch: Annotated[int, Option(min=1, help="Samples per call.")] = 64,
    threads: Annotated[int, Option(min=1, help="Threads of torch and the engine.")] = 1,
    rounds: Annotated[int, Option(min=1, help="Turns of each part.")] = 15,
    json: JsonFile = None,
) -> None:
    """Time one call of expval_z with gradients, and its parts."""
    from benchmarks.expval import bench_expval, tables

    sizes = {"n_qubits": qubits, "n_layers": layers, "batch": batch}
    figures = bench_expval(**sizes, threads=threads, rounds=rounds)
    report(figures, tables(figures), json)


@app.command()
def step(
    model: Annotated[str, Option(help="Base model.")] = "smollm2-135m",
    methods: Annotated[
        str, Option(help="Methods; the first is the reference.")
    ] = "lora(r=8),qtha(r=8)",
    batch_size: Annotated[int, Option(min=1, help="Rows per step.")] = 4,
    tokens: Annotated[int, Option(min=2, help="Tokens per row.")] = 64,
    rounds: Annotated[int, Option(min=1, help="Counted turns of each method.")] = 9,
    clock: Annotated[str, Option(help="wall, or cpu for all threads.")] = "wall",
    threads: Threads = None,
    parts: Annotated[bool, Option(help="Time layers, circuits and tensor networks too.")] = False,
    json: JsonFile = None,
) -> None:
    """Time a training step and measure its memory, by method, alternately."""
    from qtha_lab.runs.worker import use_threads

    use_threads(threads)  # before torch is imported
    from benchmarks.step import bench_step, tables
    from qtha_lab.experiment import MethodChoice

    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    with _bar(f"step on {model}", rounds) as update:
        figures = bench_step(
            model, choices, batch_size=batch_size, tokens=tokens, rounds=rounds, clock=clock,
            parts=parts, on_round=lambda done, of: update(completed=done),
        )  # fmt: skip
    report(figures, tables(figures), json)


@app.command()
def simulators(
    qubits: Annotated[str, Option(help="Qubits of the circuits.")] = "",
    layers: Annotated[str, Option(help="Layers of the circuits.")] = "",
    batches: Annotated[str, Option(help="Batch sizes.")] = "",
    engines: Annotated[str, Option(help="Our engines; by default all that need no device.")] = "",
    peers: Annotated[str, Option(help="Other simulators; none, or by default all.")] = "",
    rounds: Annotated[int | None, Option(min=1, help="Most turns.")] = None,
    seconds: Annotated[float | None, Option(help="Budget per contender and case.")] = None,
    minutes: Annotated[float | None, Option(help="No case starts after this time.")] = None,
    longest_first: Annotated[
        float | None, Option(help="Longest first call, in seconds, before larger batches.")
    ] = None,
    threads: Threads = None,
    json: JsonFile = None,
) -> None:
    """Check and time every engine and every installed peer on the QTHA circuit."""
    import torch

    from benchmarks.peers import PEERS
    from benchmarks.simulators import Grid, bench_simulators, tables
    from qtha_lab.simulators import engine_names

    sizes = {
        "qubits": whole_numbers(qubits, "qubits"), "layers": whole_numbers(layers, "layers"),
        "batches": whole_numbers(batches, "batches"), "rounds": rounds, "seconds": seconds,
        "minutes": minutes, "longest_first": longest_first,
    }  # fmt: skip
    grid = Grid(**{name: value for name, value in sizes.items() if value})
    own = [name for name in engine_names() if name != "auto" and ":" not in name]
    others = [] if peers == "none" else split_list(peers) if peers else list(PEERS)
    torch.set_num_threads(threads or torch.get_num_threads())
    with _bar("simulators") as update:
        figures = bench_simulators(
            grid, split_list(engines) if engines else own, others,
            on_case=lambda done, of, case: update(completed=done, total=of, message=case),
        )  # fmt: skip
    report(figures, tables(figures), json)


@app.command()
def start(
    model: Annotated[str, Option(help="Base model.")] = "tiny",
    methods: Annotated[str, Option(help="Methods to launch.")] = "lora,qtha",
    steps: Annotated[int, Option(min=1, help="Steps of every run.")] = 5,
    rounds: Annotated[int, Option(min=1, help="Runs of each method and kind of start.")] = 3,
    json: JsonFile = None,
) -> None:
    """Time a run from launch to its first point, and its phases."""
    from benchmarks.start import bench_start, tables

    names = split_list(methods)
    with _bar("start", 2 * rounds * len(names)) as update:
        figures = bench_start(
            model, names, steps=steps, rounds=rounds,
            on_run=lambda done, label: update(completed=done, message=label),
        )  # fmt: skip
    report(figures, tables(figures), json)


@app.command()
def imports(
    rounds: Annotated[int, Option(min=1, help="New processes of each import.")] = 5,
    json: JsonFile = None,
) -> None:
    """Measure the CPU time of the import of the adapters, against PEFT alone."""
    from benchmarks.imports import bench_imports, tables

    figures = bench_imports(rounds)
    report(figures, tables(figures), json)


@app.command("list")
def list_(
    runs: Annotated[int, Option(min=1, help="Runs in the folder.")] = 10_000,
    rounds: Annotated[int, Option(min=1, help="Measurements of each stage.")] = 5,
    json: JsonFile = None,
) -> None:
    """Time the table of thousands of runs, stage by stage."""
    from benchmarks.lists import bench_list, tables

    figures = bench_list(runs, rounds)
    report(figures, tables(figures), json)


@app.command()
def compare(
    runs: Annotated[str, Option(help="Runs of each comparison; multiples of 15.")] = "90,300",
    rounds: Annotated[int, Option(min=2, help="Calls on each comparison.")] = 3,
    json: JsonFile = None,
) -> None:
    """Time a comparison whose runs have all ended: listing and summary."""
    from benchmarks.lists import bench_compare, tables

    figures = bench_compare(whole_numbers(runs, "runs"), rounds)
    report(figures, tables(figures), json)


@app.command()
def panels(
    rounds: Annotated[int, Option(min=1, help="Moves of every slider.")] = 15,
    json: JsonFile = None,
) -> None:
    """Time a slider of every explorer until its figures are drawn, in JupyterLab."""
    from benchmarks.notebooks import CONTROLS, bench_panels, tables

    with _bar("panels", len(CONTROLS)) as update:
        figures = bench_panels(rounds, lambda name: update(advance=1, message=name))
    report(figures, tables(figures), json)


@app.command()
def opening(
    rounds: Annotated[int, Option(min=1, help="Counted kernels.")] = 5, json: JsonFile = None
) -> None:
    """Time the workbench in new kernels, from Run to its form."""
    from benchmarks.notebooks import bench_opening, tables

    with _bar("opening", rounds + 1) as update:
        figures = bench_opening(rounds, lambda number: update(completed=number))
    report(figures, tables(figures), json)


@app.command()
def soak(
    folder: Annotated[Path, typer.Argument(help="Folder of the journal and the runs.")],
    minutes: Annotated[float, Option(min=0.1, help="Minutes of use, with earlier ones.")] = 60,
    seed: Annotated[int, Option(help="Seed of the actions.")] = 0,
    json: JsonFile = None,
) -> None:
    """Use the workbench and the explorers at random; count complaints and growth of memory."""
    from benchmarks.soak import bench_soak, tables

    with _bar("soak", minutes) as update:
        figures = bench_soak(
            folder, minutes, seed,
            lambda done, count: update(completed=done, message=f"{count} complaints"),
        )  # fmt: skip
    report(figures, tables(figures), json)


@app.command()
def coverage(
    seeds: Annotated[str, Option(help="Numbers of seeds.")] = "3,5,6,10,20",
    draws: Annotated[int, Option(min=1, help="Tables per claim.")] = 4000,
    json: JsonFile = None,
) -> None:
    """Measure error and power of the intervals of comparisons on recorded runs."""
    from benchmarks.coverage import bench_coverage, tables

    with _bar("coverage") as update:
        figures = bench_coverage(
            whole_numbers(seeds, "seeds"), draws, on_case=lambda label: update(message=label)
        )
    report(figures, tables(figures), json)


@app.command()
def default_size(
    cases: Annotated[str, Option(help="Names of cases; all by default.")] = "",
    out: Annotated[Path, Option(help="Folder of the runs.")] = Path("out/default-size"),
    json: JsonFile = None,
) -> None:
    """Compare QTHA at its default size with the frozen model and LoRA r = 2."""
    from benchmarks.default_size import CASES, bench_default_size, tables

    figures = bench_default_size(out, cases.split(",") if cases else CASES)
    report(figures, tables(figures), json)


@app.command()
def repeatable(
    names: Annotated[str, Option(help="Names of reproductions; all by default.")] = "",
    seeds: Annotated[int | None, Option(help="Number of seeds.")] = None,
    out: Annotated[Path, Option(help="Folder of the runs.")] = Path("out/repeatable"),
    json: JsonFile = None,
) -> None:
    """Run every quick reproduction twice, and compare all recorded numbers."""
    from benchmarks.repeatable import bench_repeatable, tables

    with _bar("repeatable") as update:
        figures = bench_repeatable(
            out, names.split(",") if names else (), seeds,
            lambda row: update(message=f"{row['name']}: {row['difference'] or 'equal'}"),
        )  # fmt: skip
    report(figures, tables(figures), json)
