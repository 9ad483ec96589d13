"""Read the files of run folders, indexes and sweeps, and show them as a person sees them."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from ..mutation import LARGEST, documents
from ..outcome import command
from .registry import TRAINING, lines_of, move, put, reader
from .texts import EXPERIMENT

EVENTS = [
    {"t": 1.0, "kind": "status", "state": "running", "step": 0, "message": ""},
    {"t": 1.1, "kind": "eval", "step": 0, "loss": 5.0},
    {"t": 1.2, "kind": "train", "step": 1, "loss": 4.9, "seconds": 0.1},
    {"t": 1.3, "kind": "checkpoint", "step": 1},
    {"t": 1.5, "kind": "status", "state": "finished", "step": 4, "message": "a message"},
]
MARKS = [
    {"t": 2.0, "kind": "mark", "add": ["best"]},
    {"t": 2.1, "kind": "mark", "name": "mine", "note": "n"},
    {"t": 2.2, "kind": "mark", "pinned": True, "remove": ["best"]},
]
SUMMARY = dict(  # noqa: C408
    run_id="a", model="tiny", task="qa", method="lora", label="lora", seed=0, state="finished",
    trainable_parameters=7680, learning_rate=0.01, eval_loss=4.5,
)  # fmt: skip
RUNS = ("20200101-a", "20200102-b")
RUN_FILES: dict[str, Any] = {
    "events.jsonl": EVENTS,
    "annotations.jsonl": MARKS,
    "summary.json": SUMMARY,
    "origin.json": {"sweep": "s", "method": 0, "trial": 1, "seed": 0},
    "exit.json": {"pid": 1, "code": 1},
    "environment.json": {"python": "3.11"},
    "experiment.yaml": EXPERIMENT,
}


def _of_run(name: str, file: Path) -> None:
    """Put a file into a run's folder, and look at the folder as a person does."""
    move(file, _two_runs() / name)
    _views()


def _two_runs() -> Path:
    """A new folder of two valid runs."""
    runs = Path("runs").absolute()
    shutil.rmtree(runs, ignore_errors=True)
    for run in RUNS:
        for name, value in RUN_FILES.items():
            lines = isinstance(value, list)
            put(runs / run / name, lines_of(value) if lines else json.dumps(value).encode())
    return runs


def _views() -> None:
    command("runs", "list")
    command("runs", "list", "--columns", "all")
    command("runs", "20200101-a")


def _register(name: str, value: Any) -> None:
    """Register the reader of one file of a run's folder."""

    def read_record(file: Path) -> None:
        _of_run(f"20200101-a/{name}", file)

    read_record.__name__ = "run_" + name.partition(".")[0]
    if isinstance(value, list):
        reader(
            lines_of(value), grammar=lambda: documents(*value, lines=True), file=name, share=0.4
        )(read_record)
    else:
        reader(value, file=name, share=0.15)(read_record)


for _name, _value in RUN_FILES.items():
    _register(_name, _value)


def _index_records() -> Iterator[bytes]:
    """Lines of an index, without their checksums."""
    import qtha_lab
    from qtha_lab.experiment.run_directory import RunDir
    from qtha_lab.experiment.run_directory.record import read_record

    runs = _two_runs()
    records = [(run, read_record(RunDir(runs / run)).plain()) for run in RUNS]
    yield lines_of([[qtha_lab.__version__, name, record] for name, record in records])


def _records() -> st.SearchStrategy[bytes]:
    lines = [json.loads(line) for line in next(_index_records()).splitlines()]
    record = documents(*(line[2] for line in lines)).map(json.loads)
    line = st.tuples(st.sampled_from((lines[0][0], "9.9", None, 1)), st.sampled_from(RUNS), record)
    return st.lists(line | record, max_size=4).map(lines_of)


@reader(_index_records, grammar=_records, file="index.jsonl", share=0.4)
def index(file: Path) -> None:
    """Give three of four lines a right checksum and their run's stamp, so that they count."""
    runs = _two_runs()
    if file.is_file() and not file.is_symlink() and file.stat().st_size < LARGEST:
        lines = [_stamped(line, runs) for line in file.read_bytes().splitlines()]
        sums = [zlib.crc32(line) ^ (zlib.crc32(line) % 4 == 0) for line in lines]
        file.write_bytes(b"".join(b"%08x %s\n" % pair for pair in zip(sums, lines, strict=True)))
    move(file, runs / ".index.jsonl")
    _views()


def _stamped(line: bytes, runs: Path) -> bytes:
    from qtha_lab.experiment.run_directory.record import stamp

    try:
        document = json.loads(line)
        document[2]["stamp"] = stamp(runs / document[1])
        return json.dumps(document).encode()
    except (ValueError, TypeError, LookupError, RecursionError):
        return line


@cache
def _sweep() -> tuple[Path, bytes]:
    """A sweep of which two trials have ended, without its runs, and its journal."""
    from qtha_lab.experiment import Sweep
    from qtha_lab.studies.sweep import SweepStudy
    from qtha_lab.studies.sweep.optuna_study import MethodStudy, open_journal

    described = Sweep(
        methods="lora(r=2)", axes={"learning_rate": [0.001, 0.01, 0.1]}, training=TRAINING
    )
    shutil.rmtree("sweep", ignore_errors=True)  # of a process before this one
    folder = SweepStudy.create(described, Path("sweep"))
    study = MethodStudy(described, 0, open_journal(folder.journal))
    for value in (4.0, 5.0):
        trial = study.ask()
        trial.set_user_attr("runs", ["20200101-a"])
        study.tell(trial, value)
    study.record_failure(study.ask(), "because")
    return folder.path.absolute(), folder.journal.read_bytes()


def _journal_line() -> st.SearchStrategy[bytes]:
    lines = [json.loads(line) for line in _sweep()[1].splitlines()]
    head = b"".join(json.dumps(line).encode() + b"\n" for line in lines[:3])
    return documents(*lines, lines=True).map(lambda more: head + more + b"\n")


@reader(
    lambda: [_sweep()[1]],
    grammar=_journal_line,
    file="journal.log",
    share=0.4,
)
def journals(file: Path) -> None:
    from qtha_lab.studies.sweep import SweepStudy

    folder, _ = _sweep()
    move(file, folder / "journal.log")
    trials = SweepStudy.find(folder)
    _ = trials.state
    trials.records(), trials.best(), trials.table()


@reader(*MARKS, {"name": "x" * 201, "tags": ["a" * 61], "note": "\x1b"}, share=0.2)
def typed_marks(text: str) -> None:
    """Names, tags and notes as they are typed, and a list that shows them."""
    _of_run("nothing", Path("nothing"))
    command("runs", "rename", "20200101-a", text.replace("\0", ""))
    command("runs", "note", "20200101-a", text.replace("\0", ""))
    command("runs", "tag", text.replace("\0", ""), "20200101-a")
    _views()
