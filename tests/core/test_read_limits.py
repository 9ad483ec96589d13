"""Small files that would fill the memory are refused while they are read, in little memory."""

import contextlib
import gzip
import io
import json
import subprocess
import sys
import zipfile

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from support.refusals import refused

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_arrays, table_rows
from qtha_lab.core.io.files import MOST_ROWS, ReadCounts
from qtha_lab.core.io.tables import LARGEST_JSON
from qtha_lab.tasks import load_task

ALLOWED = 2**30  # bytes of memory on top of the imports
GUARD = 2**32  # bytes of address space, of which pyarrow reserves parts that it never fills
READ = f"""
import resource, sys
from pathlib import Path
import numpy, pyarrow.parquet
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_arrays, table_rows

def status(name):
    return 1024 * int(Path("/proc/self/status").read_text().partition(name)[2].split()[0])

before = status("VmRSS:")
resource.setrlimit(resource.RLIMIT_AS, (status("VmSize:") + {GUARD},) * 2)
path = Path(sys.argv[1])
try:
    rows = load_arrays(path) if path.suffix == ".npz" else list(table_rows(path))
    print("read", len(rows))
except Refusal as refusal:
    print(refusal)
print(status("VmHWM:") - before)
"""


def packed(part: bytes, times: int, start: bytes = b"", end: bytes = b"") -> bytes:
    """Return gzip data of a part that is repeated; gzip members may follow each other."""
    block = 2**20 // len(part) + 1
    return b"".join(
        [gzip.compress(start), gzip.compress(part * block) * (times // block), gzip.compress(end)]
    )


def repeated_text() -> bytes:
    """Return a Parquet file of one text in 5,000 rows."""
    column = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array(np.zeros(5000, np.int32)), pyarrow.array(["a" * 2**20])
    )
    content = io.BytesIO()
    table = pyarrow.table({"text": column})
    pyarrow.parquet.write_table(table, content, compression="zstd", store_schema=False)
    return content.getvalue()


def long_lists() -> bytes:
    """Return a Parquet file of lists with 40 million empty values."""
    offsets = pyarrow.array(range(0, 40_000_001, 20_000_000), pyarrow.int32())
    lists = pyarrow.ListArray.from_arrays(offsets, pyarrow.nulls(40_000_000, pyarrow.int8()))
    content = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": lists}), content)
    return content.getvalue()


def zeros(stated: int = 2**30) -> bytes:
    """Return an archive with one array of 1 GiB, or with its header alone."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (stated,)}
    )
    content = io.BytesIO()
    with (
        zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("a.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(2**30 // 2**24 if stated == 2**30 else 0):
            member.write(bytes(2**24))
    return content.getvalue()


FILES = {
    # file name: content, part of the refusal
    "objects.json.gz": (lambda: packed(b"{},", 80 * 2**20, b"[", b"{}]"), "as one document"),
    "lists.json.gz": (lambda: packed(b"[],", 20 * 2**20, b"[", b"[]]"), "8,388,608 values"),
    "one.csv.gz": (lambda: packed(b"a", 2**30, b"text,label\n"), "line 2: a line must have"),
    "quoted.tsv.gz": (lambda: packed(b'"a\n', 2**27, b"text\tlabel\n"), "must be CSV"),
    "repeated.parquet": (repeated_text, "256 MiB unpacked"),
    "stated.npz": (lambda: zeros(2**40), "another size than its header"),
    "long.csv": (lambda: b"a" * 2_000_000, "line 1: a line must have at most 1 MiB"),
    "columns.csv": (lambda: b",".join(b"%d" % i for i in range(150_000)), "16,384 columns"),
}
SLOW = {
    "blank.json.gz": (lambda: packed(b"\n", 2**28, b"[", b"]"), "as one document"),
    "rows.jsonl.gz": (lambda: packed(b'{"text":1}\n', 20 * 2**20), "1,048,576 rows"),
    "blank.jsonl.gz": (lambda: packed(b"\n", 2**28), "16,777,216 lines"),
    "values.jsonl.gz": (
        lambda: packed(b'{"text":[' + b"[]," * 300_000 + b"[]]}\n", 100),
        "8,388,608 values",
    ),
    "bytes.jsonl.gz": (
        lambda: packed(b'{"text":"' + b"a" * 1_000_000 + b'"}\n', 1000),
        "256 MiB unpacked",
    ),
    "rows.csv.gz": (lambda: packed(b"a,b\n", 2**26, b"text,label\n"), "1,048,576 rows"),
    "wide.csv.gz": (
        lambda: packed(
            b"," * 9_998 + b"x\n", 2**15, b",".join([b"%d" % i for i in range(9_999)]) + b"\n"
        ),
        "8,388,608 values",
    ),
    "blank.txt.gz": (lambda: packed(b"\n", 2**28), "16,777,216 lines"),
    "lines.txt.gz": (lambda: packed(b"a\n", 2**27), "1,048,576 lines"),
    "rows.txt.gz": (lambda: packed(b"a\n\n", 2**26), "1,048,576 rows"),
    "lists.parquet": (long_lists, "8,388,608 values"),
    "zeros.npz": (zeros, "1,024.0 MiB unpacked, 64 at most"),
}
CASES = [*FILES, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the peak memory")
@pytest.mark.parametrize("name", CASES)
def test_a_file_is_refused_before_it_fills_the_memory(name, tmp_path):
    make, rule = (FILES | SLOW)[name]
    content = make()
    assert len(content) < 5 * 2**20
    (tmp_path / name).write_bytes(content)
    command = [sys.executable, "-c", READ, str(tmp_path / name)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not result.stderr
    message, peak = result.stdout.splitlines()
    assert name in message
    assert rule in message
    assert len(message) <= 300 + len(str(tmp_path))
    assert int(peak) < ALLOWED


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux states the peak memory")
def test_a_document_that_is_too_long_takes_little_more_than_its_limit(tmp_path):
    with open(tmp_path / "holes.json", "wb") as file:
        file.truncate(2**31)
    command = [sys.executable, "-c", READ, str(tmp_path / "holes.json")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    message, peak = result.stdout.splitlines()
    assert "holes.json must have at most 128 MiB as one document" in message
    assert int(peak) < LARGEST_JSON + 2**25


def arrow(compression: str | None = None, **columns: pyarrow.Array) -> bytes:
    """Return an Arrow stream as `datasets` writes it, perhaps compressed."""
    table, content = pyarrow.table(columns), io.BytesIO()
    options = pyarrow.ipc.IpcWriteOptions(compression=compression)
    with pyarrow.ipc.new_stream(content, table.schema, options=options) as stream:
        stream.write_table(table)
    return content.getvalue()


TEXT = pyarrow.array(["a"] * 5000)
NULLS = pyarrow.ListArray.from_arrays([0, 2**24], pyarrow.nulls(2**24))
FOLDERS = {
    # file name: content, part of the refusal
    "lz4.arrow": (lambda: arrow("lz4", text=TEXT), "must hold plain batches"),
    "coded.arrow": (lambda: arrow(text=TEXT.dictionary_encode()), "must hold plain batches"),
    "nulls.arrow": (lambda: arrow(text=NULLS), "8,388,608 values"),
    "rows.arrow": (lambda: arrow(text=pyarrow.nulls(2**21)), "1,048,576 rows"),
    "torn.arrow": (lambda: arrow(text=TEXT)[:3000], "cannot be read"),
    "repeated.parquet": (repeated_text, "256 MiB unpacked"),
    "objects.json.gz": (lambda: packed(b"{},", 80 * 2**20, b"[", b"{}]"), "as one document"),
    "rows.csv.zip": (bytes, "cannot be read packed"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_for_the_library_is_refused_before_it_is_unpacked(name, tmp_path):
    make, rule = FOLDERS[name]
    (tmp_path / name).write_bytes(make())
    (tmp_path / "README.md").write_text(
        f"---\nconfigs:\n- config_name: a\n  data_files: {name}\n---\n"
    )
    with pytest.raises(Refusal, match=name) as refused:
        load_task(str(tmp_path))
    assert rule in str(refused.value)


def test_files_of_a_folder_are_counted_together(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text\n" + "a\n" * 600)
    counts = ReadCounts(rows=MOST_ROWS - 1000)
    assert len(list(table_rows(path, counts))) == 600
    with refused("rows.csv", "more"):
        list(table_rows(path, counts))


def test_a_repeated_key_of_a_long_line_is_found(tmp_path):
    pairs = ",".join(f'"{i}":0' for i in range(90_000))
    (tmp_path / "keys.jsonl").write_text(f'{{{pairs},"89999":1}}\n')
    with refused("keys.jsonl, line 1: A key", "'89999' twice"):
        list(table_rows(tmp_path / "keys.jsonl"))


def test_a_table_at_its_limits_is_read(tmp_path):
    text = "ä" * 500_000
    lines = [json.dumps({"text": text, "label": str(i)}, ensure_ascii=False) for i in range(3)]
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    assert [row["text"] for _, row in table_rows(tmp_path / "rows.jsonl.gz")] == [text] * 3


DAMAGE = """
import sys
from pathlib import Path
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import table_rows

path, outcomes = Path(sys.argv[1]), set()
whole = path.read_bytes()
for place in range(len(whole)):
    path.write_bytes(whole[:place] + bytes(1) + whole[place + 1 :])
    try:
        outcomes.add(len(list(table_rows(path))))
    except Refusal as refusal:
        outcomes.add(str(refusal).partition(",")[0])
print(outcomes)
"""


def test_a_damaged_parquet_file_is_a_refusal(tmp_path):
    """Damaged metadata of a column end a process that asks pyarrow 26 for them."""
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a", "b"], "label": ["x", "y"]}), path)
    command = [sys.executable, "-c", DAMAGE, str(path)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert not result.stderr
    assert "rows.parquet must be a Parquet file" in result.stdout


def test_a_damaged_archive_is_a_refusal(tmp_path):
    content = io.BytesIO()
    np.savez_compressed(content, a=np.arange(10), b=np.zeros((3, 4), np.float32))
    whole = content.getvalue()
    random = np.random.default_rng(0)
    path = tmp_path / "arrays.npz"
    path.write_bytes(whole)
    assert load_arrays(path)["b"].shape == (3, 4)
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[random.integers(len(whole))] = random.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(Refusal):  # any other exception is a fault
            load_arrays(path)
