"""Revert guards, each in a copy of the package, and name the check that notices it.

`python -m tests.attack --reverts`. A check is a test file of the suite, or a reader of the attack.
Each passes on the copy as it is, and must fail on the copy without the guard.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SECONDS = 400
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "out", "node_modules", "labextension", "__pycache__", ".*_cache"
)


@dataclass(frozen=True)
class Revert:
    """A guard that is taken out.

    Attributes:
        title: The guard.
        file: Source file below the root.
        old: Text of the guard; occurs once.
        new: Text in its place.
        checks: Arguments of pytest, or `reader NAME`, one check each.
    """

    title: str
    file: str
    old: str
    new: str
    checks: tuple[str, ...]


REVERTS = (
    Revert(
        "links are followed below a run",
        "qtha_lab/core/io/folders.py",
        'NO_LINK = getattr(os, "O_NOFOLLOW", 0)',
        "NO_LINK = 0",
        ("reader planted_links",),
    ),
    Revert(
        "a module's name is looked up by importing its packages",
        "qtha_lab/core/plugin_files.py",
        "    levels = list(_levels(name))\n",
        "    importlib.util.find_spec(name)\n    levels = list(_levels(name))\n",
        ("reader named_plugins",),
    ),
    Revert(
        "rows of a table are not limited",
        "qtha_lab/core/io/read_counts.py",
        "if self.rows > MOST_ROWS:",
        "if self.rows > 2**62:",
        ("tests/core/test_read_limits.py -k counted_together",),
    ),
    Revert(
        "steps of a program are not limited",
        "qtha_lab/circuits/imports/budget.py",
        "        self.left -= steps\n",
        "",
        ("reader qasm",),
    ),
    Revert(
        "a renamed file's folder is not synced",
        "qtha_lab/core/io/write.py",
        "            raise\n        folder.sync()\n",
        "            raise\n",
        ("tests/core/test_writer.py -k is_synced",),
    ),
    Revert(
        "a checkpoint's hashes are not compared",
        "qtha_lab/experiment/run_directory/checkpoints.py",
        "if _described(folder / name) != facts:",
        "if False:",
        ("tests/runs/test_checkpoints.py -m slow -k damaged_checkpoint_is_named",),
    ),
    Revert(
        "a run resumes although another process holds its lock",
        "qtha_lab/runs/process_start.py",
        "    if lock is None:\n",
        "    if lock is None:\n        lock = os.open(files.lock, os.O_RDWR)\n    if False:\n",
        ("tests/runs/test_runs.py -k another_process_holds -m slow",),
    ),
)


def run_reverts() -> int:
    """Print which check notices each revert; return the number of those that none notices."""
    missed = 0
    print("| revert | noticed by |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="reverts") as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=LEFT_OUT)
        for revert in REVERTS:
            noticed = [f"`{check}`" for check in revert.checks if _notices(copy, revert, check)]
            missed += not noticed
            print(f"| {revert.title} | {'; '.join(noticed) or '**nothing**'} |", flush=True)
    return missed


def _notices(copy: Path, revert: Revert, check: str) -> bool:
    """Return True if a check passes on a copy, and fails on the copy without the guard."""
    file = copy / revert.file
    text = file.read_text(encoding="utf-8")
    assert text.count(revert.old) == 1, f"{revert.title}: the guard must occur once in {file.name}"
    if _fails(copy, check):
        print(f"{check} fails without a revert and counts for nothing", flush=True)
        return False
    file.write_text(text.replace(revert.old, revert.new), encoding="utf-8")
    try:
        return _fails(copy, check)
    finally:
        file.write_text(text, encoding="utf-8")


def _fails(copy: Path, check: str) -> bool:
    """Run a check on a copy."""
    words = check.split()
    if words[0] == "reader":
        out = copy.parent / "journal"
        shutil.rmtree(out, ignore_errors=True)
        options = ["--only", "inputs", "--reader", words[1], "--inputs", "50", "--out", str(out)]
        command = [sys.executable, "-m", "tests.attack", *options]
    else:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "0", "-m", "not slow", *words]
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=copy, env=env, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return True
    if words[0] != "reader" and not re.search(r"\d+ (passed|failed)", done.stdout):
        print(f"{check} does not run:\n{done.stdout[-1500:]}{done.stderr[-500:]}")
    return done.returncode != 0
