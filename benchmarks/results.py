"""Measure the tables of docs/engines.md, and write them with the command, the commit and the date
of each.

    python benchmarks/results.py step start          run them, then write
    python benchmarks/results.py --write             write what has been run

Figures lie in out/results/NAME; a table goes to docs/results/NAME.md. Losses are another matter:
`benchmarks/measurements.py`.
"""

import argparse
import datetime
import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import (
    comparing,
    coverage,
    expval,
    listing,
    opening,
    panels,
    simulators_table,
    start,
    step_parts,
)
from benchmarks.machine import commit, load, load_words, processor_name, short

ROOT = Path(__file__).resolve().parent.parent
OUT, PAGES = ROOT / "out" / "results", ROOT / "docs" / "results"
FIGURES = "figures.json"  # of a bench


_SIMULATORS = "simulators --layers 4 --batches 64,2048 --seconds-per-case 0.6 --minutes 12"
_SIZES = "--qubits 4,6,8,10"
# Alone with more time, so that they are timed on whole batches; which are the fastest is what all
# peers in turns say.
# The unrolled one compiles for minutes for each shape, a few shapes for each size: some twenty
# minutes in all.
_FASTEST = (
    f"simulators --layers 4 --batches 64,2048 {_SIZES} --engines cpu --seconds-per-case 20"
    " --longest-first 900 --minutes 90 --peers tensorcircuit-jax,tensorcircuit-jax-unrolled"
)
_BESIDE_LORA = (
    "--methods lora(r=8),qtha(r=8),qtha(r=8,waist=64,bond_dim=4,n_layers=2),"
    "qtha(r=8,waist=64,bond_dim=4,use_circuit=false)"
)
# By name: the options of `qtha-lab bench`, and what makes a table of its figures.
BENCHES: dict[str, tuple[str, Callable[[dict[str, Any]], str]]] = {
    "simulators-one-thread": (f"{_SIMULATORS} {_SIZES} --threads 1", simulators_table.markdown),
    "simulators-two-threads": (f"{_SIMULATORS} {_SIZES} --threads 2", simulators_table.markdown),
    "fastest-one-thread": (f"{_FASTEST} --threads 1", simulators_table.markdown),
    "fastest-two-threads": (f"{_FASTEST} --threads 2", simulators_table.markdown),
    "step": (
        f"step --model smollm2-135m --rounds 41 --parts {_BESIDE_LORA}",
        step_parts.with_steps,
    ),
    "step-tiny": (f"step --model tiny --rounds 101 --parts {_BESIDE_LORA}", step_parts.with_steps),
    "step-parts": (
        f"step --model smollm2-135m --rounds 11 --clock cpu --threads 1 --parts {_BESIDE_LORA}",
        step_parts.markdown,
    ),
    "step-parts-tiny": (
        f"step --model tiny --rounds 41 --clock cpu --threads 1 --parts {_BESIDE_LORA}",
        step_parts.markdown,
    ),
    "start": ("start --rounds 3", start.markdown),
    "start-100": ("start --rounds 3 --steps 100", start.markdown),
    "expval": ("expval", expval.markdown),
    "panels": ("panels --rounds 9", panels.markdown),
    "opening": ("opening", opening.markdown),
    "list-1000": ("list --runs 1000", listing.markdown),
    "list-10000": ("list --runs 10000", listing.markdown),
    "coverage": ("coverage", coverage.markdown),
    "compare": ("compare --runs 90,300", comparing.markdown),
}


def command(name: str) -> list[str]:
    """The command of a bench; what ends up in a table is what this gave."""
    options, _ = BENCHES[name]
    figures = (OUT / name / FIGURES).relative_to(ROOT)
    return ["qtha-lab", "bench", *shlex.split(options), "--json", str(figures)]


def measure(name: str) -> None:
    """Run it, and note when, at which commit and on what."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    facts = {
        "commit": commit(),
        "date": datetime.date.today().isoformat(),
        "processor": processor_name(),
        "load_at_start": load(),
    }
    (folder / "measured.json").write_text(json.dumps(facts))
    subprocess.run(
        [Path(sys.executable).parent / "qtha-lab", *command(name)[1:]], cwd=ROOT, check=True
    )


def write(name: str) -> None:
    """The table of a bench as Markdown."""
    figures, facts = _figures(name), _facts(name)
    origin = f"{facts['date']}, commit {facts['commit']}, {facts['processor']}, {facts['load']}"
    text = f"`{shlex.join(command(name))}`  \n{origin}\n\n{BENCHES[name][1](figures).rstrip()}\n"
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


def _figures(name: str) -> dict[str, Any]:
    return json.loads((OUT / name / FIGURES).read_text())


def _facts(name: str) -> dict[str, str]:
    """When, where, at which commit and under which load a bench was run, in words.

    Its figures know better than who began it.
    """
    figures, facts = _figures(name), json.loads((OUT / name / "measured.json").read_text())
    before = figures["machine"].get("load_before", facts["load_at_start"])
    at = short(figures.get("commit") or facts["commit"])
    return facts | {"commit": at, "load": load_words(before)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], help="which tables")
    parser.add_argument("--write", action="store_true", help="run nothing")
    options = parser.parse_args()
    for name in options.names or BENCHES:
        if not options.write:
            measure(name)
        if (OUT / name / FIGURES).exists():
            write(name)


if __name__ == "__main__":
    main()
