"""Read tables, archives, programs, and the files of classes and exports."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

from hypothesis import strategies as st

from ..mutation import LARGEST, documents, sentences, words_of
from .registry import lines_of, reader

ROWS = [{"text": f"a {n}", "label": "b", "turns": [{"role": "user"}]} for n in range(30)]
CSV = "text,label\n" + 'a,b\n"c\nd",1\n' * 10


def _table(file: Path) -> None:
    from qtha_lab.core.io import table_rows

    list(table_rows(file))


@reader(CSV, "text\tlabel\na\tb\n", words='a b , " \n \t ; | text label 1', file="a.csv", share=0.5)
def table_csv(file: Path) -> None:
    _table(file)


@reader(
    ROWS,
    {"rows": ROWS},
    lines_of(ROWS),
    grammar=lambda: documents({"rows": ROWS}),
    file="a.json",
    share=0.5,
)
def table_json(file: Path) -> None:
    _table(file)


def _packed(file: Path) -> None:
    """Pack three of four files; the others stay as they are, also as damaged packages."""
    if file.is_file() and not file.is_symlink() and file.stat().st_size < LARGEST:
        data = file.read_bytes()
        if not data.startswith(b"\x1f\x8b") and len(data) % 4:
            file.write_bytes(gzip.compress(data, mtime=0))
    _table(file)


@reader(
    lines_of(ROWS),
    gzip.compress(lines_of(ROWS), mtime=0),
    grammar=lambda: documents(ROWS[0], lines=True),
    file="a.jsonl.gz",
    share=0.5,
)
def table_lines_packed(file: Path) -> None:
    _packed(file)


@reader(CSV, gzip.compress(CSV.encode(), mtime=0), words='a b , " \n text', file="a.csv.gz", share=0.3)  # fmt: skip
def table_csv_packed(file: Path) -> None:
    _packed(file)


def _parquet() -> Iterator[bytes]:
    import pyarrow
    import pyarrow.parquet

    for compression in ("none", "zstd"):
        content = io.BytesIO()
        pyarrow.parquet.write_table(
            pyarrow.Table.from_pylist(ROWS), content, compression=compression
        )
        yield content.getvalue()


def _damaged(valid: bytes) -> st.SearchStrategy[bytes]:
    """Bytes of a valid file, of which up to eight are replaced."""
    places = st.dictionaries(st.integers(0, len(valid) - 1), st.integers(0, 255), max_size=8)
    return places.map(lambda drawn: bytes(drawn.get(n, byte) for n, byte in enumerate(valid)))


@reader(_parquet, grammar=lambda: _damaged(next(_parquet())), file="a.parquet", share=0.5)
def parquet(file: Path) -> None:
    _table(file)


def _archives() -> Iterator[bytes]:
    import numpy as np

    for save in (np.savez, np.savez_compressed):
        content = io.BytesIO()
        save(content, a=np.arange(10), b=np.zeros((3, 4), np.float32))
        yield content.getvalue()


@reader(_archives, grammar=lambda: _damaged(next(_archives())), file="a.npz", share=0.5)
def npz(file: Path) -> None:
    from qtha_lab.core.io import load_arrays

    load_arrays(file)


STATEMENTS = words_of(
    'OPENQASM 3.0;|include "stdgates.inc";|qubit[2] q;|bit[2] c;|input float x0;|gate g a { x a; }|'
    "g q[0];|rx(x0*x0) q[0];|for int i in [0:99999] {|}|pow(99999) @|inv @|ctrl @|x q;|cx q[0], q[1];|"
    "barrier q;|c = measure q;|float a = x0^8;|rz(a) q[1];|if (c == 1) {|/*|*/|;",
    at="|",
)


def _programs() -> Iterator[str]:
    from support.hanging_programs import HANGING, HEAD_3

    yield HEAD_3 + "input float x0; gate g a { x a; } g q[0]; rx(2*x0) q[0]; cx q[0], q[1];"
    yield from (text for text in HANGING.values() if len(text) < 500)


@reader(
    _programs,
    grammar=lambda: sentences(*STATEMENTS).map(b" ".join(map(str.encode, STATEMENTS[:3])).__add__),
    limit=8,  # the most steps of a program take some 3 s
)
def qasm(text: str) -> None:
    from qtha_lab.circuits import Circuit

    Circuit.from_qasm(text)


@reader("abcdefghijkl", "zzzzzzzzzzzz", "aAbBcC" * 2, share=0.3)
def qiskit(text: str) -> None:
    """Build a circuit of Qiskit whose angles are powers, sums and sines of parameters."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    from qtha_lab.circuits import Circuit

    circuit, angle = QuantumCircuit(2, 2), Parameter("x")
    for number, letter in enumerate(text[:12]):
        match number % 3, ord(letter) % 6:
            case 0, kind:
                angle = (angle + 1, angle * angle, angle.sin(), angle**3, -angle, angle / 2)[kind]
            case 1, 0 | 1:
                circuit.cx(0, 1)
            case 1, 2:
                circuit.measure(0, 0)
            case 1, kind:
                getattr(circuit, ("rx", "rz", "p")[kind - 3])(angle, 0)
            case _:
                angle = Parameter(f"{'xyz'[ord(letter) % 3]}{number}") * angle
    Circuit.from_qiskit(circuit)


ENTRY = {"answer": 1, "done": True, "date": "2026-01-01", "skipped": False}
PROGRESS = {"predictions": {"1.1": ENTRY}, "exercises": {"1.1": ENTRY, "0.1": ENTRY}}


@reader(PROGRESS, file="class/ann.progress.json", share=0.3)
def class_progress(file: Path) -> None:
    """Write the lecturer's page of a shared folder with a student's file."""
    from qtha_lab.lessons.kit.classroom import write_classroom

    write_classroom(file.parent)


SETTINGS = dict(  # noqa: C408
    kind="classification", head="classification", model="tiny", labels=["good", "bad"],
    scale=[0.0, 1.0], shape="", columns={"text": "text", "label": "label"}, max_length=64,
)  # fmt: skip


@reader(
    SETTINGS,
    {**SETTINGS, "kind": "regression", "labels": ["1", "2"]},
    file="exported/prediction.json",
    share=0.5,
)
def predictions(file: Path) -> None:
    """Read a saved folder's settings, and load its merged model, which is missing."""
    from qtha_lab.experiment.prediction_settings import PredictionSettings
    from qtha_lab.runs.prediction import load_predictor

    settings = PredictionSettings.read(file.parent)
    _ = settings.n_labels, settings.output_names
    json.dumps(settings.model_dump())
    load_predictor(file.parent)
