"""Equality of two runs of each quick reproduction, each in a new process.

Finished pairs are kept, so an interrupted command continues.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from qtha_lab.core.settings import unknown

CODE = """
import sys
from pathlib import Path
from qtha_lab.reproductions import reproduce
name, out, seeds = sys.argv[1:]
reproduce(name, Path(out), quick=True, seeds=int(seeds) if seeds else None)
"""
TIMES = ("first", "second")
# these differ between runs and are not compared; nor are names with "second" or "memory"
CLOCKS = {"t", "run_id", "command", "id", "finished", "started", "path"}
LOAD = {"side_by_side", "threads"}  # threads that other runs leave free change no result
CURVES = {"train", "eval", "test"}


def bench_repeatable(
    out: Path = Path("out/repeatable"),
    names: tuple[str, ...] = (),
    seeds: int | None = None,
    show: Show = unseen,
) -> dict[str, Any]:
    """Run every quick reproduction twice, and compare all recorded numbers.

    Args:
        out: Folder of the runs, and of one `NAME.json` per finished pair.
        names: Reproductions; all by default.
        seeds: Number of seeds; by default that of the quick form.
        show: Called with the number of finished pairs, of all, and the last result.
    """
    from qtha_lab.reproductions import REPRODUCTIONS

    names = list(names) or sorted(REPRODUCTIONS, key=lambda name: REPRODUCTIONS[name].minutes)
    for name in names:
        if name not in REPRODUCTIONS:
            raise unknown("reproduction", name, REPRODUCTIONS)
    rows, before = [], conditions()
    for done, name in enumerate(names, 1):
        file = out / f"{name}.json"
        if not file.exists():
            row = _pair(out, name, seeds) | {"commit": before["commit"], "seeds": seeds}
            file.write_text(json.dumps(row), encoding="utf-8")
        rows.append(json.loads(file.read_text(encoding="utf-8")))
        show(done, len(names), f"{name}: {rows[-1]['difference'] or 'equal'}")
    return {"benchmark": "repeatable", **before, "rows": rows}


def _pair(folder: Path, name: str, seeds: int | None) -> dict[str, Any]:
    begin = time.monotonic()
    for each in TIMES:
        place = folder / name / each
        place.mkdir(parents=True, exist_ok=True)
        words = [sys.executable, "-c", CODE, name, str(place), str(seeds or "")]
        with (folder / f"{name}.log").open("a") as log:
            code = subprocess.run(words, stdout=log, stderr=log, env=dict(os.environ)).returncode
        if code:
            last = (folder / f"{name}.log").read_text(errors="replace").strip().splitlines()[-1:]
            return {"name": name, "difference": f"no verdict: {''.join(last)[:200]}"}
    seconds = time.monotonic() - begin
    row = {
        "name": name,
        "seconds": seconds,
        "numbers": count(content(folder / name / TIMES[0])),
        "difference": difference(folder / name),
    }
    if not row["difference"]:
        shutil.rmtree(folder / name)
    return row


def difference(folder: Path) -> str:
    """Return the first number that differs between the two results in a folder; "" if none does."""
    first, second = (content(folder / each) for each in TIMES)
    if first is None:
        return "no verdict"
    return "" if first == second else _first_difference(first, second, "")


def content(folder: Path) -> Any:
    """Return the verdict and training curves of a reproduction without times; None if missing."""
    files = list(folder.glob("*/verdict.json"))
    if not files:
        return None
    runs = {_arm(run): _curve(run) for run in sorted(files[0].parent.glob("runs/*/events.jsonl"))}
    verdict = json.loads(files[0].read_text(encoding="utf-8"))
    return {"verdict": timeless(verdict), "runs": dict(sorted(runs.items()))}


def count(value: Any) -> int:
    """Return the number of numbers in nested content.

    Example:
        >>> count({"a": [1, 2.5, "text"], "b": True})
        2
    """
    if isinstance(value, dict):
        return sum(map(count, value.values()))
    if isinstance(value, list):
        return sum(map(count, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _arm(events: Path) -> str:
    from qtha_lab.experiment.reproduction_run import read_recorded

    origin = json.loads((events.parent / "origin.json").read_text(encoding="utf-8"))
    return f"{origin['arm']}, seed {read_recorded(events.parent / 'experiment.yaml').seed}"


def _curve(events: Path) -> list[Any]:
    every = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return [timeless(event) for event in every if event["kind"] in CURVES]


def timeless(value: Any) -> Any:
    """Return a value without the entries that differ between two equal runs."""
    if isinstance(value, dict):
        return {
            name: timeless(part)
            for name, part in value.items()
            if name not in CLOCKS | LOAD and not re.search("second|memory", name)
        }
    return [timeless(v) for v in value] if isinstance(value, list) else value


def _first_difference(first: Any, second: Any, place: str) -> str:
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            if first.get(key) != second.get(key):
                inner = f"{place}.{key}".lstrip(".")
                return _first_difference(first.get(key), second.get(key), inner)
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for number, pair in enumerate(zip(first, second, strict=True)):
            if pair[0] != pair[1]:
                return _first_difference(*pair, f"{place}[{number}]")
    return f"{place}: {str(first)[:200]} and {str(second)[:200]}"


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per reproduction."""
    ended = [row for row in figures["rows"] if "numbers" in row]
    equal = sum(not row["difference"] for row in ended)
    seeds = ", with one seed" * all(row["seeds"] == 1 for row in figures["rows"])
    caption = (
        "Each quick reproduction runs twice, in new processes. All numbers of the verdict and the"
        f" training curves are compared bit for bit{seeds}: {equal} of {len(ended)} are equal."
    )
    body = [
        (
            f"`{row['name']}`",
            f"{row['seconds']:,.0f}" if "seconds" in row else "",
            f"{row['numbers']:,}" if "numbers" in row else "",
            row["difference"] or "yes",
        )
        for row in figures["rows"]
    ]
    heading = ("reproduction", "seconds for both", "numbers compared", "equal")
    return [(caption, [heading, *body])]
