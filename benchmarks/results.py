"""Measure the tables of docs/results.md, and write them with the command, the commit and the date of each.

    python benchmarks/results.py toy controls        run what is missing (resumable), then write
    python benchmarks/results.py --write             write what has been run
    python benchmarks/results.py start start-100 eval live status step step-tiny generate generate-tiny expval
                                                     all that the table of aims needs

Runs lie in out/results/NAME; a table goes to docs/results/NAME.md.
"""

import argparse
import datetime
import json
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks import aims, auto, long_runs, simulators_table, step_parts, turns
from benchmarks.machine import machine
from qtha_lab.compare import aggregate

ROOT = Path(__file__).resolve().parent.parent
OUT, PAGES = ROOT / "out" / "results", ROOT / "docs" / "results"
FIGURES = "figures.json"  # of a bench
SMALL = "qtha(r=4,waist=16,bond_dim=3{})"
TUNED = "learning_rate=0.01"
TOY = "--model tiny --task qa --seeds 0,1,2"
# By name: the options of `qtha-lab compare`. LoRA's alpha is 2 r wherever it stands beside QTHA, as QTHA's is.
COMPARISONS = {
    "toy": f"{TOY} --steps 100 --methods lora,qtha,qtha(init=paper)",
    "controls": f"{TOY} --steps 100 --methods "
    + ",".join(
        [
            f"lora(r=8,lora_alpha=16,{TUNED})",
            f"lora(r=2,lora_alpha=4,{TUNED})",
            SMALL.format(f",init=paper,{TUNED}"),
            *(
                SMALL.format(f",{change}{TUNED}")
                for change in ("", "use_circuit=false,", "ansatz=product,", "train_circuit=false,")
            ),
        ]
    ),
    "rounding": f"{TOY} --steps 100 --methods "
    + ",".join(
        SMALL.format(f",{start}engine={engine},{TUNED}")
        for start in ("", "init=paper,")
        for engine in ("cpu", "torch", "lightning")
    ),
    "methods": "--model tiny --task qa --seeds 0 --steps 50 --methods all",
    "smollm2": "--model smollm2-135m --task qa --steps 30 --eval-every 30 --checkpoint-every 30 --seeds 0 --methods "
    + ",".join(
        f"{name},learning_rate={rate})"
        for name, rates in {
            "lora(r=2,lora_alpha=4": (0.001, 0.01),
            "lora(r=8,lora_alpha=16": (0.001, 0.01),
            "qtha(r=8,waist=64,bond_dim=4,n_layers=2,init=paper": (0.001,),
            "qtha(r=8,waist=64,bond_dim=4,n_layers=2": (0.001, 0.003),
            "qtha(r=8,waist=64,bond_dim=4,use_circuit=false": (0.003,),
        }.items()
        for rate in rates
    ),
}


_SIMULATORS = "simulators --layers 4 --batches 64,2048 --seconds-per-case 0.6 --minutes 30"
_SIZES = "--qubits 4,6,8,10"
_BESIDE_LORA = (
    "--methods lora(r=8),qtha(r=8),qtha(r=8,waist=64,bond_dim=4,n_layers=2),"
    "qtha(r=8,waist=64,bond_dim=4,use_circuit=false)"
)
# By name: the options of `qtha-lab bench`, and what makes a table of its figures; None has a row in `aims` alone.
BENCHES: dict[str, tuple[str, Callable[[dict[str, Any]], str] | None]] = {
    "simulators-one-thread": (f"{_SIMULATORS} {_SIZES} --threads 1", simulators_table.markdown),
    "simulators-two-threads": (f"{_SIMULATORS} {_SIZES} --threads 2", simulators_table.markdown),
    "auto-one-thread": ("auto --threads 1 --rounds 3", auto.markdown),
    "auto-two-threads": ("auto --threads 2 --rounds 3", auto.markdown),
    "step": (f"step --model smollm2-135m --rounds 5 {_BESIDE_LORA}", turns.markdown),
    "step-tiny": (f"step --model tiny --rounds 15 {_BESIDE_LORA}", turns.markdown),
    "step-parts-tiny": (
        f"step --model tiny --rounds 9 --clock cpu --parts {_BESIDE_LORA}",
        step_parts.markdown,
    ),
    "generate": (
        f"generate --model smollm2-135m --rounds 3 --tokens 24 {_BESIDE_LORA}",
        turns.markdown,
    ),
    "start": ("start --rounds 3", None),
    "start-100": ("start --rounds 3 --steps 100", None),
    "eval": ("eval", None),
    "expval": ("expval", None),
    "live": ("live", long_runs.markdown),
    "status": ("status", long_runs.markdown),
    "list-1000": ("list --runs 1000", None),
    "list-10000": ("list --runs 10000", None),
    "generate-tiny": (f"generate --model tiny --rounds 9 {_BESIDE_LORA}", turns.markdown),
}


def command(name: str) -> list[str]:
    """The command of a comparison or a bench; what ends up in a table is what this gave."""
    out = (OUT / name).relative_to(ROOT)
    if name in BENCHES:
        options, _ = BENCHES[name]
        return ["qtha-lab", "bench", *shlex.split(options), "--json", str(out / FIGURES)]
    return ["qtha-lab", "compare", *shlex.split(COMPARISONS[name]), "--out", str(out)]


def measure(name: str) -> None:
    """Run it, or what is missing of it; the commit and the date are those of the first start."""
    folder = OUT / name
    folder.mkdir(parents=True, exist_ok=True)
    facts = folder / "measured.json"
    if name in BENCHES or not facts.exists():  # a bench begins anew, a comparison goes on
        commit = subprocess.check_output(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, text=True
        )
        facts.write_text(
            json.dumps(
                {
                    "commit": commit.strip(),
                    "date": datetime.date.today().isoformat(),
                    "processor": machine()["processor"],
                    "load_at_start": round(psutil.getloadavg()[0], 1),
                }
            )
        )
    subprocess.run(
        [Path(sys.executable).parent / "qtha-lab", *command(name)[1:]], cwd=ROOT, check=True
    )


def write(name: str) -> None:
    """The table of a comparison or a bench as Markdown."""
    folder = OUT / name
    if name in BENCHES:
        figures, (_, table) = json.loads((folder / FIGURES).read_text()), BENCHES[name]
        if table is None:
            return None
        facts = {
            **json.loads((folder / "measured.json").read_text()),
            "commit": figures["commit"][:7],
        }
        return _write(name, facts, [table(figures).rstrip()])
    facts = json.loads((folder / "measured.json").read_text())
    groups = aggregate(json.loads((folder / "summary.json").read_text()))
    if name == "methods":
        groups.sort(key=lambda group: group["eval_loss"]["mean"])
    start = statistics.fmean(group["eval_loss_start"]["mean"] for group in groups)
    lines = [
        f"| method | trainable parameters | eval loss (start {start:.3f}) | train loss, last 10 steps |",
        "|---|---:|---:|---:|",
    ]
    for group in groups:
        losses = (_interval(group[measure]) for measure in ("eval_loss", "train_loss"))
        cells = [f"`{group['label']}`", f"{group['trainable_parameters']:,}", *losses]
        lines.append(f"| {' | '.join(cells)} |")
    _write(name, facts, lines)


def write_aims() -> None:
    """What people wait for, of all benches that have been run."""
    names = dict.fromkeys(aim.bench for aim in aims.AIMS)
    figures = {
        name: json.loads((OUT / name / FIGURES).read_text())
        for name in names
        if (OUT / name / FIGURES).exists()
    }
    if figures:
        facts = [json.loads((OUT / name / "measured.json").read_text()) for name in figures]
        dates = ", ".join(sorted({f"{fact['date']} at commit {fact['commit']}" for fact in facts}))
        origin = f"`python benchmarks/results.py {' '.join(names)}`  \n{dates}"
        PAGES.mkdir(parents=True, exist_ok=True)
        lines = [origin, "", aims.caption(figures), "", aims.table(figures)]
        (PAGES / "aims.md").write_text("\n".join(lines) + "\n")


def _write(name: str, facts: dict[str, str], lines: list[str]) -> None:
    origin = f"`{shlex.join(command(name))}`  \n{facts['date']}, commit {facts['commit']}, {facts['processor']}"
    PAGES.mkdir(parents=True, exist_ok=True)
    (PAGES / f"{name}.md").write_text("\n".join([origin, "", *lines]) + "\n")


def _interval(over: dict[str, float]) -> str:
    """The mean, with smallest and largest where there are several seeds."""
    if over["min"] == over["max"]:
        return f"{over['mean']:.3f}"
    return f"{over['mean']:.3f} [{over['min']:.3f}–{over['max']:.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[*COMPARISONS, *BENCHES, []], help="which tables"
    )
    parser.add_argument("--write", action="store_true", help="run nothing")
    options = parser.parse_args()
    for name in options.names or [*COMPARISONS, *BENCHES]:
        if not options.write:
            measure(name)
        if (OUT / name / (FIGURES if name in BENCHES else "summary.json")).exists():
            write(name)
    write_aims()


if __name__ == "__main__":
    main()
