"""Revert guards, each in a copy of the package, and name the check that notices it.

`python -m tests.attack --reverts`. A check is a selection of tests, or a reader of the attack. It
must report nothing on the copy as it is, and a failed test or a fault by name without the guard.
"""

from __future__ import annotations

import json
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
        check: Arguments of pytest, or `reader NAME`.
    """

    title: str
    file: str
    old: str
    new: str
    check: str


REVERTS = (
    Revert(
        "links are followed below a run",
        "qtha_lab/core/io/folders.py",
        'NO_LINK = getattr(os, "O_NOFOLLOW", 0)',
        "NO_LINK = 0",
        "reader planted_links",
    ),
    Revert(
        "a module's name is looked up by importing its packages",
        "qtha_lab/core/plugin_loading.py",
        "    levels = list(_levels(name))\n",
        "    importlib.util.find_spec(name)\n    levels = list(_levels(name))\n",
        "reader named_plugins",
    ),
    Revert(
        "rows of a table are not limited",
        "qtha_lab/core/io/files.py",
        "if self.rows > MOST_ROWS:",
        "if self.rows > 2**62:",
        "tests/core/test_read_limits.py -k counted_together",
    ),
    Revert(
        "steps of a program are not limited",
        "qtha_lab/circuits/imports/qasm_expression.py",
        "        self.left -= steps\n",
        "",
        "tests/circuits/test_import_budget.py -k six",
    ),
    Revert(
        "a renamed file's folder is not synced",
        "qtha_lab/core/io/write.py",
        "            raise\n        folder.sync()\n",
        "            raise\n",
        "tests/core/test_writer.py -k is_synced",
    ),
    Revert(
        "a checkpoint's hashes are not compared",
        "qtha_lab/experiment/run_directory/checkpoints.py",
        "if _described(folder / name) != facts:",
        "if False:",
        "tests/runs/test_checkpoints.py -m slow -k damaged_checkpoint_is_named",
    ),
    Revert(
        "a run resumes although another process holds its lock",
        "qtha_lab/runs/process_start.py",
        "    if lock is None:\n",
        "    if lock is None:\n        lock = os.open(files.lock, os.O_RDWR)\n    if False:\n",
        "tests/runs/test_runs.py -k another_process_holds -m slow",
    ),
)


def run_reverts() -> int:
    """Print the check that notices each revert; return the number of unnoticed reverts."""
    missed = 0
    print("| revert | noticed by |\n|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="reverts", ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch) / "copy"
        shutil.copytree(ROOT, copy, symlinks=True, ignore=LEFT_OUT)
        for revert in REVERTS:
            names = _noticing(copy, revert)
            missed += not names
            print(f"| {revert.title} | {''.join(names[:1]) or '**nothing**'} |", flush=True)
    return missed


def _noticing(copy: Path, revert: Revert) -> list[str]:
    """Name the failures without the guard; none where the check fails with the guard, too."""
    file = copy / revert.file
    text = file.read_text(encoding="utf-8")
    assert text.count(revert.old) == 1, f"{revert.title}: the guard must occur once in {file.name}"
    code, names, output = _run(copy, revert.check)
    if code:
        print(f"{revert.check} fails with the guard: {names}\n{output[-3000:]}", flush=True)
        return []
    file.write_text(text.replace(revert.old, revert.new), encoding="utf-8")
    try:
        return _run(copy, revert.check)[1]
    finally:
        file.write_text(text, encoding="utf-8")


def _run(copy: Path, check: str) -> tuple[int, list[str], str]:
    """Run a check on a copy; return its exit code, the names of its failures, and its output."""
    words, journal = check.split(), copy.parent / "journal"
    command = ["pytest", "-q", "-x", "-n", "0", "-m", "not slow", *words]
    if words[0] == "reader":
        shutil.rmtree(journal, ignore_errors=True)
        options = ["--only", "inputs", "--reader", words[1], "--inputs", "50"]
        command = ["tests.attack", *options, "--out", str(journal)]
    env = os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        ["timeout", str(SECONDS), sys.executable, "-m", *command],
        cwd=copy, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if words[0] != "reader":
        names = re.findall(r"(?m)^(?:FAILED|ERROR) (\S+)", done.stdout)
    else:
        texts = [json.loads(file.read_text())["text"] for file in journal.glob("faults/*")]
        names = [f"{check}: {text.splitlines()[-1][:100]}" for text in texts]
    return done.returncode, sorted(names), done.stdout
