"""Registered measurements without a result: forecast of hours, and runs, cheapest first.

    python -m tools.registered          prints the table of docs/results/registered.md and writes it
    python -m tools.registered --run    runs them; the same command continues

A measurement of data/measurements is registered by its first line. Its hours are runs times steps
times the median seconds per step of its model in data/results, evaluations included.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml

from qtha_lab.core.io import show
from qtha_lab.experiment import Comparison
from qtha_lab.reproductions.machinery.listing import recorded_verdict
from qtha_lab.studies.comparison.protocol import trials_of
from tools.measurements import FILES, PAGES, RESULTS, ROOT

HEAD = "# Registered"
SECONDS_PER_STEP = {"tiny": 0.22, "minilm": 0.21, "smollm2-135m": 2.5}  # on one core
REPRODUCTIONS = ROOT / "data" / "registered.yaml"


class Registered(NamedTuple):
    """Registered measurement, its command and its forecast in hours."""

    name: str
    hours: float
    runs: str
    command: str
    is_done: bool


def registered() -> list[Registered]:
    """Return all registered measurements, cheapest first."""
    return sorted([*_comparisons(), *_reproductions()], key=lambda of: of.hours)


def _comparisons() -> Iterator[Registered]:
    for file in sorted(FILES.glob("*.yaml")):
        if not file.read_text(encoding="utf-8").startswith(HEAD):
            continue
        name, of = file.stem, Comparison.from_yaml(file)
        trials = len(of.methods) * len(of.tuning.seeds) * trials_of(of) if of.tuning else 0
        runs = len(of.experiments()) + trials
        hours = runs * of.training.steps * SECONDS_PER_STEP[of.model] / 3600
        path = file.relative_to(ROOT)
        command = f"qtha-lab compare {path} --out out/measurements/{name}"
        yield Registered(name, hours, f"{runs} runs", command, (RESULTS / name).exists())


def _reproductions() -> Iterator[Registered]:
    for entry in yaml.safe_load(REPRODUCTIONS.read_text(encoding="utf-8")):
        command = f"qtha-lab reproduce {shlex.quote(entry['reproduce'])} --seeds {entry['seeds']}"
        verdict = recorded_verdict(entry["reproduce"].partition("(")[0])
        trials = (verdict or {}).get("tuned", {}).values()
        is_done = verdict is not None and verdict["command"] == command and all(
            len(of.get("seeds", [])) > 1 for of in trials
        )  # fmt: skip
        seeds = f"{entry['seeds']} seeds"
        yield Registered(entry["reproduce"], entry["minutes"] / 60, seeds, command, is_done)


def page() -> str:
    """Return the table of registered measurements as Markdown."""
    every = registered()
    left = [of for of in every if not of.is_done]
    rows = [
        f"| `{of.name}` | {of.runs} | {'done' if of.is_done else f'{of.hours:.1f}'} |"
        for of in every
    ]
    total = sum(of.hours for of in left)
    return "\n".join(
        [
            f"`python -m tools.registered`: {len(left)} of {len(every)} are not run, with a"
            f" forecast of {total:.0f} hours on one core.",
            "",
            "| registered | size | hours |",
            "|---|---:|---:|",
            *rows,
            "",
        ]
    )


def main() -> int:
    """Print the table, or run what is left."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", action="store_true", help="run what has no result")
    if not parser.parse_args().run:
        (PAGES / "registered.md").write_text(page(), encoding="utf-8")
        show(page())
        return 0
    program = str(Path(sys.executable).with_name("qtha-lab"))
    status = 0
    for of in registered():
        if of.is_done:
            continue
        show(f"{of.name}: {of.runs}, about {of.hours:.1f} hours")
        # one that lacks its data ends at once, and the others follow
        status |= subprocess.run([program, *shlex.split(of.command)[1:]], cwd=ROOT).returncode
    return status


if __name__ == "__main__":
    sys.exit(main())
