"""Generated files: rows of each shape in each container, with texts that readers often change."""

import csv
import gzip
import io
import json
from collections.abc import Callable

import pandas as pd
import pytest

from qtha_lab import tasks

COUNT = 40
TRAPS = (
    "NA", "null", "None", "007", "1e5", "TRUE", "3.10", "=1+1", 'He said "no", then left.',
    "a\tb", "two\nlines", "Größe 10 µm – 你好 🙂", "c:\\new", "50 %", "#tag", "<b>&amp;</b>",
)  # fmt: skip


def text(i: int) -> str:
    return f"{TRAPS[i % len(TRAPS)]} in row {i}" if i % 2 else f"Row {i}: {TRAPS[i % len(TRAPS)]}"


def answer(i: int) -> str:
    return TRAPS[i % len(TRAPS)] if i % 3 else f"Answer {i}"


def turns(i: int, role: str, content: str, user: str, assistant: str) -> list[dict]:
    return [{role: user, content: text(i)}, {role: assistant, content: answer(i)}]


def exchange(row: dict) -> tuple:
    return tuple(message["content"] for message in row["messages"])


SHAPES: dict[str, tuple[Callable, Callable, Callable]] = {
    # name: row of the file, what must be read, what a read row holds
    "answers": (
        lambda i: {"prompt": text(i), "response": answer(i)},
        lambda i: (text(i), answer(i)), exchange,
    ),
    "questions": (
        lambda i: {"Question": text(i), "Answer": answer(i)},
        lambda i: (text(i), answer(i)), exchange,
    ),
    "alpaca": (
        lambda i: {"instruction": text(i), "input": "", "output": answer(i)},
        lambda i: (text(i), answer(i)), exchange,
    ),
    "alpaca with input": (
        lambda i: {"instruction": "Shorten.", "input": text(i), "output": answer(i)},
        lambda i: (f"Shorten.\n{text(i)}", answer(i)), exchange,
    ),
    "labels": (
        lambda i: {"text": text(i), "label": ["NA", "no"][i % 2]},
        lambda i: (text(i), ["NA", "no"][i % 2]), lambda row: (row["text"], row["label"]),
    ),
    "numbered labels": (
        lambda i: {"sentence": text(i), "label": i % 2},
        lambda i: (text(i), str(i % 2)), lambda row: (row["text"], row["label"]),
    ),
    "numbers": (
        lambda i: {"text": text(i), "score": i + 0.25},
        lambda i: (text(i), i + 0.25), lambda row: (row["text"], row["label"]),
    ),
    "pairs": (
        lambda i: {"premise": text(i), "hypothesis": f"H {i}", "label": ["yes", "no"][i % 2]},
        lambda i: (text(i), f"H {i}", ["yes", "no"][i % 2]),
        lambda row: (row["text"], row["pair"], row["label"]),
    ),
    "preferences": (
        lambda i: {"prompt": text(i), "chosen": answer(i), "rejected": f"R {i}"},
        lambda i: (text(i), answer(i), f"R {i}"),
        lambda row: (*exchange(row), row["chosen"], row["rejected"]),
    ),
    "OpenAI": (
        lambda i: {"messages": turns(i, "role", "content", "user", "assistant")},
        lambda i: (text(i), answer(i)), exchange,
    ),
    "ShareGPT": (
        lambda i: {"conversations": turns(i, "from", "value", "human", "gpt")},
        lambda i: (text(i), answer(i)), exchange,
    ),
}  # fmt: skip


def table(rows, **options) -> str:
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), **options)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def with_texts(rows) -> list[dict]:
    return [{k: json.dumps(v) if isinstance(v, list) else v for k, v in r.items()} for r in rows]


def lines(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def parquet(rows) -> bytes:
    file = io.BytesIO()
    pd.DataFrame(rows).to_parquet(file)
    return file.getvalue()


CONTAINERS: dict[str, Callable[[list[dict]], str | bytes]] = {
    "comma.csv": lambda rows: table(with_texts(rows)),
    "semicolon.csv": lambda rows: table(with_texts(rows), delimiter=";"),
    "quoted.csv": lambda rows: table(with_texts(rows), quoting=csv.QUOTE_ALL, lineterminator="\n"),
    "tab.tsv": lambda rows: table(with_texts(rows), delimiter="\t"),
    "byte_order_mark.csv": lambda rows: table(with_texts(rows)).encode("utf-8-sig"),
    "utf_16.csv": lambda rows: table(with_texts(rows), delimiter="\t").encode("utf-16"),
    "packed.csv.gz": lambda rows: gzip.compress(table(with_texts(rows)).encode()),
    "pandas.csv": lambda rows: pd.DataFrame(with_texts(rows)).to_csv(),
    "list.json": lambda rows: json.dumps(rows),
    "indented.json": lambda rows: json.dumps({"data": rows}, indent=2, ensure_ascii=False),
    "lines.jsonl": lines,
    "packed.jsonl.gz": lambda rows: gzip.compress(lines(rows).encode()),
    "table.parquet": parquet,
}


def test_at_least_a_hundred_and_ten_files_are_generated():
    assert len(SHAPES) * len(CONTAINERS) >= 110


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_rows_of_a_file_are_those_that_were_written(shape, container, tmp_path):
    make, expected, found = SHAPES[shape]
    content = CONTAINERS[container]([make(i) for i in range(COUNT)])
    path = tmp_path / container
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    task = tasks.load_task(str(path))
    rows = map(found, [*task.train, *task.eval, *task.test])
    assert sorted(rows, key=repr) == sorted(map(expected, range(COUNT)), key=repr)
