"""Ship the verdict of a full reproduction: its claims, and the numbers of its runs.

    python -m tools.record_reproduction out/reproductions/flip

Numbers keep seven digits, as float32 has, in a column per measurement of an arm. Ids, costs and
descriptions of the runs are left out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from qtha_lab.core.io import read_json, show
from qtha_lab.reproductions.machinery.listing import RECORDED, date_of
from qtha_lab.reproductions.machinery.reproduction_study import VERDICT
from tools.measurements import rounded

DESCRIBED = {
    *("run_id", "model", "task", "method", "label", "message", "state", "steps", "train_loss"),
    *("options", "target_modules", "scale", "threads", "base_parameters", "head_parameters"),
}
COST = {
    *("adapter_bytes", "seconds_per_step", "wall_seconds", "best_step", "eval_loss_best"),
    "peak_memory_bytes",
}


def compact(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return a verdict with its date, and its arms as columns of measurements."""
    arms = {name: _columns(runs) for name, runs in verdict["arms"].items()}
    return rounded(verdict | {"date": date_of(verdict), "arms": arms})


def _columns(runs: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return a column per measurement, without descriptions and costs; None is no value."""
    measured = [
        {key: value for key, value in run.items() if key not in DESCRIBED | COST and _says(value)}
        for run in runs
    ]
    names = dict.fromkeys(name for run in measured for name in run)
    return {name: [run.get(name) for run in measured] for name in names}


def _says(value: Any) -> bool:
    return value not in (None, "", "none", {}, [])


def main() -> None:
    """Read verdicts from the folders that the command line names."""
    parser = argparse.ArgumentParser(description="Ship the verdicts of full reproductions.")
    parser.add_argument("folders", nargs="+", type=Path, help="folders with verdict.json")
    for folder in parser.parse_args().folders:
        file = folder if folder.suffix == ".json" else folder / VERDICT
        verdict = compact(read_json(file))
        target = RECORDED / f"{verdict['name']}.json"
        text = json.dumps(verdict, ensure_ascii=False, separators=(",", ":"))
        target.write_text(text + "\n", encoding="utf-8")
        show(f"{target.name}: {verdict['headline']}")


if __name__ == "__main__":
    main()
