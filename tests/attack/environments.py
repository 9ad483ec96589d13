"""Run the main commands in odd environments: each gives a value or one sentence."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from .journal import Journal
from .outcome import BLAME, CONTROL, LONGEST, Outcome, commit
from .readers import TRAINING, put

SECONDS = 600
COMMANDS = {
    "runs": ["runs", "list"],
    "table": ["runs", "list", "--columns", "all"],
    "methods": ["methods"],
    "check": ["run", "--dry-run", "--method", "lora(r=2)", "--steps", "1"],
    "run": [
        "run",
        "--method",
        "lora(r=2)",
        *(f"--{k.replace('_', '-')}={v}" for k, v in TRAINING.items()),
    ],
    "sweep": ["sweep", "--dry-run", "--axes", "learning_rate=0.001,0.01", "--steps", "1"],
    "export": ["export", "no-run", "adapter"],
    "doctor": ["doctor"],
}
QUICK = ("runs", "check")
Change = Callable[[Path, dict, ExitStack], dict]
"""Given a folder, the variables and what is undone later; returns arguments of `Popen`."""
ODD: dict[str, Change] = {}


def odd(change: Change) -> Change:
    """Register an environment by its function's name."""
    ODD[change.__name__] = change
    return change


@odd
def no_home(folder: Path, env: dict, undo: ExitStack) -> dict:
    del env["HOME"]
    return {}


@odd
def home_cannot_be_written_to(folder: Path, env: dict, undo: ExitStack) -> dict:
    env["HOME"] = "/proc/1"
    env.pop("QTHA_LAB_CACHE", None)
    return {}


@odd
def full_disk(folder: Path, env: dict, undo: ExitStack) -> dict:
    """Runs and cache on a disk of 256 KiB that is full."""
    place = folder / "disk"
    place.mkdir()
    _mount(undo, "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place))
    for name, variable in (("runs", "QTHA_LAB_RUNS"), ("cache", "QTHA_LAB_CACHE")):
        (place / name).mkdir()
        env[variable] = str(place / name)
    with contextlib.suppress(OSError), (place / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    return {}


@odd
def few_descriptors(folder: Path, env: dict, undo: ExitStack) -> dict:
    return {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))}


@odd
def second_user(folder: Path, env: dict, undo: ExitStack) -> dict:
    """Nobody, in a folder of runs that belongs to the first user."""
    _readable(folder)
    words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    # the interpreter may be in a folder that only the first user reads
    words += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    subprocess.run([*words, sys.executable, "-c", ""], check=True, capture_output=True)
    return {"prefix": words}


@odd
def no_shared_memory(folder: Path, env: dict, undo: ExitStack) -> dict:
    subprocess.run(["unshare", "--mount", "true"], check=True, capture_output=True)
    empty = folder / "empty"
    empty.mkdir(mode=0o555)
    script = f'mount --bind {empty} /dev/shm && mount -o remount,ro,bind /dev/shm && exec "$@"'
    return {"prefix": ["unshare", "--mount", "sh", "-c", script, "sh"]}


@odd
def language_c(folder: Path, env: dict, undo: ExitStack) -> dict:
    env.update({"LANG": "C", "LC_ALL": "C"})
    return {}


@odd
def language_of_few_characters(folder: Path, env: dict, undo: ExitStack) -> dict:
    env.update({"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"})
    return {}


@odd
def no_folder_for_temporary_files(folder: Path, env: dict, undo: ExitStack) -> dict:
    env["TMPDIR"] = env["XDG_RUNTIME_DIR"] = str(folder / "missing")
    return {}


@odd
def deleted_working_folder(folder: Path, env: dict, undo: ExitStack) -> dict:
    gone = folder / "gone"
    gone.mkdir()

    def enter() -> None:
        os.chdir(gone)
        os.rmdir(gone)

    return {"preexec_fn": enter}


@odd
def strange_variables(folder: Path, env: dict, undo: ExitStack) -> dict:
    env.update(
        {
            "QTHA_LAB_SLOTS": "-1",
            "COLUMNS": "-5",
            "QTHA_LAB_LOG": "\x1b[31m",
        }
    )
    return {}


@odd
def files_of_other_kinds(folder: Path, env: dict, undo: ExitStack) -> dict:
    """A FIFO, a device and a folder among the files of the runs folder."""
    runs = Path(env["QTHA_LAB_RUNS"])
    put(runs / ".index.jsonl", b"\0place:fifo")
    put(runs / ".slots" / "queue" / ".DS_Store", b"x")
    put(runs / "20200101-a" / "experiment.yaml", b"\0place:device")
    put(runs / "20200102-b" / "experiment.yaml", b"\0place:folder")
    return {}


def attack(journal: Journal, short: bool, go_on: Callable[[], bool]) -> None:
    """Try every command in every environment; in the short form the quick ones."""
    for case in _plan(short):
        if case in journal.done:
            continue
        if not go_on():
            return
        with tempfile.TemporaryDirectory(prefix="attack") as folder:
            outcome = again(case, Path(folder))
        if outcome.kind == "left out":
            print(f"{case} is left out: {outcome.text}", flush=True)
        else:
            journal.case(case, outcome)


def _plan(short: bool) -> Iterator[str]:
    names = list(ODD)
    if short:
        random.Random(commit()).shuffle(names)
    for command in QUICK if short else COMMANDS:
        for name in names:
            yield f"environments/{name}/{command}"


def again(case: str, folder: Path) -> Outcome:
    """Run one command in one environment."""
    _, name, command = case.split("/")
    env = dict(os.environ)
    for place, variable in (
        ("runs", "QTHA_LAB_RUNS"),
        ("cache", "QTHA_LAB_CACHE"),
        ("home", "HOME"),
    ):
        (folder / place).mkdir(parents=True)
        env[variable] = str(folder / place)
    with ExitStack() as undo:
        try:
            options = ODD[name](folder, env, undo)
        except (OSError, KeyError, subprocess.SubprocessError) as problem:
            return Outcome("left out", f"needs root or a tool that is not here: {problem}")
        prefix = options.pop("prefix", [])
        code = "import sys; sys.path.pop(0); from qtha_lab.cli import main; main()"
        words = [*prefix, sys.executable, "-c", code, *COMMANDS[command]]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return _outcome(subprocess.Popen(words, env=env, process_group=0, **pipes, **options))


def _outcome(process: subprocess.Popen) -> Outcome:
    try:
        printed, told = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        return Outcome("fault", f"hangs for {SECONDS} s")
    error = told.decode(errors="replace")
    output = printed.decode(errors="replace")
    last = error.strip().rpartition("error: ")[2]
    wrong = ""
    if "Traceback (most recent call last)" in error or BLAME in error + output:
        wrong = "a traceback, or a fault of qtha-lab"
    elif process.returncode < 0:
        wrong = f"ends by signal {-process.returncode}"
    elif process.returncode not in (0, 1, 2) or (process.returncode == 1 and not output + error):
        wrong = f"exit code {process.returncode} without a word"
    elif process.returncode == 2 and len(last) > LONGEST:
        wrong = f"a sentence of {len(last)} characters"
    elif CONTROL.search(last):
        wrong = "control characters in a sentence"
    if wrong:
        return Outcome("fault", f"{wrong}\n{error[-3000:]}\n{output[-1000:]}")
    return Outcome("sentence", last[:LONGEST]) if process.returncode else Outcome("value")


def _mount(undo: ExitStack, *words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)
    undo.callback(subprocess.run, ["umount", "-l", words[-1]], capture_output=True)


def _readable(folder: Path) -> None:
    """Let another user read a folder and all above it that is ours."""
    for place in (folder, *folder.rglob("*")):
        place.chmod(0o755)
    shutil.chown(folder / "cache", "nobody")
    shutil.chown(folder / "home", "nobody")
