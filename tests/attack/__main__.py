"""`python -m tests.attack`.

Run the kinds of attack within a budget of minutes, go on where a kill ended it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from .journal import Journal
from .outcome import Outcome, commit

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
os.environ.update(
    {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "NO_COLOR": "1",
    }
)
KINDS = {"environments": 0.15, "inputs": 0.35, "interleavings": 0.15, "kills": 0.35}
"""Shares of the minutes; reproductions run beside them."""


def main() -> int:
    """Attack; the exit status is 1 if there was a fault."""
    options = _options()
    os.environ["XDG_RUNTIME_DIR"] = tempfile.mkdtemp(prefix="a")
    if options.reverts:
        from .reverts import run_reverts

        return run_reverts()
    from . import environments, inputs, interleavings, kills, reproductions
    from .pool import preload

    if options.short:
        inputs.BATCH = 8  # so that every reader has its turn
    for name in [name for name in inputs.READERS if options.reader not in (None, name)]:
        del inputs.READERS[name]
    preload()
    if options.case:
        outcome = _again(options.case, options.out)
        print(f"{outcome.kind}, {outcome.seconds:.2f} CPU s, {outcome.mib:.0f} MiB\n{outcome.text}")
        return int(outcome.is_fault)
    journal = Journal(options.out)
    if options.again:
        return _faults_again(journal)
    kinds = [kind for kind in KINDS if not options.only or kind in options.only]
    begin = time.monotonic()
    wanted = not options.only or "reproductions" in options.only
    beside = reproductions.begin(journal, options.short) if wanted else None
    attacks: dict[str, Callable[[Callable[[], bool]], None]] = {
        "inputs": lambda on: inputs.attack(journal, options.inputs, options.processes, on),
        "kills": lambda on: kills.attack(
            journal, options.kills, options.killed or list(kills.KINDS), options.short, on
        ),
        "interleavings": lambda on: interleavings.attack(journal, options.interleavings, on),
        "environments": lambda on: environments.attack(journal, options.short, on),
    }
    try:
        total, used = sum(KINDS[kind] for kind in kinds), 0.0
        for kind in kinds:
            used += KINDS[kind]
            end = begin + 60 * options.minutes * (0.1 + 0.85 * used / total)
            attacks[kind](_progress(kind, journal, beside, begin, end))
        if beside:
            beside.finish(begin + 60 * options.minutes)
    finally:
        shutil.rmtree(os.environ["XDG_RUNTIME_DIR"], ignore_errors=True)
    print(f"\n{journal.table()}")
    print(*journal.lines, sep="\n")
    if options.write is not None:
        _write(journal, options.write)
    print(f"{journal.passed} passed, {journal.failed} failed")
    return 1 if journal.failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.attack", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "attack")
    parser.add_argument("--minutes", type=float, default=24 * 60, help="end after so many")
    parser.add_argument(
        "--only", action="append", choices=[*KINDS, "reproductions"], help="one kind"
    )
    parser.add_argument("--reader", help="inputs of one reader only, by its name")
    parser.add_argument("--reverts", action="store_true", help="revert guards; see reverts.py")
    parser.add_argument("--case", help="repeat one fault, by its name")
    parser.add_argument("--again", action="store_true", help="repeat all faults")
    parser.add_argument(
        "--write", nargs="?", const="", metavar="NOTE", help="write docs/results/attack.md"
    )
    parser.add_argument(
        "--short", action="store_true", help="the three-minute form, from the beginning"
    )
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--killed", action="append", help="kill one kind of process only")
    parser.add_argument("--interleavings", type=int, default=200)
    parser.add_argument("--processes", type=int, default=min(4, os.cpu_count() or 1))
    options = parser.parse_args()
    if options.short:
        options.minutes = min(options.minutes, 2.7)
        options.out = Path(tempfile.mkdtemp(prefix="attack-short"))
    options.out = options.out.resolve()
    return options


def _progress(kind: str, journal: Journal, beside, begin: float, end: float) -> Callable[[], bool]:
    """Say how far the attack is, and whether the kind has time left."""
    shown = 0.0

    def go_on() -> bool:
        nonlocal shown
        now = time.monotonic()
        if beside:
            beside.step()
        if now - shown > (1 if sys.stdout.isatty() else 30):
            shown = now
            done = f"{journal.passed + journal.failed:,} cases, {journal.failed:,} faults"
            print(f"\r{(now - begin) / 60:5.1f} min  {kind}: {done}", end="", flush=True)
            if not sys.stdout.isatty():
                print()
        return now < end

    return go_on


def _again(case: str, out: Path) -> Outcome:
    """Try one case again."""
    from . import environments, inputs, interleavings, kills, reproductions

    kinds = {
        "inputs": inputs,
        "kills": kills,
        "interleavings": interleavings,
        "environments": environments,
        "reproductions": reproductions,
    }
    kind, scratch = case.split("/")[0], Path(tempfile.mkdtemp(prefix="attack"))
    file = out / "faults" / f"{case.replace('/', '-')}.json"
    saved = json.loads(file.read_text()).get("data", "") if file.exists() else ""
    return kinds[kind].again(case, scratch, *([saved] if kind == "inputs" else []))


def _faults_again(journal: Journal) -> int:
    """Repeat the faults that are left, and record those that no longer occur."""
    from .journal import Total

    for case in journal.faults():
        outcome = _again(case, journal.folder)
        print(f"{case}: {outcome.kind} {outcome.text[:200]!a}", flush=True)
        if not outcome.is_fault:
            journal.write(f"{case}/again", Total(fixed=1))
    print(f"{journal.passed} passed, {journal.failed} failed")
    return 1 if journal.failed else 0


def _write(journal: Journal, note: str) -> None:
    """Write the page of results, with a note on the run below the table."""
    page = ROOT / "docs" / "results" / "attack.md"
    text = f"`make attack`  \n{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit()[:7]}\n\n"
    text += (
        "Every case must end in a value or one sentence of at most 300 characters. The limits are\n"
    )
    text += (
        "2 CPU s (8 for OpenQASM) and 256 MiB per input. *Left*: faults that a repetition after the last fix"
        " shows.\n\n"
    )
    page.write_text(text + journal.table() + (f"\n{note}\n" if note else ""), encoding="utf-8")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # libraries that complain at their end would hide the last line
