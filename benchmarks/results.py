"""Tables of docs/engines.md and docs/results.md: measured, and written with command and commit.

    python -m benchmarks.results step start      run them, then write
    python -m benchmarks.results --write         write those that have been run

Figures lie in out/results/NAME.json; a table goes to docs/results/NAME.md. Losses of comparisons
are in `benchmarks.measurements`.
"""

import argparse
import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import load_text, short
from benchmarks.reporting import markdown

ROOT = Path(__file__).resolve().parent.parent
OUT, PAGES = ROOT / "out" / "results", ROOT / "docs" / "results"
_SIMULATORS = "simulators --layers 4 --batches 64,2048 --qubits 4,6,8,10"
# alone and with more time, so that they are timed on whole batches; the unrolled form compiles for
# minutes per shape
_FASTEST = (
    f"{_SIMULATORS} --engines cpu --seconds 20 --longest-first 900 --minutes 90"
    " --peers tensorcircuit-jax,tensorcircuit-jax-unrolled"
)
_METHODS = (
    "--methods lora(r=8),qtha(r=8),qtha(r=8,waist=64,bond_dim=4,n_layers=2),"
    "qtha(r=8,waist=64,bond_dim=4,use_circuit=false)"
)
_ONE_THREAD = "--clock cpu --threads 1"
# options of `qtha-lab bench` by name
BENCHES = {
    "simulators-one-thread": f"{_SIMULATORS} --seconds 0.6 --threads 1",
    "simulators-two-threads": f"{_SIMULATORS} --seconds 0.6 --threads 2",
    "fastest-one-thread": f"{_FASTEST} --threads 1",
    "fastest-two-threads": f"{_FASTEST} --threads 2",
    "step": f"step --model smollm2-135m --rounds 41 --parts {_METHODS}",
    "step-tiny": f"step --model tiny --rounds 101 --parts {_METHODS}",
    "step-parts": f"step --model smollm2-135m --rounds 11 {_ONE_THREAD} --parts {_METHODS}",
    "step-parts-tiny": f"step --model tiny --rounds 41 {_ONE_THREAD} --parts {_METHODS}",
    "start": "start --rounds 3",
    "start-100": "start --rounds 3 --steps 100",
    "expval": "expval",
    "panels": "panels --rounds 9",
    "opening": "opening",
    "list-1000": "list --runs 1000",
    "list-10000": "list --runs 10000",
    "compare": "compare --runs 90,300",
    "coverage": "coverage",
    "default-size": "default-size",
    "repeatable": "repeatable --seeds 1",
}
MODULES = {"list": "lists", "compare": "lists", "panels": "notebooks", "opening": "notebooks"}


def command(name: str) -> list[str]:
    """Return the command of a table."""
    file = (OUT / name).with_suffix(".json").relative_to(ROOT)
    return ["qtha-lab", "bench", *shlex.split(BENCHES[name]), "--json", str(file)]


def measure(name: str) -> None:
    """Run the command of a table."""
    program = Path(sys.executable).parent / "qtha-lab"
    subprocess.run([program, *command(name)[1:]], cwd=ROOT, check=True)


def write(name: str) -> None:
    """Write a table as Markdown."""
    figures = json.loads((OUT / name).with_suffix(".json").read_text(encoding="utf-8"))
    bench, machine = BENCHES[name].split()[0].replace("-", "_"), figures["machine"]
    tables = importlib.import_module(f"benchmarks.{MODULES.get(bench, bench)}").tables(figures)
    origin = (figures["date"], f"commit {short(figures['commit'])}", machine["processor"])
    facts = ", ".join([*origin, load_text(machine["load_before"])])
    PAGES.mkdir(parents=True, exist_ok=True)
    text = f"`{shlex.join(command(name))}`  \n{facts}\n\n{markdown(tables)}"
    (PAGES / f"{name}.md").write_text(text, encoding="utf-8")


def main() -> None:
    """Measure and write the named tables; all by default."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], help="tables")
    parser.add_argument("--write", action="store_true", help="do not run anything")
    options = parser.parse_args()
    for name in options.names or BENCHES:
        if not options.write:
            measure(name)
        if (OUT / name).with_suffix(".json").exists():
            write(name)


if __name__ == "__main__":
    main()
