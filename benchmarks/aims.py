"""What people wait for, with the aim of each and what was reached: one table from the figures of the benches."""

import statistics
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from benchmarks import auto, simulators_table
from benchmarks.expval import microseconds
from benchmarks.methods import median as of_calls
from benchmarks.reporting import pipes
from benchmarks.start import beside_training, training_share
from benchmarks.turns import ratio

Figures = dict[str, Any]
HEADING = ("what", "aim", "reached", "measured", "bench")


class Aim(NamedTuple):
    """A row: what takes time, what was aimed at, and which bench's figures say what was reached."""

    what: str
    aim: str
    bench: str
    reached: Callable[[Figures], str]


def table(figures: dict[str, Figures], measured: dict[str, str], before: Iterable[str] = ()) -> str:
    """The rows as Markdown, of figures of the benches by name; what none has measured is said to be so.

    Args:
        figures: Of each bench, by name.
        measured: When, at which commit and under which load, by the name of the bench.
        before: The lines of an earlier table, which stand where there are no figures.

    Example:
        >>> table({}, {}).splitlines()[2].split(" | ")[2]
        'not measured'
    """
    earlier = dict(cells for line in before if (cells := _cells(line)))
    return pipes([HEADING, *(_row(aim, figures, measured, earlier) for aim in AIMS)])


def _cells(line: str) -> tuple[str, tuple[str, ...]] | None:
    """What a line of a table is about, and all of it."""
    cells = tuple(line.strip().strip("|").split(" | "))
    return (
        (cells[0].strip(), cells) if line.startswith("|") and len(cells) == len(HEADING) else None
    )


def _row(
    aim: Aim,
    figures: dict[str, Figures],
    measured: dict[str, str],
    earlier: dict[str, tuple[str, ...]],
) -> tuple[str, ...]:
    reached, when = "not measured", ""
    if aim.bench in figures:
        reached, when = aim.reached(figures[aim.bench]), measured[aim.bench]
    elif aim.what in earlier:
        reached, when = (cell.strip() for cell in earlier[aim.what][2:4])
    return aim.what, aim.aim, reached, when, f"`{aim.bench}`"


def _start(start: str, figure: Callable[[dict], float], text: str) -> Callable[[Figures], str]:
    """The median of a figure over the runs of each method that were started so."""

    def reached(figures: Figures) -> str:
        runs = [run for run in figures["runs"] if run["start"] == start]
        methods = dict.fromkeys(run["method"] for run in runs)
        return ", ".join(
            f"{method} {statistics.median(figure(r) for r in runs if r['method'] == method):{text}}"
            for method in methods
        )

    return reached


def _first_point(run: dict) -> float:
    return run["first_point"]


def _ratio(number: int) -> Callable[[Figures], str]:
    """Of the method of that place to the first, LoRA."""
    return lambda figures: ratio(figures["methods"][number])


def _at_every_length(figures: Figures) -> str:
    return " / ".join(f"{1e3 * row['seconds']:.2f}" for row in figures["rows"]) + " ms"


def _point(figures: Figures) -> str:
    row = figures["rows"][-1]
    return f"{1e3 * row['seconds']:.2f} ms, {row['bytes']:,} bytes"


def _listed(figures: Figures) -> str:
    stages = figures["stages"]
    return f"{stages['list']:.2f} CPU s; {stages['rows']:.2f} more for the table's rows"


def _without_index(figures: Figures) -> str:
    return f"{figures['stages']['list without the index']:.2f} CPU s"


def _compared(figures: Figures) -> str:
    listed, first = (
        " / ".join(f"{row[name]:.2f}" for row in figures["rows"]) for name in ("listed", "first")
    )
    return f"{listed} CPU s; {first} without an index"


def _first_and_again(figures: Figures) -> str:
    first, again, libraries = (
        of_calls(figures, name, "cpu") for name in ("first", "again", "libraries")
    )
    return (
        f"{first:.1f} / {again:.1f} CPU s; {libraries:.1f} to import torch, transformers and PEFT"
    )


def _threads(figures: Figures) -> str:
    most = max(run["threads"] for run in figures["runs"])
    return f"{most} of {figures['machine']['cores']}"


def _over_peers(batch: int) -> Callable[[Figures], str]:
    """How many times as long as `cpu` the fastest peer takes, over the sizes measured, and in each one's fastest turn."""

    def reached(figures: Figures) -> str:
        medians, fastest = (
            simulators_table.over_peers(figures, layers=4, batch=batch, fastest_turns=of_turns)
            for of_turns in (False, True)
        )
        return ", ".join(f"n = {n}: {medians[n]} ({fastest[n]})" for n in medians)

    return reached


def _slow_choices(figures: Figures) -> str:
    slow = sum(case["ratio"] > auto.SLACK for case in figures["cases"])
    return f"{slow} of {len(figures['cases'])} cases beyond"


def _engines() -> list[Aim]:
    aims = []
    for threads in ("one", "two"):
        words = f"{threads} thread{'s' * (threads == 'two')}"
        suffix = words.replace(" ", "-")
        what = (
            "values and gradients at L = 4, the fastest peer's time over that of `cpu` (that of its fastest turn over "
            f"that of `cpu`'s), {words}"
        )
        aims += [
            Aim(f"{what}, batch 2,048", "≥ 100 at n = 4, ≥ 60 at n = 6 to 10", f"fastest-{suffix}", _over_peers(2048)),
            Aim(f"{what}, batch 64", "≥ 15", f"fastest-{suffix}", _over_peers(64)),
            Aim(f"`auto`, {words}, over the fastest engine, of 100 calls", "≤ 1.2 everywhere", f"auto-{suffix}", _slow_choices),
        ]  # fmt: skip
    return aims


def _steps_and_answers() -> list[Aim]:
    aims = {
        "step": ("a training step on smollm2-135m", "1.10", "1.05"),
        "step-tiny": ("a training step on tiny", "1.5", "1.10"),
        "generate": ("an answer of smollm2-135m", "1.2", "1.2"),
        "generate-tiny": ("an answer of tiny", "1.2", "1.2"),
    }
    methods = ("the authors' defaults", "small: waist 64, bond 4, 2 layers")
    rows = [
        Aim(f"{what}, {method}, × LoRA r = 8", f"≤ {aim}", bench, _ratio(number))
        for bench, (what, *limits) in aims.items()
        for number, (method, aim) in enumerate(zip(methods, limits, strict=True), 1)
    ]
    control = [
        Aim(f"{aims[bench][0]}, small without circuit, × LoRA r = 8", "–", bench, _ratio(3))
        for bench in aims
    ]
    return [*rows, *control]


AIMS = [
    Aim("launch → first live point, warm", "≤ 2 s", "start", _start("warm", _first_point, ".1f")),
    Aim("launch → first live point, cold", "≤ 8 s", "start", _start("cold", _first_point, ".1f")),
    Aim(
        "a warm run but for training and evaluation",
        "≤ 3 CPU s",
        "start",
        _start("warm", beside_training, ".1f"),
    ),
    Aim(
        "a cold run but for training and evaluation",
        "–",
        "start",
        _start("cold", beside_training, ".1f"),
    ),
    Aim(
        "threads of a run that is alone, of the cores",
        "all where they change no bit: float32 on Intel's processors; elsewhere its share",
        "start",
        _threads,
    ),
    Aim(
        "training's share of a toy run of 100 steps, warm",
        "more than half",
        "start-100",
        _start("warm", training_share, ".0%"),
    ),
    Aim("`Run.status()` at 10³ / 10⁴ / 10⁵ steps", "the same", "status", _at_every_length),
    Aim("one live point at 10⁵ steps", "≤ 10 ms, ≤ 5 kB", "live", _point),
    Aim("1,000 runs listed", "≤ 0.5 s", "list-1000", _listed),
    Aim("10,000 runs listed", "≤ 1 s", "list-10000", _listed),
    Aim("1,000 runs listed without their index", "–", "list-1000", _without_index),
    Aim("10,000 runs listed without their index", "–", "list-10000", _without_index),
    Aim("`compare` of 90 / 300 runs that have ended, listed", "–", "compare", _compared),
    Aim(
        "`qtha-lab methods` with an empty cache / after that",
        "≤ 1.5 s",
        "methods",
        _first_and_again,
    ),
    Aim(
        "an evaluation, times faster than row by row with every logit",
        "≥ 1.5",
        "eval",
        lambda figures: f"{figures['cases'][0]['ratio']:.2f}",
    ),
    *_steps_and_answers(),
    Aim(
        "`expval_z`, n = 4, batch 64, with gradients",
        "≤ 100 µs",
        "expval",
        lambda figures: f"{microseconds(figures, 'whole')} µs",
    ),
    *_engines(),
]
